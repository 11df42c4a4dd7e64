"""`toomany serve --upstream` in front of another `toomany serve`, and what `--record` writes."""

import http.client
import http.server
import json
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from test_real_clients import python_sdk
from toomany import PATIENCE_S, Server, environment, run, serving, start, wait_until

MESSAGES = [{"role": "user", "content": "Hello"}]
SECRET = "sk-upstream-secret-not-to-be-seen-4321"


def test_admitted_requests_are_answered_by_the_upstream(tmp_path):
    behind = {"models": {"m": {"content": "from behind"}}}
    with serving(tmp_path, behind) as upstream, serving(
            tmp_path, {"quotas": {"*": {"requests_per_minute": 1}}}, "--upstream",
            upstream.base_url) as server:
        status, headers, body = server.chat(model="m")
        assert status == 200
        assert json.loads(body)["choices"][0]["message"]["content"] == "from behind"
        assert headers["x-ratelimit-limit-requests"] == "1"  # ours
        assert headers["x-request-id"] == upstream.journal()[0]["request_id"]
        assert server.chat(model="m")[0] == 429  # by our limit: the upstream is not asked
        assert len(upstream.journal()) == 1
        # What is only looked up, and paths that the mock does not know, are its matter, too.
        auth = {"Authorization": "Bearer k"}
        assert "m" in [model["id"] for model in json.loads(
            server.request("GET", "/v1/models", None, auth)[2])["data"]]
        status, _, body = server.request("DELETE", "/v1/nothing?x=1", None, auth)
        assert status == 404 and b"Invalid URL (DELETE /v1/nothing)" in body
        assert [entry["path"] for entry in upstream.journal()] == [
            "/v1/chat/completions", "/v1/models", "/v1/nothing"]


FORM = (b"--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n"
        b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n"
        b"--X--\r\n")


@pytest.mark.parametrize("path, kind, body", [
    ("/v1/audio/transcriptions", "multipart/form-data; boundary=X", FORM),
    ("/v1/rerank", "application/json", b'{"model": "whisper-1", "query": "Hello"}')])
def test_limits_and_scripts_stand_before_endpoints_that_only_the_upstream_has(
        tmp_path, path, kind, body):
    ours = {"quotas": {"whisper-1": {"requests_per_minute": 1}},
            "script": [{"answer": {"error": "server_error"}, "when": {"path": path}}]}
    headers = {"Authorization": "Bearer k", "Content-Type": kind}
    with serving(tmp_path) as upstream, serving(
            tmp_path, ours, "--upstream", upstream.base_url) as server:
        statuses = [server.request("POST", path, body, headers)[0] for _ in range(3)]
        assert statuses == [500, 404, 429]  # by the script, by the upstream, by our limit
        assert [entry["path"] for entry in upstream.journal()] == [path]
        assert [(entry["model"], entry["decision"]) for entry in server.journal()] == [
            ("whisper-1", "scripted"), ("whisper-1", "served"), ("whisper-1", "throttled")]


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers everything, and keeps the bodies."""

    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b'{"up":1}')

    def log_message(self, *_):
        pass


@pytest.fixture
def echo():
    with http.server.HTTPServer(("127.0.0.1", 0), Echo) as server:
        server.bodies = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


LONG = "/models/" + "llama-3-70b-instruct-" * 10


@pytest.mark.parametrize("path, body, model", [
    ("/v1/audio/speech", {"model": "m", "input": "Hi", "voice": "x", "response_format": "opus"},
     "m"),
    ("/v1/images/generations", {"model": "m", "prompt": "a cat", "stream": True}, "m"),
    ("/v1/embeddings", {"model": "m", "input": "Hello", "dimensions": 4096}, "m"),
    ("/v1/responses", {"prompt": {"id": "p"}}, ""),
    ("/v1/chat/completions", {"model": "m", "messages": MESSAGES, "max_tokens": -1}, "m"),
    ("/v1/chat/completions", {"model": LONG, "messages": MESSAGES}, LONG[:95]),
    ("/v1/chat/completions", b"\x1f\x8b compressed", "")])
def test_what_the_mock_itself_would_refuse_goes_to_the_upstream(tmp_path, echo, path, body, model):
    ours = {"quotas": {"*": {"requests_per_minute": 1}}}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with serving(tmp_path, ours, "--upstream",
                 f"http://127.0.0.1:{echo.server_port}/v1") as server:
        headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
        statuses = [server.request("POST", path, data, headers)[0] for _ in range(2)]
        assert statuses == [200, 429 if model else 200]
        assert echo.bodies == [data] * statuses.count(200)
        assert server.journal()[0]["model"] == model


def test_upstream_is_asked_by_the_path_alone(tmp_path):
    with serving(tmp_path) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url) as server:
        target = f"http://127.0.0.1:{server.port}/v1/models?limit=1"
        assert server.request("GET", target, None, {"Authorization": "Bearer k"})[0] == 200
        assert [entry["path"] for entry in upstream.journal()] == ["/v1/models"]


def test_faults_stand_before_what_only_the_upstream_has(tmp_path):
    ours = {"script": [{"answer": {"fault": "proxy_page"}, "when": {"path": "/v1/vector_stores*"}}]}
    auth = {"Authorization": "Bearer k"}
    with serving(tmp_path) as upstream, serving(
            tmp_path, ours, "--upstream", upstream.base_url) as server:
        status, _, body = server.request("GET", "/v1/vector_stores/1", None, auth)
        assert (status, b"<html>" in body, upstream.journal()) == (502, True, [])
        assert server.request("GET", "/v1/vector_stores/1", None, auth)[0] == 404


def test_errors_of_the_upstream_go_through(tmp_path):
    behind = {"script": [{"answer": {"error": "rate_limit_exceeded", "retry_after": "7s"}}]}
    with serving(tmp_path, behind) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url) as server:
        status, headers, body = server.chat()
        assert (status, headers["retry-after"]) == (429, "7")
        assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
        entry, = server.journal()
        assert (entry["status"], entry["code"], entry["retry_after_ns"], entry["decision"]) == (
            429, "rate_limit_exceeded", 7_000_000_000, "served")


def test_faults_are_put_in_front_without_asking(tmp_path):
    with serving(tmp_path) as upstream, serving(
            tmp_path, {"script": [{"answer": {"fault": "reset"}}]}, "--upstream",
            upstream.base_url) as server:
        with pytest.raises((OSError, http.client.HTTPException)):
            server.chat()
        assert server.chat()[0] == 200
        assert len(upstream.journal()) == 1


def test_streams_come_through_as_they_come(tmp_path):
    with serving(tmp_path, {"tokens_per_second": 10}) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        connection.request("POST", "/v1/chat/completions", json.dumps(
            {"model": "m", "messages": MESSAGES, "stream": True}), {"Authorization": "Bearer k"})
        answer = connection.getresponse()
        first = answer.read1()
        # The end is not there yet on the other side.
        assert upstream.admin("GET", "health")[1]["in_flight"] == 1
        rest = answer.read()
        assert first.startswith(b"data: ") and rest.endswith(b"data: [DONE]\n\n")
        connection.close()


def test_upstream_that_is_not_there_is_502(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving(tmp_path, {}, "--upstream", f"http://127.0.0.1:{port}/v1") as server:
        status, headers, body = server.chat()
        error = json.loads(body)["error"]
        assert (status, error["type"], error["code"]) == (502, "server_error", "upstream_failed")
        assert "upstream server could not be asked" in error["message"]
        entry = server.journal()[0]
        assert (entry["status"], entry["request_id"]) == (502, headers["x-request-id"])
        assert headers["date"].endswith(" GMT")
        assert "upstream: " in server.stop()[1]


def test_upstream_that_is_silent_is_504(tmp_path):
    with serving(tmp_path, {"latency": "10m"}) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url, "--upstream-timeout",
            "200ms") as server:
        status, _, body = server.chat()
        assert (status, json.loads(body)["error"]["code"]) == (504, "upstream_timeout")
        wait_until(lambda: upstream.admin("GET", "health")[1]["in_flight"] == 0, "it is given up")


def test_upstream_that_breaks_off_breaks_off(tmp_path):
    with serving(tmp_path, {"script": [{"answer": {"fault": "truncate"}}]}) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url) as server:
        with pytest.raises((OSError, http.client.HTTPException)):
            server.chat()
        assert server.chat()[0] == 200


def test_client_that_goes_away_ends_the_request_behind(tmp_path):
    with serving(tmp_path, {"latency": "10m"}) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url) as server:
        body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as client:
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: "
                           b"Bearer k\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            wait_until(lambda: upstream.admin("GET", "health")[1]["in_flight"] == 1, "asked")
        wait_until(lambda: upstream.admin("GET", "health")[1]["in_flight"] == 0, "given up")
        wait_until(lambda: server.admin("GET", "health")[1]["in_flight"] == 0, "given up")
        assert server.journal()[0]["abandoned"] and upstream.journal()[0]["abandoned"]


def test_many_at_once_do_not_block_each_other(tmp_path):
    with serving(tmp_path, {"latency": "1s"}) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url) as server:
        statuses = []
        clients = [threading.Thread(target=lambda: statuses.append(server.chat()[0]))
                   for _ in range(50)]
        for client in clients:
            client.start()
        wait_until(lambda: upstream.admin("GET", "health")[1]["in_flight"] == 50, "all at once")
        for client in clients:
            client.join(PATIENCE_S)
        assert statuses == [200] * 50


def test_keys_go_on_or_are_replaced(tmp_path):
    behind = {"api_keys": [SECRET]}
    with serving(tmp_path, behind) as upstream:
        with serving(tmp_path, {}, "--upstream", upstream.base_url) as server:
            assert [server.chat(key=SECRET)[0], server.chat(key="another-0000")[0]] == [200, 401]
        process = start("serve", "--port", "0", "--upstream", upstream.base_url,
                        "--upstream-key-env", "MY_KEY", "--api-key", "only-this-one-1111",
                        env={"MY_KEY": SECRET})
        try:
            server = Server(process, process.stdout.readline())
            assert server.chat(key="only-this-one-1111")[0] == 200
            assert server.chat(key="another-0000")[0] == 401
            assert SECRET not in server.stop()[1]
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("arguments, message", [
    (["--upstream", "nonsense"], '--upstream: found "nonsense", wanted a base URL such as '
                                 "http://127.0.0.1:8000/v1"),
    (["--upstream", "http://me:secret@host/v1"],
     "--upstream: wanted a URL without user and password in it"),
    (["--upstream-key-env", "HOME"],
     "--upstream-key-env and --upstream-timeout want --upstream URL"),
    (["--upstream", "http://h/v1", "--upstream-key-env", "NOT_THERE"],
     "--upstream-key-env: there is no such variable in the environment"),
    (["--record", "gone/file.json"], "gone/file.json: No such file or directory"),
])
def test_wrong_options(tmp_path, arguments, message):
    finished = run("serve", "--port", "0", *arguments, cwd=tmp_path)
    assert finished.returncode in (2, 3) and finished.stderr == f"toomany serve: {message}\n"


# ---- what is recorded ----

ASKS = """
import json, openai
client = openai.OpenAI(max_retries=0)
messages = [{"role": "user", "content": "Hello"}]
def show(ask):
    try:
        answer = ask()
        print(answer if isinstance(answer, str) else answer.model_dump_json())
    except openai.APIStatusError as error:
        print(error.status_code, error.message, error.code, error.request_id,
              {name: value for name, value in error.response.headers.items()
               if name.startswith(("retry", "x-rate"))})
for _ in range(3):
    show(lambda: client.chat.completions.create(model="m", messages=messages))
show(lambda: "".join(chunk.model_dump_json() for chunk in client.chat.completions.create(
    model="n", messages=messages, stream=True)))
show(lambda: client.embeddings.create(model="e", input="text \u2713", dimensions=8))
show(lambda: "".join(event.model_dump_json() for event in client.responses.create(
    model="n", input="Hello", stream=True)))
"""


def sdk_sees(server):
    finished = subprocess.run([python_sdk()[0], "-c", ASKS], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False,
                              env=environment(**{**server.environment(),
                                                 "OPENAI_API_KEY": SECRET}))
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_recording_replays_to_the_sdk(tmp_path, number):
    record = tmp_path / "record.json"
    behind = {"tokens_per_second": 200, "latency": "20ms",
              "quotas": {"m": {"requests_per_minute": 2}}}
    with serving(tmp_path, behind) as upstream, serving(
            tmp_path, {}, "--upstream", upstream.base_url, "--record", record) as server:
        seen = sdk_sees(server)
        assert server.stop(number)[0] == 0
    text = record.read_text(encoding="utf-8")
    assert SECRET not in text and "429 " in seen
    scenario = json.loads(text)
    steps = scenario["server"]["script"]
    assert len(steps) == 6 and scenario["$left_out"] == 0
    assert [step["answer"]["status"] for step in steps] == [200, 200, 429, 200, 200, 200]
    # How many pieces there are is a matter of how fast they were read.
    assert "".join(piece["body"] for piece in steps[3]["answer"]["pieces"]).endswith(
        "data: [DONE]\n\n")
    assert float(steps[0]["latency"].removesuffix("ms")) >= 20
    with serving(tmp_path, None, "--scenario", record) as server:
        started = time.monotonic()
        assert sdk_sees(server) == seen
        assert time.monotonic() - started > 0.1


def test_own_answers_are_recorded_and_what_cannot_be_is_counted(tmp_path):
    record = tmp_path / "record.json"
    config = {"quotas": {"m": {"requests_per_minute": 1}},
              "script": [{"when": {"model": "f"}, "answer": {"fault": "truncate"}}]}
    with serving(tmp_path, config, "--record", record) as server:
        seen = [server.chat(model="m")[::2] for _ in range(2)]
        with pytest.raises((OSError, http.client.HTTPException)):
            server.chat(model="f")
        server.request("POST", "/v1/audio/speech", {"model": "tts-1", "input": "x", "voice": "a"},
                       {"Authorization": "Bearer k"})
        # Before it ends, too: whoever kills it keeps what was written.
        wait_until(lambda: json.loads(record.read_text())["$left_out"] == 2, "it is written")
        server.process.kill()
    scenario = json.loads(record.read_text())
    assert [step["answer"]["body"].encode() for step in scenario["server"]["script"]] == [
        body for _, body in seen]


def test_recording_tells_methods_of_one_path_apart(tmp_path):
    record = tmp_path / "record.json"
    headers = {"Authorization": "Bearer k", "Content-Type": "multipart/form-data; boundary=X"}
    form = (b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
            b'{}\r\n--X--\r\n')
    with serving(tmp_path, {}, "--record", record) as server:
        made = json.loads(server.request("POST", "/v1/files", form, headers)[2])
        listed = json.loads(server.request("GET", "/v1/files", None, headers)[2])
        assert (made["object"], listed["object"]) == ("file", "list")
        server.stop()
    with serving(tmp_path, None, "--scenario", record) as server:
        assert json.loads(server.request("GET", "/v1/files", None, headers)[2]) == listed
        assert json.loads(server.request("POST", "/v1/files", form, headers)[2]) == made


def test_recording_is_a_scenario_that_check_takes(tmp_path):
    record = tmp_path / "record.json"
    with serving(tmp_path, {}, "--record", record) as server:
        server.chat(model="m")
        server.stop()
    program = (
        "import json, os, urllib.request as u\n"
        "u.urlopen(u.Request(os.environ['OPENAI_BASE_URL'] + '/chat/completions',"
        "json.dumps({'model': 'm', 'messages': [{'role': 'user', 'content': 'x'}]}).encode(),"
        "{'Authorization': 'Bearer k'})).read()\n")
    finished = run("check", record, "--", "python3", "-c", program)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert pathlib.Path(record).exists()
