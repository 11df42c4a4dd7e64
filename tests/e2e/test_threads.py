"""`toomany serve --threads`: what concerns all threads reaches all of them, whichever was asked."""

import contextlib
import http.client
import json
import pathlib
import re
import signal
import threading

import pytest
from toomany import MODEL, PATIENCE_S, run, serving, wait_until

BODY = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]})
HEADERS = {"Authorization": "Bearer sk-e2e-0123456789", "Content-Type": "application/json"}
THREADS = ("--threads", "4")


def connect(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.connect()
    return connection


def ask(connection, path="/v1/chat/completions", method="POST", body=BODY):
    connection.request(method, path, body, HEADERS)
    response = connection.getresponse()
    return response.status, response.read()


@contextlib.contextmanager
def connected(server, count=8):
    connections = [connect(server) for _ in range(count)]
    yield connections
    for connection in connections:
        connection.close()


class Load:
    """16 connections that ask until they are told to end, or the server does."""

    def __init__(self, server):
        self.server = server
        self.is_over = False
        self.statuses = []
        self.threads = [threading.Thread(target=self.client) for _ in range(16)]

    def client(self):
        try:
            connection = connect(self.server)
            while not self.is_over:
                self.statuses.append(ask(connection)[0])
        except (OSError, http.client.HTTPException):
            pass  # the server has ended

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: len(self.statuses) > 100, "100 answers")
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join(PATIENCE_S)


def test_connections_are_spread_evenly(tmp_path):
    """By what the threads have used of the processor, none of them answers all, or nothing."""
    with serving(tmp_path, None, *THREADS) as server, connected(server, 4) as connections:
        for _ in range(300):
            for connection in connections:
                assert ask(connection)[0] == 200
        used = []
        for thread in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
            used.append(int((thread / "schedstat").read_text().split()[0]))
        used = sorted(used)[-4:]  # a build with the thread sanitizer has one more, which idles
        assert min(used) > max(used) / 10


def test_journal_metrics_and_health_know_each_answer_that_was_given(tmp_path):
    with serving(tmp_path, None, *THREADS) as server, connected(server) as connections:
        for count in range(1, 301):
            assert ask(connections[count % 8])[0] == 200
            name = ("journal", "health", "metrics")[count % 3]
            _, text = ask(connections[(count + 3) % 8], f"/_toomany/{name}", "GET", None)
            if name == "journal":
                entries = [json.loads(line) for line in text.splitlines()]
                assert len(entries) == count
                assert all(entry["answered_ns"] is not None for entry in entries)
            elif name == "health":
                told = json.loads(text)
                assert (told["requests"], told["in_flight"]) == (count, 0)
            else:
                assert f'decision="served"}} {count}\n' in text.decode()


def test_journal_is_whole_after_a_stop_under_load(tmp_path):
    journal = tmp_path / "journal"
    with serving(tmp_path, {"latency": {"low": "0ms", "high": "20ms"}}, *THREADS, "--journal",
                 journal) as server, Load(server):
        status, errors = server.stop()
    assert status == 0
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    told = int(re.search(r"stopped after (\d+) requests", errors)[1])
    assert {entry["sequence"] for entry in entries} == set(range(1, told + 1))
    assert len(entries) == told


@pytest.mark.parametrize("by", ["signal", "endpoint"])
def test_reload_under_load(tmp_path, by):
    config = {"quotas": {"*": {"requests_total": 1000000}}}
    with serving(tmp_path, config, *THREADS) as server, Load(server) as load:
        for limit in range(1000001, 1000041):
            (tmp_path / "config.json").write_text(
                json.dumps({"quotas": {"*": {"requests_total": limit}},
                            "script": [{"answer": {"error": "slow_down"}}]}), encoding="utf-8")
            if by == "signal":
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda limit=limit: server.admin("GET", "quotas")[1]["limits"]["*"][
                    "requests_total"] == limit, "the new limit")
            else:
                assert server.admin("POST", "reload")[0] == 200
        wait_until(lambda: load.statuses.count(429) + load.statuses.count(503) == 40,
                   "each script's step")
        status, _ = server.stop()
    assert status == 0


def test_administration_under_load(tmp_path):
    with serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 1000000}}}, *THREADS,
                 "--max-journal-entries", "200") as server, Load(server) as load:
        def administer():
            for i in range(15):
                for method, name, body in (
                        ("GET", "health", None), ("GET", "metrics", None), ("GET", "journal", None),
                        ("PATCH", "quotas", {"m": {"requests_per_day": 10 + i}}),
                        ("GET", "quotas", None), ("PUT", "tier", {"tier": str(1 + i % 5)}),
                        ("POST", "reset", None)):
                    assert server.request(method, f"/_toomany/{name}", body)[0] == 200
            done.append(True)

        done = []
        threads = [threading.Thread(target=administer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(done) == 4 and set(load.statuses) <= {200, 429}
        assert server.stop()[0] == 0


def test_what_refuses_connections_closes_the_idle_ones_of_all_threads(tmp_path):
    config = {"script": [{"times": 8, "answer": "ok"},
                         {"answer": {"fault": "refuse", "for": "1s"}}]}
    with serving(tmp_path, config, *THREADS) as server, connected(server) as connections:
        assert [ask(connection)[0] for connection in connections] == [200] * 8
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(connections[5])
        with pytest.raises(ConnectionRefusedError):
            connect(server)
        for connection in connections:
            if connection.sock is not None:
                assert connection.sock.recv(1) == b""
        wait_until(lambda: is_served(server), "connections again")


def is_served(server):
    try:
        return server.chat()[0] == 200
    except OSError:
        return False


def test_changes_by_time_and_by_count_hold_for_all(tmp_path):
    config = {"quotas": {"*": {"requests_total": 1000}},
              "changes": [{"after_requests": 16, "quotas": {"*": {"requests_total": 20}}},
                          {"at": "700ms", "quotas": {"*": {"requests_total": 24}}}]}
    with serving(tmp_path, config, *THREADS) as server, connected(server) as connections:
        statuses = [ask(connections[i % 8])[0] for i in range(24)]
        assert statuses.count(200) in (20, 24)
        wait_until(lambda: server.admin("GET", "quotas")[1]["limits"]["*"]["requests_total"] == 24,
                   "the change by time")
        statuses += [ask(connections[i % 8])[0] for i in range(24)]
        assert statuses.count(200) == 24


def test_connections_of_an_address_and_of_all_are_counted_over_all_threads(tmp_path):
    with serving(tmp_path, None, *THREADS, "--max-address-connections", "6") as server:
        with connected(server, 10) as connections:
            assert sorted(ask(connection)[0] for connection in connections) == [200] * 6 + [503] * 4
    with serving(tmp_path, None, *THREADS, "--max-connections", "6") as server:
        with connected(server, 6) as connections:
            assert [ask(connection)[0] for connection in connections] == [200] * 6
            late = connect(server)
            late.sock.settimeout(0.3)
            late.request("GET", "/v1/models", None, HEADERS)
            with pytest.raises(TimeoutError):
                late.sock.recv(1)
            connections[0].close()
            late.sock.settimeout(PATIENCE_S)
            assert late.sock.recv(12) == b"HTTP/1.1 200"
            late.close()


@pytest.mark.parametrize("options, told", [
    (("--threads", "0"), "--threads"),
    (("--threads", "33"), "--threads"),
    (("--threads", "2", "--upstream", "http://127.0.0.1:1/v1"), "--threads: with --upstream only "
                                                                "one serves"),
    (("--threads", "2", "--record", "f"), "--threads: with --record only one serves"),
])
def test_what_does_not_go_with_threads_is_refused(options, told):
    finished = run("serve", "--port", "0", *options)
    assert finished.returncode == 2 and told in finished.stderr
