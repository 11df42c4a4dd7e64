"""`toomany serve`: its first line, its end, its journal, and what can be changed while it runs."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families
from toomany import (MODEL, PATIENCE_S, run, scenario, serving, start, wait_until,
                     write_scenario)

KEY = "sk-e2e-0123456789"


# ---- beginning and end ----

def test_first_line_says_where_and_the_port_is_open(tmp_path):
    with serving(tmp_path) as server:
        assert server.first_line == f"toomany: serving http://127.0.0.1:{server.port}/v1\n"
        assert server.chat()[0] == 200


def test_port_0_takes_a_free_one_each_time(tmp_path):
    with serving(tmp_path) as one, serving(tmp_path) as other:
        assert one.port != other.port
        assert one.chat()[0] == other.chat()[0] == 200


def test_port_in_use_is_exit_3_with_a_remedy(tmp_path):
    with serving(tmp_path) as server:
        finished = run("serve", "--port", server.port)
    assert (finished.returncode, finished.stdout) == (3, "")
    assert finished.stderr == (f"toomany serve: 127.0.0.1 port {server.port}: Address already in "
                               "use; choose another --port, or 0 for a free one\n")


def test_port_can_be_taken_again_at_once(tmp_path):
    with serving(tmp_path) as server:
        server.chat()
        port = server.port
        server.stop()
    process = start("serve", "--port", port)
    assert process.stdout.readline() == f"toomany: serving http://127.0.0.1:{port}/v1\n"
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


def test_ipv6(tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    process = start("serve", "--host", "::1", "--port", "0")
    line = process.stdout.readline()
    assert line.startswith("toomany: serving http://[::1]:")
    with socket.create_connection(("::1", int(line.split(":")[-1].split("/")[0]))) as connection:
        connection.sendall(b"GET /_toomany/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("arguments, status, message", [
    (["--host", "localhost"], 2, '--host: "localhost" is not an IPv4 or IPv6 address, such as '
                                 "127.0.0.1\n"),
    (["--host", "192.0.2.1", "--port", "0"], 3, "192.0.2.1 port 0: Cannot assign requested "
                                                   "address; --host must be an address of this "
                                                   "machine\n"),
    (["--port", "65536"], 2, '--port: found "65536", wanted a whole number from 0 to 65535\n'),
    (["--seed", "x"], 2, '--seed: found "x", wanted a whole number from 0 to 2^64-1\n'),
    (["--journal", "gone/journal"], 3, "gone/journal: No such file or directory\n"),
    (["--config", "gone.json"], 2, "gone.json: No such file or directory\n"),
    (["--config", "a.json", "--scenario", "b.json"], 2, "give --config or --scenario, not both\n"),
    (["extra"], 2, '"extra" is not an option\nTry `toomany serve --help`.\n'),
])
def test_wrong_usage(tmp_path, arguments, status, message):
    finished = run("serve", *arguments, cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (status, "")
    assert finished.stderr == f"toomany serve: {message}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_slow_answers_in_flight(tmp_path, number):
    """Whoever waits for an answer does not keep it: the journal still has all of them."""
    journal = tmp_path / "journal"
    with serving(tmp_path, {"latency": "10m"}, "--journal", journal) as server:
        def ask():
            try:
                server.chat()
            except OSError:
                pass  # the connection ends with the server

        clients = [threading.Thread(target=ask) for _ in range(20)]
        for client in clients:
            client.start()
        wait_until(lambda: server.admin("GET", "health")[1]["in_flight"] == 20, "20 in flight")
        status, errors = server.stop(number)
        for client in clients:
            client.join(PATIENCE_S)
            assert not client.is_alive()
    assert (status, errors) == (0, "toomany serve: stopped after 20 requests\n")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(entry["sequence"] for entry in entries) == list(range(1, 21))


@contextlib.contextmanager
def hangups(disposition):
    """What a server that is started meanwhile inherits: nohup, of these tests too, ignores them."""
    former = signal.signal(signal.SIGHUP, disposition)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_hangup_ends_it_in_good_order_where_there_is_no_file(tmp_path):
    with hangups(signal.SIG_DFL), serving(tmp_path) as server:
        server.chat()
        assert server.stop(signal.SIGHUP) == (0, "toomany serve: stopped after 1 requests\n")


@pytest.mark.parametrize("config", [None, {}])
def test_a_hangup_does_not_end_what_was_started_by_nohup(tmp_path, config):
    with hangups(signal.SIG_IGN), serving(tmp_path, config) as server:
        server.process.send_signal(signal.SIGHUP)
        assert server.chat()[0] == 200 and server.chat()[0] == 200
        assert server.stop()[0] == 0


def test_second_signal_is_not_needed_and_does_no_harm(tmp_path):
    with serving(tmp_path, {"latency": "10m"}) as server:
        threading.Thread(target=lambda: pytest.raises(Exception, server.chat), daemon=True).start()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=PATIENCE_S)
        assert server.process.returncode == 0


def test_scenario_can_be_served(tmp_path):
    path = write_scenario(tmp_path, scenario({"requests": 1}, {
        "script": [{"answer": {"error": "slow_down"}}]}))
    with serving(tmp_path, None, "--scenario", path) as server:
        assert [server.chat()[0], server.chat()[0]] == [429, 200]


def test_same_seed_gives_the_same_ids(tmp_path):
    answers = []
    for seed in (5, 5, 6):
        with serving(tmp_path, None, "--seed", str(seed)) as server:
            status, headers, body = server.chat()
            answers.append((headers["x-request-id"], json.loads(body)["id"]))
    assert answers[0] == answers[1] != answers[2]


# ---- the journal ----

ENTRY = {"sequence", "connection", "method", "path", "model", "key_tail", "body_digest", "tokens",
         "arrived_ns", "decided_ns", "first_byte_ns", "answered_ns", "decision", "status", "code",
         "request_id", "retry_after_ns", "in_flight", "retry_count", "script_step", "abandoned"}


def test_journal_is_complete_json_lines_after_a_stop(tmp_path):
    journal = tmp_path / "journal"
    config = {"script": [{"answer": {"error": "rate_limit_exceeded", "retry_after": "2s"}}],
              "quotas": {MODEL: {"requests_per_minute": 1}}}
    with serving(tmp_path, config, "--journal", journal) as server:
        assert [server.chat()[0] for _ in range(3)] == [429, 200, 429]
        assert server.chat(key="")[0] == 401
        over_http = server.journal()
        server.stop()
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert entries == over_http
    assert [entry["decision"] for entry in entries] == [
        "scripted", "served", "throttled", "rejected"]
    assert [entry["limit"] for entry in entries if "limit" in entry] == ["requests_per_minute"]
    assert all(entry.keys() - {"limit"} == ENTRY for entry in entries)
    assert entries[0]["retry_after_ns"] == 2_000_000_000
    assert all(entry["arrived_ns"] <= entry["decided_ns"] <= entry["first_byte_ns"]
               <= entry["answered_ns"] for entry in entries)
    assert KEY not in journal.read_text() and entries[0]["key_tail"] == KEY[-4:]
    assert len({entry["body_digest"] for entry in entries[:3]}) == 1


def test_journal_has_every_answer_that_was_given_when_it_is_killed(tmp_path):
    journal = tmp_path / "journal"
    with serving(tmp_path, None, "--journal", journal) as server:
        answered = [server.chat()[1]["x-request-id"] for _ in range(50)]
        wait_until(lambda: len(server.journal()) == 50, "50 entries")
        assert server.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    text = journal.read_text()
    assert text.endswith("\n")
    assert [json.loads(line)["request_id"] for line in text.splitlines()] == answered


def test_journal_is_readable_when_it_is_killed_under_load(tmp_path):
    """No line is torn, whenever the end comes."""
    journal = tmp_path / "journal"
    with serving(tmp_path, None, "--journal", journal) as server:
        def ask():
            try:
                while True:
                    server.chat()
            except (OSError, ValueError):
                pass

        clients = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for client in clients:
            client.start()
        wait_until(lambda: journal.exists() and journal.read_text().count("\n") >= 100,
                   "100 lines in the journal")
        server.stop(signal.SIGKILL)
        for client in clients:
            client.join(PATIENCE_S)
    lines = journal.read_text().split("\n")
    assert lines.pop() == ""
    assert len([json.loads(line) for line in lines]) >= 100


def test_journal_on_stdout(tmp_path):
    process = start("serve", "--port", "0", "--journal", "-")
    port = int(process.stdout.readline().split(":")[-1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 401")
    assert json.loads(process.stdout.readline())["status"] == 401
    process.terminate()
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output) == (0, "")


def test_journal_on_a_full_disk_is_told_and_the_server_goes_on(tmp_path):
    with serving(tmp_path, None, "--journal", "/dev/full") as server:
        assert [server.chat()[0] for _ in range(3)] == [200] * 3
        assert len(server.journal()) == 3
        status, errors = server.stop()
    assert status == 3
    assert "/dev/full: the journal could not be written whole (disk full?)" in errors


def test_journal_after_a_sequence_number(tmp_path):
    with serving(tmp_path) as server:
        for _ in range(3):
            server.chat()
        _, _, text = server.request("GET", "/_toomany/journal?after=2")
        assert [json.loads(line)["sequence"] for line in text.splitlines()] == [3]


# ---- what can be changed ----

def test_quota_raised_while_it_runs_serves_who_was_refused(tmp_path):
    """R8: retrying does not help, a raised quota does."""
    with serving(tmp_path, {"quotas": {MODEL: {"requests_total": 2}}}) as server:
        assert [server.chat()[0] for _ in range(5)] == [200, 200, 429, 429, 429]
        error = json.loads(server.chat()[2])["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
        status, quotas = server.admin("PATCH", "quotas", {MODEL: {"requests_total": 4}})
        assert status == 200
        assert quotas["limits"] == {MODEL: {"requests_total": 4}}
        assert [server.chat()[0] for _ in range(3)] == [200, 200, 429]
        pool, = server.admin("GET", "quotas")[1]["pools"]
        assert (pool["limit"], pool["used"], pool["remaining"], pool["peak"]) == (4, 4, 0, 4)
        assert (pool["dimension"], pool["throttled"]) == ("requests_total", 5)


def test_quota_taken_away_and_lifted(tmp_path):
    with serving(tmp_path) as server:
        assert server.chat()[0] == 200
        server.admin("PATCH", "quotas", {"*": {"requests_per_minute": 0}})
        assert server.chat()[0] == 429
        server.admin("PATCH", "quotas", {"*": {"requests_per_minute": None}})
        assert server.chat()[0] == 200


def test_quota_changed_by_halves_leaves_the_rest(tmp_path):
    config = {"quotas": {MODEL: {"requests_per_minute": 5, "tokens_per_minute": 1000}}}
    with serving(tmp_path, config) as server:
        server.admin("PATCH", "quotas", {MODEL: {"tokens_per_minute": 2000}})
        assert server.admin("GET", "quotas")[1]["limits"] == {
            MODEL: {"requests_per_minute": 5, "tokens_per_minute": 2000}}


@pytest.mark.parametrize("body, message", [
    ("", "body:1:1: the JSON text ends too early"),
    ("[]", "body: /: found an array, wanted an object of limits by model"),
    ('{"*": {"requests_per_minut": 1}}',
     'body: /*/requests_per_minut: unknown key; did you mean "requests_per_minute"?'),
    ('{"*": {"requests_per_minute": -1}}',
     "body: /*/requests_per_minute: found -1, wanted a whole number from 0 to 1000000000000"),
    ('{"*": {"requests_per_minute": 1}, "x": {"requests_per_minute": "1"}}',
     'body: /x/requests_per_minute: found "1", wanted a whole number from 0 to 1000000000000'),
])
def test_bad_change_is_refused_and_changes_nothing(tmp_path, body, message):
    with serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 60}}}) as server:
        before = server.admin("GET", "quotas")
        assert server.admin("PATCH", "quotas", body) == (400, {"error": message})
        assert server.admin("GET", "quotas") == before


def test_reset_forgets_what_was_and_goes_back_to_the_config(tmp_path):
    config = {"quotas": {MODEL: {"requests_total": 1}},
              "script": [{"answer": {"error": "slow_down"}}]}
    with serving(tmp_path, config) as server:
        assert [server.chat()[0] for _ in range(3)] == [429, 200, 429]
        server.admin("PATCH", "quotas", {MODEL: {"requests_total": 100}})
        assert server.admin("POST", "reset")[0] == 200
        assert server.journal() == []
        assert server.admin("GET", "quotas")[1]["limits"] == {MODEL: {"requests_total": 1}}
        assert [server.chat()[0] for _ in range(3)] == [429, 200, 429]
        assert metric(server, "toomany_requests_total") == 3


def test_admin_paths_and_methods(tmp_path):
    with serving(tmp_path) as server:
        status, answer = server.admin("GET", "secrets")
        assert status == 404
        assert "health, journal, quotas, tier, reset, reload and metrics" in answer["error"]
        for method, name, allowed in [("DELETE", "quotas", "GET, HEAD, PATCH"), ("GET", "reset", "POST"),
                                      ("POST", "health", "GET, HEAD"), ("ET", "health", "GET, HEAD")]:
            status, headers, _ = server.request(method, f"/_toomany/{name}")
            assert (status, headers["Allow"]) == (405, allowed), (method, name)
        status, health = server.admin("GET", "health")
        assert (status, health["status"], health["requests"], health["in_flight"]) == (
            200, "ok", 0, 0)


# ---- metrics ----

def metrics(server):
    status, headers, text = server.request("GET", "/_toomany/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def metric(server, name, **labels):
    family = metrics(server)[name.removesuffix("_total")]
    return sum(sample.value for sample in family.samples
               if sample.name == name and labels.items() <= sample.labels.items())


def test_metrics_are_what_prometheus_reads_and_count_what_was_answered(tmp_path):
    odd = 'a "model" with \\ and \n'
    config = {"quotas": {MODEL: {"requests_per_minute": 2, "tokens_per_minute": 100000}},
              "script": [{"answer": {"error": "slow_down"}, "when": {"model": odd}}]}
    with serving(tmp_path, config) as server:
        statuses = [server.chat()[0] for _ in range(5)] + [server.chat(model=odd)[0]]
        assert statuses == [200, 200, 429, 429, 429, 429]
        assert metric(server, "toomany_requests_total") == 6
        assert metric(server, "toomany_requests_total", model=MODEL, status="200",
                      decision="served") == 2
        assert metric(server, "toomany_requests_total", model=MODEL, status="429",
                      code="rate_limit_exceeded", decision="throttled") == 3
        assert metric(server, "toomany_requests_total", model=odd, code="slow_down",
                      decision="scripted") == 1
        assert metric(server, "toomany_throttled_total", limit="requests_per_minute") == 3
        assert metric(server, "toomany_throttled_total") == 3
        assert metric(server, "toomany_quota_limit", model=MODEL,
                      dimension="requests_per_minute") == 2
        assert metric(server, "toomany_quota_peak", model=MODEL,
                      dimension="requests_per_minute") == 2
        assert metric(server, "toomany_quota_limit", key_tail=KEY[-4:]) == 100002
        assert metric(server, "toomany_in_flight") == 0
        entries = server.journal()
        assert metric(server, "toomany_tokens_total") == sum(
            entry["tokens"] for entry in entries if entry["decision"] == "served")
        durations = metrics(server)["toomany_request_duration_seconds"]
        assert durations.type == "histogram"
        samples = {(sample.name, sample.labels.get("le")): sample.value
                   for sample in durations.samples}
        assert samples["toomany_request_duration_seconds_count", None] == 6
        assert samples["toomany_request_duration_seconds_bucket", "+Inf"] == 6
        assert samples["toomany_request_duration_seconds_sum", None] == pytest.approx(
            sum(entry["answered_ns"] - entry["arrived_ns"] for entry in entries) / 1e9, abs=1e-9)


def test_metrics_are_what_promtool_takes(tmp_path):
    folder = str(pathlib.Path(sys.executable).parent)  # where script/test puts it
    promtool = shutil.which("promtool", path=os.pathsep.join([folder, os.environ["PATH"]]))
    if promtool is None:
        pytest.skip("promtool is not on this machine: the package prometheus has it")
    with serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 1}}}) as server:
        for model in ("m", "m", 'a "quoted" \\ one'):
            server.chat(model=model)
        _, _, text = server.request("GET", "/_toomany/metrics")
    finished = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True,
                              timeout=PATIENCE_S, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"", b"")


def test_usage_is_seen_before_it_runs_out(tmp_path):
    """R9: what is used of a quota is visible while there is still time to ask for more."""
    with serving(tmp_path, {"quotas": {MODEL: {"requests_per_day": 10}}}) as server:
        for _ in range(8):
            assert server.chat()[0] == 200
        assert metric(server, "toomany_quota_used", dimension="requests_per_day") == 8
        pool, = server.admin("GET", "quotas")[1]["pools"]
        assert (pool["used"], pool["remaining"], pool["throttled"]) == (8, 2, 0)
        headers = server.chat()[1]
        assert headers["x-ratelimit-limit-requests"] == "10"
        assert headers["x-ratelimit-remaining-requests"] == "1"


def test_descriptors_are_not_lost(tmp_path):
    """A thousand connections later as many are open as before."""
    with serving(tmp_path) as server:
        def count():
            return len(os.listdir(f"/proc/{server.process.pid}/fd"))

        server.chat()
        before = count()
        for _ in range(1000):
            server.chat()
        wait_until(lambda: count() <= before, f"{before} descriptors again")


PREFLIGHT = {"Origin": "http://page.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang"}


def test_a_page_in_a_browser_may_ask(tmp_path):
    config = {"quotas": {"*": {"requests_per_minute": 1}}}
    with serving(tmp_path, config, "--api-key", "sk-good-key-0000") as server:
        status, headers, body = server.request("OPTIONS", "/v1/chat/completions", None, PREFLIGHT)
        assert (status, body) == (204, b"")
        assert headers["access-control-allow-origin"] == "*"
        assert "POST" in headers["access-control-allow-methods"]
        assert headers["access-control-allow-headers"] == "Authorization, *"
        ask = {"Origin": "http://page.example", "Content-Type": "application/json"}
        chat = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        for key, wanted in (("sk-good-key-0000", 200), ("sk-good-key-0000", 429), ("other", 401)):
            status, headers, _ = server.request("POST", "/v1/chat/completions", chat,
                                                {**ask, "Authorization": f"Bearer {key}"})
            assert status == wanted
            assert headers["access-control-allow-origin"] == "*"
            assert headers["access-control-expose-headers"] == "X-Request-ID"
        status, headers, _ = server.request("OPTIONS", "/_toomany/health", None, PREFLIGHT)
        assert status >= 400 and "access-control-allow-origin" not in headers
        _, headers, _ = server.request("GET", "/v1/models", None,
                                       {"Authorization": "Bearer sk-good-key-0000"})
        assert "access-control-allow-origin" not in headers


def test_no_page_may_ask_what_stands_before_an_upstream(tmp_path):
    with serving(tmp_path) as behind, serving(tmp_path, {}, "--upstream",
                                              behind.base_url) as server:
        status, headers, _ = server.request("OPTIONS", "/v1/chat/completions", None, PREFLIGHT)
        assert status == 401 and "access-control-allow-origin" not in headers
        assert behind.journal() == []
