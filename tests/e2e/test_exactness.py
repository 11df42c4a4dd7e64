"""Exactness over real sockets: whatever 64 connections ask at once, and however many threads answer,
what is admitted is what the refill rule allows, computed here from the journal alone, in fractions.
"""

import http.client
import json
import threading
from fractions import Fraction

import pytest
from toomany import MODEL, PATIENCE_S, serving

CONNECTIONS = 64
THREADS = pytest.mark.parametrize("threads", [1, 4])
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


def admitted_by_windows(entries, limits, enforcement):
    """The same for what comes back all at once: a window opens with the first request that finds none
    open. No sliding window lets anything go before the test is over."""
    windows = {}
    for dimension, limit in limits.items():
        length_ns = 1440 * MINUTE_NS if dimension.endswith("day") else MINUTE_NS
        if enforcement == "per_second":
            length_ns, limit = MINUTE_NS // 60, limit // 60
        windows[dimension] = [length_ns, limit, 0, 0]
    decisions = []
    for entry in entries:
        now_ns = entry["decided_ns"]
        costs = [entry["tokens"] if dimension.startswith("tokens") else 1 for dimension in limits]
        for window in windows.values():
            window[2] = window[2] if now_ns < window[3] else 0
        admitted = all(window[2] + cost <= window[1]
                       for cost, window in zip(costs, windows.values(), strict=True))
        for cost, window in zip(costs, windows.values(), strict=True):
            if admitted and window[2] == 0:
                window[3] = now_ns + window[0]
            window[2] += cost * admitted
        decisions.append(admitted)
    return decisions


def served_and_entries(folder, config, threads):
    """Which were served, and all entries, both in the order of decision."""
    journal = folder / "journal"
    with serving(folder, config, "--journal", journal, "--threads", threads) as server:
        statuses = ask(server, 40, "Hello" * 4)
        server.stop()
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(entries) == len(statuses) == CONNECTIONS * 40
    assert {entry["sequence"] for entry in entries} == set(range(1, len(entries) + 1))
    # Requests are decided in the order of these times, or the sums would not be the rule's.
    entries.sort(key=lambda entry: (entry["decided_ns"], entry["sequence"]))
    served = [entry["status"] == 200 for entry in entries]
    assert sum(served) == statuses.count(200)
    assert 0 < sum(served) < len(served), "the quota was never met, or never open"
    return served, entries


@THREADS
@pytest.mark.parametrize("limits", [
    {"requests_per_minute": 100},
    {"requests_per_minute": 1200},
    {"tokens_per_minute": 7001},
    {"requests_per_minute": 1000, "tokens_per_minute": 7001},
], ids=lambda limits: ", ".join(f"{limit} {dimension}" for dimension, limit in limits.items()))
def test_as_many_are_served_as_the_rule_allows_and_not_one_more(tmp_path, limits, threads):
    config = {"rules": {"refused_requests_count": False}, "quotas": {MODEL: limits}}
    served, entries = served_and_entries(tmp_path, config, threads)
    assert served == admitted_by_the_rule(entries, limits)


@THREADS
@pytest.mark.parametrize("enforcement, limits", [
    ("fixed_window", {"requests_per_minute": 1200}),
    ("fixed_window", {"requests_per_day": 1200}),
    ("fixed_window", {"requests_per_day": 1000, "tokens_per_minute": 7001}),
    ("sliding_window", {"requests_per_minute": 1200}),
    ("sliding_window", {"tokens_per_day": 7001}),
    ("sliding_window", {"requests_per_minute": 1000, "tokens_per_minute": 7001}),
    ("per_second", {"requests_per_minute": 6000}),
    ("per_second", {"requests_per_minute": 12000, "tokens_per_minute": 60000}),
], ids=str)
def test_windows_let_in_as_many_as_they_hold(tmp_path, enforcement, limits, threads):
    config = {"rules": {"refused_requests_count": False, "enforcement": enforcement},
              "quotas": {MODEL: limits}}
    served, entries = served_and_entries(tmp_path, config, threads)
    assert served == admitted_by_windows(entries, limits, enforcement)


@THREADS
def test_total_is_exact(tmp_path, threads):
    config = {"quotas": {MODEL: {"requests_total": 777}}}
    with serving(tmp_path, config, "--threads", threads) as server:
        assert ask(server, 20, "Hello").count(200) == 777


@THREADS
def test_no_more_than_allowed_are_in_flight(tmp_path, threads):
    """From the journal's own times, not from the server's counter."""
    journal = tmp_path / "journal"
    config = {"latency": {"low": "1ms", "high": "20ms"},
              "quotas": {MODEL: {"concurrent_requests": 5}}}
    with serving(tmp_path, config, "--journal", journal, "--threads", threads) as server:
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


@THREADS
@pytest.mark.parametrize("body, config", [
    ({}, {}),
    ({"stream": True}, {"tokens_per_second": 2000}),
], ids=["whole", "streamed"])
def test_who_has_the_answer_may_ask_again_on_any_connection(tmp_path, body, config, threads):
    """What the one before has used is given back when its answer can have been read, not later."""
    request = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "a"}], **body})
    config = {**config, "quotas": {MODEL: {"concurrent_requests": 1}}}
    with serving(tmp_path, config, "--threads", threads) as server:
        connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
                       for _ in range(8)]
        statuses = set()
        for i in range(300):
            connection = connections[i % len(connections)]
            connection.request("POST", "/v1/chat/completions", request,
                               {"Authorization": "Bearer sk-e2e-0123456789"})
            response = connection.getresponse()
            response.read()
            statuses.add(response.status)
        for connection in connections:
            connection.close()
    assert statuses == {200}
