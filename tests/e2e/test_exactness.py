"""Exactness over real sockets: whatever 64 connections ask at once, what is admitted is what the
refill rule allows, computed here from the journal alone, in fractions."""

import http.client
import json
import threading
from fractions import Fraction

import pytest
from toomany import MODEL, PATIENCE_S, serving

CONNECTIONS = 64
MINUTE_NS = 60 * 10**9


def ask(server, count, content):
    """`count` requests on each of 64 connections that begin together; the statuses."""
    begin = threading.Barrier(CONNECTIONS)
    statuses = []
    failures = []
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]})
    headers = {"Authorization": "Bearer sk-e2e-0123456789", "Content-Type": "application/json"}

    def client():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            connection.connect()
            begin.wait(PATIENCE_S)
            for _ in range(count):
                connection.request("POST", "/v1/chat/completions", body, headers)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
            connection.close()
        except Exception as failure:  # told by the test, which the thread is not
            failures.append(failure)

    threads = [threading.Thread(target=client) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failures == []
    return statuses


def admitted_by_the_rule(entries, limits):
    """For each request in the order of decision, whether a bucket for each dimension, which begins
    full and refills evenly, has room for it: in all or in none."""
    used = dict.fromkeys(limits, Fraction(0))
    before_ns = 0
    decisions = []
    for entry in entries:
        costs = {"requests_per_minute": 1, "tokens_per_minute": entry["tokens"]}
        for dimension, limit in limits.items():
            refilled = Fraction(limit * (entry["decided_ns"] - before_ns), MINUTE_NS)
            used[dimension] = max(Fraction(0), used[dimension] - refilled)
        before_ns = entry["decided_ns"]
        admitted = all(used[dimension] + costs[dimension] <= limit
                       for dimension, limit in limits.items())
        for dimension in limits:
            used[dimension] += costs[dimension] * admitted
        decisions.append(admitted)
    return decisions


@pytest.mark.parametrize("limits", [
    {"requests_per_minute": 100},
    {"requests_per_minute": 1200},
    {"tokens_per_minute": 7001},
    {"requests_per_minute": 1000, "tokens_per_minute": 7001},
], ids=lambda limits: ", ".join(f"{limit} {dimension}" for dimension, limit in limits.items()))
def test_as_many_are_served_as_the_rule_allows_and_not_one_more(tmp_path, limits):
    journal = tmp_path / "journal"
    config = {"rules": {"refused_requests_count": False}, "quotas": {MODEL: limits}}
    with serving(tmp_path, config, "--journal", journal) as server:
        statuses = ask(server, 40, "Hello" * 4)
        server.stop()
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(entries) == len(statuses) == CONNECTIONS * 40
    # Requests are decided in the order of their numbers, or the sum below would not be the rule's.
    entries.sort(key=lambda entry: (entry["decided_ns"], entry["sequence"]))
    served = [entry["status"] == 200 for entry in entries]
    assert served == admitted_by_the_rule(entries, limits)
    assert sum(served) == statuses.count(200)
    assert 0 < sum(served) < len(served), "the quota was never met, or never open"


def test_total_is_exact(tmp_path):
    with serving(tmp_path, {"quotas": {MODEL: {"requests_total": 777}}}) as server:
        assert ask(server, 20, "Hello").count(200) == 777


def test_no_more_than_allowed_are_in_flight(tmp_path):
    """From the journal's own times, not from the server's counter."""
    journal = tmp_path / "journal"
    config = {"latency": {"low": "1ms", "high": "20ms"},
              "quotas": {MODEL: {"concurrent_requests": 5}}}
    with serving(tmp_path, config, "--journal", journal) as server:
        ask(server, 10, "Hello")
        server.stop()
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    served = [entry for entry in entries if entry["status"] == 200]
    moments = sorted([(entry["decided_ns"], 1) for entry in served]
                     + [(entry["answered_ns"], -1) for entry in served])
    in_flight = most = 0
    for _, change in moments:
        in_flight += change
        most = max(most, in_flight)
    assert most == 5
    assert all(entry["code"] == "rate_limit_exceeded" for entry in entries
               if entry["status"] == 429)
