"""`toomany serve` as its operator sees it: the set-up read again, keys, TLS, who may administer,
bounds on the command line, messages."""

import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
from test_real_clients import NODE_FOLDER, node_sdk, python_sdk
from toomany import (PATIENCE_S, Server, environment, run, scenario, serving, start, wait_until,
                     write_scenario)

KEY = "sk-operation-not-to-be-seen-0123456789"


def write(path, config):
    pathlib.Path(path).write_text(config if isinstance(config, str) else json.dumps(config),
                                  encoding="utf-8")


# ---- the set-up, read again ----

def by_signal(server):
    server.process.send_signal(signal.SIGHUP)


def by_endpoint(server):
    server.admin("POST", "reload")


@pytest.mark.parametrize("reload", [by_signal, by_endpoint])
def test_reload_takes_the_new_limits_and_keeps_what_is_used_and_the_connections(tmp_path, reload):
    with serving(tmp_path, {"quotas": {"*": {"requests_per_day": 2}}}) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)

        def chat():
            connection.request("POST", "/v1/chat/completions", json.dumps(
                {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}),
                {"Authorization": f"Bearer {KEY}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert [chat(), chat(), chat()] == [200, 200, 429]
        write(tmp_path / "config.json", {"quotas": {"*": {"requests_per_day": 4}}})
        reload(server)
        wait_until(lambda: server.admin("GET", "quotas")[1]["limits"]["*"]["requests_per_day"] == 4,
                   "the new limit")
        # Two of four were used; the refused one had nothing left to use up.
        assert [chat(), chat(), chat()] == [200, 200, 429]
        entries = server.journal()
        assert len({entry["connection"] for entry in entries}) == 1 and len(entries) == 6


def test_reload_while_answers_are_under_way(tmp_path):
    with serving(tmp_path, {"latency": "300ms"}) as server:
        sockets = []
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
            body = b'{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: "
                               b"Bearer k\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            sockets.append(connection)
        wait_until(lambda: server.admin("GET", "health")[1]["in_flight"] == 20, "20 in flight")
        write(tmp_path / "config.json", {"quotas": {"m": {"concurrent_requests": 1}}})
        assert server.admin("POST", "reload")[0] == 200
        for connection in sockets:
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()


@pytest.mark.parametrize("bad, place", [
    ('{"quotas": {', "config.json:1:13"),
    ('{"quotas": {"*": {"requests_per_minute": "many"}}}',
     "config.json: /quotas/*/requests_per_minute: found \"many\""),
    ('{"qoutas": {}}', "config.json: /qoutas"),
    (None, "config.json: No such file or directory"),
])
def test_bad_file_is_refused_and_the_old_one_kept(tmp_path, bad, place):
    with serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 7}}}) as server:
        path = tmp_path / "config.json"
        if bad is None:
            path.unlink()
        else:
            write(path, bad)
        status, answer = server.admin("POST", "reload")
        assert status == 400 and place in answer["error"]
        by_signal(server)
        assert server.admin("GET", "quotas")[1]["limits"] == {"*": {"requests_per_minute": 7}}
        assert server.chat()[0] == 200
        _, errors = server.stop()
        told = [line for line in errors.splitlines() if place in line]
        assert len(told) == 2
        assert all(line.startswith("toomany serve: ") and line.endswith("; the set-up stays as it "
                                                                        "was") for line in told)


def test_reload_starts_the_script_anew_and_keeps_the_command_line(tmp_path):
    config = {"script": [{"answer": {"error": "slow_down"}}]}
    with serving(tmp_path, config, "--tier", "1", "--api-key", KEY) as server:
        assert [server.chat(key=KEY)[0], server.chat(key=KEY)[0]] == [429, 200]
        assert server.admin("POST", "reload")[0] == 200
        assert [server.chat(key=KEY)[0], server.chat(key=KEY)[0]] == [429, 200]
        assert server.chat(key="another-key-0000")[0] == 401
        assert server.admin("GET", "tier")[1] == {"tier": "1"}


def limit_of(server, model):
    _, headers, _ = server.chat(model=model)
    return tuple(headers.get("x-ratelimit-limit-" + unit) for unit in ("requests", "tokens"))


def test_quotas_go_before_the_tier_which_has_what_they_do_not_say(tmp_path):
    quotas = {"ft:*": {"requests_per_minute": 20, "requests_per_day": None},
              "gpt-4o": {"concurrent_requests": 1}}
    tuned = "ft:gpt-4o-mini:acme::7p4lURel"
    with serving(tmp_path, {"quotas": quotas}, "--tier", "1") as server:
        assert limit_of(server, tuned) == ("20", "200000")
        assert limit_of(server, "gpt-4o") == ("500", "30000")
        assert server.admin("PUT", "tier", {"tier": "5"})[0] == 200
        assert limit_of(server, tuned) == ("20", "150000000")
        assert limit_of(server, "gpt-4o") == ("10000", "30000000")
        assert server.admin("PATCH", "quotas", {"*": {"requests_per_minute": 2}})[0] == 200
        assert limit_of(server, "gpt-4.1") == ("2", "30000000")
        assert limit_of(server, tuned) == ("20", "150000000")
        limits = server.admin("GET", "quotas")[1]["limits"]
        assert limits["gpt-4o"] == {"requests_per_minute": 10000, "tokens_per_minute": 30000000,
                                    "concurrent_requests": 1}
        assert server.admin("POST", "reload")[0] == 200
        assert limit_of(server, "gpt-4.1") == ("500", "30000")


def test_a_change_takes_the_place_of_all_that_quotas_say_of_a_model(tmp_path):
    config = {"tier": "1", "quotas": {"gpt-4o": {"requests_per_minute": 3}},
              "changes": [{"after_requests": 1, "quotas": {"gpt-4o": {"tokens_per_minute": 77}}}]}
    with serving(tmp_path, config) as server:
        assert limit_of(server, "gpt-4o") == ("3", "30000")
        assert limit_of(server, "gpt-4o") == ("500", "77")  # the tier's, and the change's


def test_reload_of_a_scenario(tmp_path):
    path = write_scenario(tmp_path, scenario({"requests": 1}, {}))
    with serving(tmp_path, None, "--scenario", path) as server:
        assert server.chat()[0] == 200
        write_scenario(tmp_path, scenario({"requests": 1}, {"quotas": {
            "*": {"requests_per_minute": 0}}}))
        assert server.admin("POST", "reload")[0] == 200
        assert server.chat()[0] == 429


def test_reload_without_a_file(tmp_path):
    with serving(tmp_path) as server:
        status, answer = server.admin("POST", "reload")
        assert status == 409 and "--config" in answer["error"]


# ---- keys ----

def test_other_keys_get_openais_401(tmp_path):
    other = "sk-other-00000000-9999"
    with serving(tmp_path, None, "--api-key", KEY, "--api-key", "second") as server:
        assert [server.chat(key=KEY)[0], server.chat(key="second")[0]] == [200, 200]
        status, _, body = server.chat(key=other)
        assert status == 401 and json.loads(body)["error"] == {
            "message": "Incorrect API key provided: sk-other**************************9999. You "
                       "can find your API key at https://platform.openai.com/account/api-keys.",
            "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}


def test_keys_of_file_and_command_line_are_good(tmp_path):
    with serving(tmp_path, {"api_keys": ["of-the-file"]}, "--api-key", KEY) as server:
        assert [server.chat(key=key)[0] for key in ("of-the-file", KEY, "none")] == [200, 200, 401]


def memory_of(pid):
    """Its command line and environment, as other programs of the user see them."""
    return b"".join(pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
                    for name in ("cmdline", "environ"))


def test_keys_are_nowhere_to_be_read(tmp_path):
    journal, token = tmp_path / "journal", "admin-token-not-to-be-seen-0123456789"
    wrong = "sk-a-wrong-key-not-to-be-seen-9876"
    with serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 1}}}, "--journal", journal,
                 "--api-key", KEY, "--admin-token", token, "--log-format", "json",
                 "--log-level", "debug") as server:
        for key in (KEY, KEY, wrong):
            server.chat(key=key)
            server.request("GET", "/v1/models", None, {"Authorization": f"Bearer {key}"})
            server.request("POST", "/v1/chat/completions", "{", {"Authorization": f"Bearer {key}"})
            server.request("GET", f"/v1/nothing?api-key={key}", None,
                           {"Authorization": f"Bearer {key}"})
        bearer = {"Authorization": f"Bearer {token}"}
        told = b"".join(server.request("GET", f"/_toomany/{name}", None, bearer)[2]
                        for name in ("health", "journal", "quotas", "metrics", "tier"))
        told += memory_of(server.process.pid)
        server.request("POST", "/_toomany/reload", None, bearer)
        _, errors = server.stop()
    told += errors.encode() + journal.read_bytes()
    assert told.count(b'"key_tail":"6789"') > 0
    for secret in (KEY, wrong, token):
        assert secret.encode() not in told
        assert secret[:-4][-12:].encode() not in told


# ---- TLS ----

class SecureServer(Server):
    def __init__(self, process, line):
        self.process = process
        match = re.fullmatch(r"toomany: serving (https://127\.0\.0\.1:(\d+)/v1)\n", line)
        assert match, f"first line: {line!r}"
        self.base_url, self.port = match[1], int(match[2])


@contextlib.contextmanager
def serving_tls(folder, config=None, *options):
    """With a certificate that it makes itself; clients trust it by FOLDER/trusted.pem."""
    write(folder / "config.json", config or {})
    process = start("serve", "--port", "0", "--config", folder / "config.json",
                    "--tls-self-signed", folder / "trusted.pem", *options)
    try:
        yield SecureServer(process, process.stdout.readline())
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def curl(folder, server, *more):
    return subprocess.run(
        ["curl", "-sS", "--max-time", "60", "--cacert", folder / "trusted.pem",
         f"{server.base_url}/chat/completions", "-H", f"Authorization: Bearer {KEY}", "-d",
         '{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}', *more],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment())


def test_tls_is_what_curl_trusts(tmp_path):
    with serving_tls(tmp_path) as server:
        finished = curl(tmp_path, server)
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout)["object"] == "chat.completion"
        # By name, too; not without trust.
        assert curl(tmp_path, server, "--connect-to",
                    f"127.0.0.1:{server.port}:localhost:{server.port}").returncode == 0
        untrusted = subprocess.run(["curl", "-s", f"{server.base_url}/models"], check=False,
                                   timeout=PATIENCE_S)
        assert untrusted.returncode == 60
        _, errors = server.stop()
        assert f"curl --cacert {tmp_path}/trusted.pem" in errors
        assert "SSL_CERT_FILE=" in errors and "NODE_EXTRA_CA_CERTS=" in errors


def test_tls_with_a_given_certificate(tmp_path):
    """One that the server itself made is as good as any: here OpenSSL makes it."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=given", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "trusted.pem"],
                   check=True, capture_output=True, timeout=PATIENCE_S)
    process = start("serve", "--port", "0", "--tls-cert", tmp_path / "trusted.pem",
                    "--tls-key", tmp_path / "key.pem")
    try:
        server = SecureServer(process, process.stdout.readline())
        assert curl(tmp_path, server).returncode == 0
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("certificate, key, message", [
    ("gone.pem", "gone.pem", "gone.pem: No such file or directory"),
    ("nonsense.pem", "nonsense.pem", "nonsense.pem, nonsense.pem: "),
])
def test_tls_with_a_bad_certificate_is_told(tmp_path, certificate, key, message):
    write(tmp_path / "nonsense.pem", "nonsense")
    finished = run("serve", "--port", "0", "--tls-cert", certificate, "--tls-key", key,
                   cwd=tmp_path)
    assert finished.returncode == 2 and finished.stderr.startswith(f"toomany serve: {message}")


def test_tls_streams_come_as_they_are_due_and_faults_go_through(tmp_path):
    config = {"tokens_per_second": 1000, "first_token": "1ms",
              "script": [{"when": {"request": 2}, "answer": {"fault": "truncate"}},
                         {"when": {"request": 3}, "answer": {"fault": "reset"}}]}
    with serving_tls(tmp_path, config) as server:
        context = ssl.create_default_context(cafile=tmp_path / "trusted.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context,
                                                 timeout=PATIENCE_S)
        connection.request("POST", "/v1/chat/completions", json.dumps(
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}),
            {"Authorization": f"Bearer {KEY}"})
        assert connection.getresponse().read().endswith(b"data: [DONE]\n\n")
        connection.close()
        truncated = curl(tmp_path, server)
        assert truncated.returncode == 18, truncated.stderr
        reset = curl(tmp_path, server)
        assert reset.returncode in (52, 56, 35), reset.stderr
        assert curl(tmp_path, server).returncode == 0


def test_tls_many_requests_on_one_connection_and_large_bodies(tmp_path):
    with serving_tls(tmp_path) as server:
        context = ssl.create_default_context(cafile=tmp_path / "trusted.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context,
                                                 timeout=PATIENCE_S)
        for size in (1, 70000, 1, 3_000_000, 20):
            connection.request("POST", "/v1/chat/completions", json.dumps(
                {"model": "m", "messages": [{"role": "user", "content": "x" * size}]}),
                {"Authorization": f"Bearer {KEY}"})
            answer = connection.getresponse()
            assert answer.status == 200 and json.loads(answer.read())["usage"]
        connection.close()


def test_tls_and_who_speaks_none(tmp_path):
    with serving_tls(tmp_path, None, "--max-request-time", "200ms") as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as plain:
            plain.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
            assert not plain.recv(1000).startswith(b"HTTP")
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as silent:
            assert silent.recv(1000) == b""  # cut when its time is over
        assert curl(tmp_path, server).returncode == 0


SDK_PYTHON = """
import openai
client = openai.OpenAI(max_retries=0)
print(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
      .choices[0].message.content)
print("".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(
    model="m", messages=[{"role": "user", "content": "Hello"}], stream=True)))
"""

SDK_NODE = """
import OpenAI from "openai";
const client = new OpenAI({maxRetries: 0});
const messages = [{role: "user", content: "Hello"}];
const answer = await client.chat.completions.create({model: "m", messages});
console.log(answer.choices[0].message.content);
let text = "";
for await (const chunk of await client.chat.completions.create({model: "m", messages, stream: true}))
  text += chunk.choices[0].delta.content ?? "";
console.log(text);
"""


def test_tls_is_what_the_python_sdk_trusts(tmp_path):
    with serving_tls(tmp_path) as server:
        finished = subprocess.run(
            [python_sdk()[0], "-c", SDK_PYTHON], capture_output=True, text=True, check=False,
            timeout=PATIENCE_S,
            env=environment(**server.environment(), SSL_CERT_FILE=str(tmp_path / "trusted.pem")))
        assert finished.stdout == "This is a test!\nThis is a test!\n", finished.stderr


def test_tls_is_what_the_node_sdk_trusts(tmp_path):
    with serving_tls(tmp_path) as server:
        finished = run_node(SDK_NODE, server, NODE_EXTRA_CA_CERTS=str(
            tmp_path / "trusted.pem"))
        assert finished.stdout == "This is a test!\nThis is a test!\n", finished.stderr


def run_node(program, server, **more):
    node = node_sdk()[0]  # run where the SDK is installed
    return subprocess.run([node, "--input-type=module", "-e", program], capture_output=True,
                          text=True, check=False, cwd=NODE_FOLDER, timeout=PATIENCE_S,
                          env=environment(**server.environment(), **more))


# ---- who may administer ----

def test_web_pages_may_not_administer(tmp_path):
    with serving(tmp_path, {"quotas": {"*": {"requests_per_minute": 7}}}) as server:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"},
                        {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            for method, name in (("GET", "quotas"), ("POST", "reset"), ("PATCH", "quotas")):
                status, _, body = server.request(method, f"/_toomany/{name}",
                                                 '{"*": {"requests_per_minute": 9}}', headers)
                assert status == 403 and json.loads(body)["error"]
        assert server.admin("GET", "quotas")[1]["limits"]["*"]["requests_per_minute"] == 7
        # The API itself is for any host.
        assert server.request("GET", "/v1/models", None, {
            "Host": "api.openai.com", "Authorization": "Bearer k"})[0] == 200


def test_another_address_wants_a_token(tmp_path):
    process = start("serve", "--host", "0.0.0.0", "--port", "0", "--max-idle", "10m")
    try:
        line = process.stdout.readline()
        port = int(re.fullmatch(r"toomany: serving http://0\.0\.0\.0:(\d+)/v1\n", line)[1])
        told = process.stderr.readline()
        token = re.fullmatch(r'toomany serve: the admin endpoints want "Authorization: Bearer '
                             r'([0-9a-f]{32})"\n', told)[1]

        def health(**headers):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request("GET", "/_toomany/health", None, headers)
            return connection.getresponse()

        assert health().status == 401
        assert health().headers["WWW-Authenticate"] == "Bearer"
        assert health(Authorization="Bearer " + "0" * 32).status == 401
        assert health(Authorization=f"Bearer {token}").status == 200
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def test_given_token_is_wanted_on_loopback_too(tmp_path):
    with serving(tmp_path, None, "--admin-token", "mine") as server:
        assert server.request("GET", "/_toomany/health")[0] == 401
        assert server.request("GET", "/_toomany/health", None,
                              {"Authorization": "Bearer mine"})[0] == 200
        assert server.request("GET", "/_toomany/health", None, {
            "Authorization": "Bearer mine", "Host": "evil.example"})[0] == 403
        assert server.chat()[0] == 200


# ---- bounds on the command line (at each bound: tests/unit/test_server_bounds.c) ----

def test_bounds_of_the_command_line(tmp_path):
    with serving(tmp_path, None, "--max-header-bytes", "2000", "--max-body-bytes", "1000",
                 "--max-idle", "10m") as server:
        auth = {"Authorization": "Bearer k"}
        assert server.request("GET", "/v1/models", None, {**auth, "X": "a" * 2000})[0] == 431
        assert server.request("POST", "/v1/chat/completions", "x" * 1001, auth)[0] == 413
        assert {431, 413} <= {entry["status"] for entry in server.journal()}


def test_connections_of_an_address_are_bounded(tmp_path):
    with serving(tmp_path, None, "--max-address-connections", "1") as server:
        auth = {"Authorization": "Bearer k"}
        # The first of all: one that its client has closed counts until the server has seen it.
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as held:
            held.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
            assert held.recv(12) == b"HTTP/1.1 200"
            status, _, body = server.request("GET", "/v1/models", None, auth)
            assert status == 503 and json.loads(body)["error"]["code"] == "too_many_connections"
        wait_until(lambda: server.request("GET", "/v1/models", None, auth)[0] == 200, "room again")
        seen = []

        def journal_has_come():
            seen[:] = server.request("GET", "/_toomany/journal")
            return seen[0] == 200

        wait_until(journal_has_come, "room once more")
        assert b'"status":503' in seen[2].replace(b": ", b":")


def test_full_journal_file_is_set_aside(tmp_path):
    journal = tmp_path / "journal"
    with serving(tmp_path, None, "--journal", journal, "--max-journal-bytes", "1500") as server:
        for _ in range(10):
            server.chat()
        server.stop()
    first, second = (pathlib.Path(name).read_text().splitlines()
                     for name in (f"{journal}.1", journal))
    numbers = [json.loads(line)["sequence"] for line in first + second]
    assert numbers == list(range(numbers[0], 11)) and numbers[0] > 1
    size = len("\n".join(first)) + 1
    assert size >= 1500 > size - len(first[-1]) - 1


@pytest.mark.parametrize("arguments, message", [
    (["--max-header-bytes", "10"], '--max-header-bytes: found "10", wanted a whole number from '
                                   "1024 to 1048576"),
    (["--max-idle", "0s"], '--max-idle: found "0s", wanted a time such as 500ms, 60s or 30m'),
    (["--max-journal-bytes", "10"], "--max-journal-bytes wants --journal FILE"),
    (["--tls-cert", "x"], "--tls-cert and --tls-key go together"),
    (["--log-format", "xml"], '--log-format: found "xml", wanted text or json'),
    (["--log-level", "loud"], '--log-level: found "loud", wanted error, warning, info or debug'),
    (["--api-key", ""], "--api-key: is empty"),
    (["--api-key", "a b"], "--api-key: wanted visible ASCII characters: it goes into a header"),
])
def test_wrong_options(arguments, message):
    finished = run("serve", "--port", "0", *arguments)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == f"toomany serve: {message}\n"


# ---- messages ----

def test_messages_as_json(tmp_path):
    with serving(tmp_path, {}, "--log-format", "json", "--log-level", "debug") as server:
        server.chat()
        write(tmp_path / "config.json", "{")
        server.admin("POST", "reload")
        write(tmp_path / "config.json", "{}")
        server.admin("POST", "reload")
        _, errors = server.stop()
    events = [json.loads(line) for line in errors.splitlines()]
    assert [event["event"] for event in events] == [
        "serving", "request", "reload_refused", "reloaded", "stopped"]
    for event in events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
        assert event["level"] in ("error", "info", "debug") and event["message"]
    request = events[1]
    assert (request["method"], request["path"], request["status"], request["decision"]) == (
        "POST", "/v1/chat/completions", 200, "served")
    assert events[-1]["requests"] == 1


def test_level_leaves_messages_out(tmp_path):
    with serving(tmp_path, {}, "--log-level", "error") as server:
        server.admin("POST", "reload")
        assert server.stop()[1] == ""


def test_error_at_the_start_as_json():
    finished = run("serve", "--config", "gone.json", "--log-format", "json")
    event = json.loads(finished.stderr)
    assert finished.returncode == 2
    assert (event["event"], event["message"]) == ("failed", "gone.json: No such file or directory")
