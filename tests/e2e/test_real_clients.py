"""Real clients against the mock: the official SDKs for Python and Node.js, curl, the programs in C
and `toomany call`. What they make of an answer is what they would make of OpenAI's."""

import json
import re
import shutil
import subprocess
import time

import pytest
from toomany import (BUILD, MODEL, PATIENCE_S, ROOT, check, environment, run, scenario, serving)

PYTHON = ROOT / "examples" / "python" / ".venv" / "bin" / "python"
NODE_FOLDER = ROOT / "examples" / "node"
PROBES = ROOT / "tests" / "e2e" / "sdk"

VERBATIM = {"error": {"message": "Rate limit reached for fine-tuned model", "type": "requests",
                      "code": "rate_limit_exceeded"}}


def python_sdk():
    assert PYTHON.exists(), "the Python SDK is missing: script/setup python installs it"
    return [str(PYTHON), str(PROBES / "probe.py")]


def node_sdk():
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not on this machine")
    version = subprocess.run([node, "-p", "process.versions.node"], capture_output=True, text=True)
    if int(version.stdout.split(".")[0]) < 18:
        pytest.skip("the SDK needs Node.js 18 or newer")
    assert (NODE_FOLDER / "node_modules" / "openai").exists(), (
        "the Node.js SDK is missing: script/setup node installs it")
    return [node, str(PROBES / "probe.mjs")]


@pytest.fixture(params=[python_sdk, node_sdk], ids=["python", "node"])
def sdk(request):
    """The command of a probe by one of the SDKs."""
    return request.param()


def probe(command, server, *arguments, **variables):
    variables = {**server.environment(EXAMPLES_NODE=str(NODE_FOLDER)), **variables}
    finished = subprocess.run([*command, *map(str, arguments)], env=environment(**variables),
                              capture_output=True, text=True, timeout=PATIENCE_S)
    assert finished.returncode == 0, finished.stderr
    seen = [json.loads(line) for line in finished.stdout.splitlines()]
    return seen if len(seen) > 1 else seen[0]


def always(model, **answer):
    return {"when": {"model": model}, "answer": answer, "times": "forever"}


ERRORS = {
    # model: how the step answers, and what the SDKs make of it
    "limited": ({"status": 429, "body": VERBATIM},
                ("RateLimitError", 429, "rate_limit_exceeded", "requests")),
    "tokens": ({"error": "tokens_exceeded"},
               ("RateLimitError", 429, "rate_limit_exceeded", "tokens")),
    "gone": ({"error": "insufficient_quota"},
             ("RateLimitError", 429, "insufficient_quota", "insufficient_quota")),
    "slow": ({"error": "slow_down"}, ("RateLimitError", 429, "slow_down", "rate_limit_error")),
    "bad": ({"error": "invalid_request_error"},
            ("BadRequestError", 400, None, "invalid_request_error")),
    "key": ({"error": "invalid_api_key"},
            ("AuthenticationError", 401, "invalid_api_key", "invalid_request_error")),
    "lost": ({"error": "model_not_found"},
             ("NotFoundError", 404, "model_not_found", "invalid_request_error")),
    "broken": ({"error": "server_error"}, ("InternalServerError", 500, None, "server_error")),
    "full": ({"error": "server_is_overloaded"},
             ("InternalServerError", 503, "server_is_overloaded", "service_unavailable_error")),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    config = {"script": [always(model, **answer) for model, (answer, _) in ERRORS.items()],
              "models": {MODEL: {"content": "This is a test, indeed."}, "gpt-4o-mini": {}}}
    with serving(tmp_path_factory.mktemp("errors"), config) as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    config = {"models": {MODEL: {}}, "only_listed_models": True,
              "api_keys": ["sk-e2e-0123456789"]}
    with serving(tmp_path_factory.mktemp("strict"), config) as server:
        yield server


# ---- what the SDKs make of answers ----

def test_good_answer_is_parsed(server, sdk):
    before = int(time.time())
    seen = probe(sdk, server, "chat", MODEL)
    assert seen["id"].startswith("chatcmpl-") and seen["object"] == "chat.completion"
    assert before <= seen["created"] <= time.time() + 1
    assert (seen["model"], seen["role"], seen["finish_reason"]) == (MODEL, "assistant", "stop")
    assert seen["content"] == "This is a test, indeed."
    assert seen["total_tokens"] == seen["prompt_tokens"] + seen["completion_tokens"] > 0
    assert re.fullmatch("req_[0-9a-f]{32}", seen["request_id"])


def test_models_are_parsed(server, sdk):
    assert set(probe(sdk, server, "list", "-")["ids"]) == {MODEL, "gpt-4o-mini"}
    seen = probe(sdk, server, "retrieve", MODEL)
    assert (seen["ids"], seen["object"]) == ([MODEL], "model")
    assert seen["created"] > 0 and seen["owned_by"]


def test_errors_have_their_classes(server, sdk):
    for seen, (_, wanted) in zip(probe(sdk, server, "chat", ",".join(ERRORS), 0), ERRORS.values(),
                                 strict=True):
        assert (seen["raised"], seen["status"], seen["code"], seen["type"]) == wanted
        assert re.fullmatch("req_[0-9a-f]{32}", seen["request_id"])


def test_errors_of_the_api_itself(strict, sdk):
    served, lost = probe(sdk, strict, "chat", f"{MODEL},gpt-0")
    assert served["object"] == "chat.completion"
    assert (lost["raised"], lost["code"]) == ("NotFoundError", "model_not_found")
    assert "The model `gpt-0` does not exist or you do not have access to it." in lost["text"]
    assert probe(sdk, strict, "retrieve", "gpt-0")["raised"] == "NotFoundError"
    stranger = probe(sdk, strict, "chat", MODEL, OPENAI_API_KEY="sk-wrong-key-of-somebody")
    assert (stranger["raised"], stranger["code"]) == ("AuthenticationError", "invalid_api_key")
    assert "Incorrect API key provided: sk-wrong**************************body" in stranger["text"]


def test_python_prints_the_error_of_the_reference_page_verbatim(server):
    """R1."""
    seen = probe(python_sdk(), server, "chat", "limited", 0)
    assert seen["text"] == (
        "Error code: 429 - {'error': {'message': 'Rate limit reached for fine-tuned model', "
        "'type': 'requests', 'code': 'rate_limit_exceeded'}}")


def test_broken_program_ends_in_the_traceback_of_the_reference_page(tmp_path):
    """R1 and R2, by the program that ships."""
    python_sdk()
    played = scenario({"requests": 1, "outcome": "raises", "exit_code": 1},
                      {"script": [{"answer": {"status": 429, "body": VERBATIM}}]})
    verdicts = check(tmp_path, played,
                     [PYTHON, ROOT / "examples/python/broken.py", "--max-retries=0"])
    assert verdicts.passed, verdicts
    assert verdicts.client["stderr"].endswith(
        "\nopenai.RateLimitError: Error code: 429 - {'error': {'message': 'Rate limit reached for "
        "fine-tuned model', 'type': 'requests', 'code': 'rate_limit_exceeded'}}\n")


# ---- what the SDKs do by themselves ----

def test_sdk_retries_twice_what_may_pass_and_says_so(tmp_path, sdk):
    errors = ["rate_limit_exceeded", "server_error", "server_is_overloaded"]
    script = [{"when": {"model": error}, "times": 2,
               "answer": {"error": error, "retry_after": "50ms",
                          "retry_after_form": "milliseconds"}} for error in errors]
    with serving(tmp_path, {"script": script}) as server:
        for seen in probe(sdk, server, "chat", ",".join(errors)):
            assert seen["object"] == "chat.completion"
        entries = server.journal()
    assert [entry["retry_count"] for entry in entries] == [0, 1, 2] * 3
    assert [entry["status"] for entry in entries] == [429, 429, 200, 500, 500, 200, 503, 503, 200]
    assert len({entry["body_digest"] for entry in entries}) == 3


def test_sdk_does_not_retry_what_is_no_use(tmp_path, sdk):
    errors = ["invalid_request_error", "invalid_api_key", "model_not_found"]
    script = [always(error, error=error) for error in errors]
    with serving(tmp_path, {"script": script}) as server:
        probe(sdk, server, "chat", ",".join(errors))
        assert len(server.journal()) == 3


@pytest.mark.parametrize("form, asked", [("seconds", "1s"), ("milliseconds", "700ms"),
                                         ("date", "1s")])
def test_sdk_honours_retry_after(tmp_path, sdk, form, asked):
    """Without it the SDKs wait half a second at most before their first retry."""
    played = scenario(
        {"retry_after": {"late": "8s"}, "attempts_per_call": 2, "loop_attempts_per_call": 1,
         "outcome": "succeeds"},
        {"script": [{"answer": {"error": "rate_limit_exceeded", "retry_after": asked,
                                "retry_after_form": form}}]},
        env={"EXAMPLES_NODE": str(NODE_FOLDER)})
    verdicts = check(tmp_path, played, [*sdk, "chat", MODEL])
    # A date says whole seconds: what is left of the second when it is read is not the SDK's.
    if form == "date" and "retry_after" in verdicts.failed:
        first, second = verdicts.result["calls"][0]["attempts"]
        assert second["arrived_ns"] - first["arrived_ns"] >= first["retry_after_ns"] - 5_000_000
    else:
        assert verdicts.passed, verdicts
    assert verdicts.result["calls"][0]["grouped_by"] == "retry counter"


def test_amplification_is_pointed_out(tmp_path):
    """3 attempts in the program's own loop, 9 requests on the wire."""
    python_sdk()
    played = scenario(
        {"requests": 9, "attempts_per_call": 9, "loop_attempts_per_call": 3, "outcome": "raises",
         "loop_delays": ["1s", "2s"], "delay_tolerance": {"early": "0s", "late": "5s"}},
        {"script": [{"answer": {"error": "rate_limit_exceeded", "retry_after": "20ms",
                                "retry_after_form": "milliseconds"}, "times": "forever"}]})
    verdicts = check(tmp_path, played, [PYTHON, ROOT / "examples/python/fixed.py"])
    assert verdicts.passed, verdicts
    assert any(note.startswith("3 attempts in the client's loop, 9 requests on the wire")
               for note in verdicts.result["notes"]), verdicts.result["notes"]


def test_semaphore_keeps_to_the_limit_and_the_broken_form_does_not(tmp_path):
    """R7, by the program that ships."""
    python_sdk()
    played = scenario({"throttled": 0, "max_in_flight": {"min": 2, "max": 2}, "calls": 6},
                      {"latency": "200ms", "quotas": {"*": {"concurrent_requests": 2}}})
    program = [PYTHON, ROOT / "examples/python/semaphore.py", "--max-retries=0"]
    verdicts = check(tmp_path, played, program)
    assert verdicts.passed, verdicts
    verdicts = check(tmp_path, played, [*program, "--limit", "0"])
    assert {"throttled", "max_in_flight"} <= verdicts.failed, verdicts


def test_raised_quota_serves_the_sdk_again(tmp_path, sdk):
    """R8."""
    with serving(tmp_path, {"quotas": {MODEL: {"requests_total": 1}}}) as server:
        assert probe(sdk, server, "chat", MODEL, 0)["object"] == "chat.completion"
        refused = probe(sdk, server, "chat", MODEL, 0)
        assert (refused["raised"], refused["code"]) == ("RateLimitError", "insufficient_quota")
        server.admin("PATCH", "quotas", {MODEL: {"requests_total": 100}})
        assert probe(sdk, server, "chat", MODEL, 0)["object"] == "chat.completion"


# ---- curl ----

def curl(server, *arguments, model=MODEL):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    return subprocess.run(
        ["curl", "-sS", "--max-time", str(PATIENCE_S), f"{server.base_url}/chat/completions",
         "-H", "Authorization: Bearer sk-e2e-0123456789", "-H", "Content-Type: application/json",
         "-d", body, *arguments],
        env=environment(), capture_output=True, text=True, timeout=PATIENCE_S)


def test_curl_gets_what_openai_sends(server):
    seen = curl(server, "-i")
    head, _, body = seen.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200") and "x-request-id: req_" in head.lower()
    assert json.loads(body)["choices"][0]["message"]["content"] == "This is a test, indeed."
    verbatim = curl(server, model="limited").stdout
    assert json.loads(verbatim) == VERBATIM


def test_curl_waits_as_retry_after_asks(tmp_path):
    """curl reads seconds and dates; a wait of its own would be a second, then two."""
    step = {"answer": {"error": "rate_limit_exceeded", "retry_after": "2s"}}
    with serving(tmp_path, {"script": [step]}) as server:
        finished = curl(server, "--fail", "--retry", "2")
        first, second = server.journal()
    assert finished.returncode == 0 and '"chat.completion"' in finished.stdout
    assert 2_000_000_000 <= second["arrived_ns"] - first["first_byte_ns"] < 20_000_000_000


def test_curl_fails_where_it_should(server):
    assert curl(server, "--fail", model="limited").returncode == 22
    assert curl(server, "--fail", model="broken").returncode == 22


# ---- our own client, as programs in C and as a command ----

QUICK = {"error": "rate_limit_exceeded", "retry_after": "50ms", "retry_after_form": "milliseconds"}


def c_program(name):
    path = BUILD / "examples" / "c" / name
    assert path.exists(), f"{path} is missing: build all targets"
    return [path]


def test_c_programs_broken_and_fixed(tmp_path):
    """R2, R3 and R4."""
    recovers = scenario(
        {"attempts_per_call": 3, "delays": ["1s", "2s"], "outcome": "succeeds",
         "delay_tolerance": {"early": "0s", "late": "1900ms"}},
        {"script": [{"answer": {"status": 429, "body": VERBATIM}, "times": 2}]})
    verdicts = check(tmp_path, recovers, c_program("fixed"))
    assert verdicts.passed, verdicts
    verdicts = check(tmp_path, recovers, c_program("broken"))
    assert {"attempts_per_call", "delays", "outcome", "script_played"} <= verdicts.failed, verdicts
    assert "Rate limit reached for fine-tuned model" in verdicts.client["stderr"]
    for_ever = scenario(
        {"attempts_per_call": 3, "outcome": "raises", "wait_after_last": {"max": "3500ms"},
         "stderr_contains": ["429", "Rate limit reached for fine-tuned model"]},
        {"script": [{"answer": {"status": 429, "body": VERBATIM}, "times": "forever"}]})
    verdicts = check(tmp_path, for_ever, c_program("fixed"))
    assert verdicts.passed, verdicts


def call(server, *arguments, **variables):
    return run("call", *arguments, env={**server.environment(), **variables})


def test_call_is_answered(server):
    finished = call(server, "Hello")
    assert (finished.returncode, finished.stdout, finished.stderr) == (
        0, "This is a test, indeed.\n", "")


def test_call_tells_its_waits_and_the_last_error(tmp_path):
    """Retry-After in its forms, then the policy's own backoff."""
    script = [{"answer": {"error": "rate_limit_exceeded", "retry_after": "1s"}},
              {"answer": QUICK},
              {"answer": {"error": "server_error"}}]
    with serving(tmp_path, {"script": script}) as server:
        finished = call(server, "--max-attempts", 4, "--base", "10ms", "Hello")
        assert finished.returncode == 0
        assert finished.stderr.splitlines() == [
            "attempt 1: 429 rate_limit_exceeded; waiting 1s (as Retry-After asks)",
            "attempt 2: 429 rate_limit_exceeded; waiting 50ms (as Retry-After asks)",
            "attempt 3: 500; waiting 40ms (backoff)"]
        entries = server.journal()
        delays = [later["arrived_ns"] - earlier["answered_ns"]
                  for earlier, later in zip(entries, entries[1:])]
        assert all(delay >= asked for delay, asked in
                   zip(delays, [1_000_000_000, 50_000_000, 40_000_000])), delays


def test_call_honours_a_date(tmp_path):
    step = {"answer": {"error": "rate_limit_exceeded", "retry_after": "1s",
                       "retry_after_form": "date"}}
    with serving(tmp_path, {"script": [step]}) as server:
        finished = call(server, "--base", "10ms", "Hello")
        first, second = server.journal()
    assert finished.returncode == 0
    assert second["arrived_ns"] - first["decided_ns"] >= first["retry_after_ns"] >= 1_000_000_000


def test_call_gives_up_with_the_error_whole(tmp_path):
    with serving(tmp_path, {"script": [{"answer": {"status": 429, "body": VERBATIM},
                                        "times": "forever"}]}) as server:
        finished = call(server, "--max-attempts", 2, "--base", "10ms", "Hello")
        assert len(server.journal()) == 2
    assert (finished.returncode, finished.stdout) == (1, "")
    last = finished.stderr.splitlines()[-1]
    assert last == "RateLimitError: Error code: 429 - " + json.dumps(VERBATIM, separators=(",", ":"))


def test_call_does_not_retry_a_used_up_quota(tmp_path):
    with serving(tmp_path, {"quotas": {"*": {"requests_total": 0}}}) as server:
        finished = call(server, "--base", "10ms", "Hello")
        assert finished.returncode == 1 and "insufficient_quota" in finished.stderr
        assert len(server.journal()) == 1


def test_call_keeps_to_its_concurrency(tmp_path):
    with serving(tmp_path, {"latency": "100ms"}) as server:
        finished = call(server, "--count", 12, "--concurrency", 3, "Hello")
        assert finished.returncode == 0 and len(finished.stdout.splitlines()) == 12
        assert max(entry["in_flight"] for entry in server.journal()) == 3


def test_call_never_shows_the_key(tmp_path):
    key = "sk-secret-0123456789abcdef"
    with serving(tmp_path, {"script": [{"answer": QUICK, "times": "forever"}]}) as server:
        finished = call(server, "Hello", OPENAI_API_KEY=key)
        shown = finished.stdout + finished.stderr + json.dumps(server.journal())
    assert finished.returncode == 1 and key not in shown and key[:12] not in shown


@pytest.mark.parametrize("arguments, variables, status, message", [
    ([], {}, 2, "a message is missing\nTry `toomany call --help`.\n"),
    (["two", "messages"], {}, 2, "one message at a time; quote it\nTry `toomany call --help`.\n"),
    (["Hello"], {"OPENAI_API_KEY": ""}, 2,
     "OPENAI_API_KEY or --api-key: there is none; `toomany serve` takes any text\n"),
    (["Hello"], {"OPENAI_BASE_URL": "bogus"}, 2,
     '--base-url or OPENAI_BASE_URL: found "bogus", wanted an address that begins with http:// or '
     "https://\n"),
    (["--policy", "weird", "Hello"], {}, 2,
     '--policy: found "weird", wanted one of "none", "fixed", "exponential"\n'),
    (["--max-attempts", "0", "Hello"], {}, 2,
     "--max-attempts: found 0, wanted a whole number from 1 to 1000\n"),
    (["--max-attempts", "few", "Hello"], {}, 2,
     '--max-attempts: found "few", wanted a whole number from 1 to 1000\n'),
    (["--policy", "none", "--base", "1s", "Hello"], {}, 2,
     '--base: a policy of kind "none" has no use for this\n'),
    (["--base", "1", "Hello"], {}, 2, '--base: found "1", wanted a duration with its unit, such as '
                                      '"250ms", "2s" or "6m0s"\n'),
])
def test_call_wrong_usage(server, arguments, variables, status, message):
    finished = call(server, *arguments, **variables)
    assert (finished.returncode, finished.stdout) == (status, "")
    assert finished.stderr == f"toomany call: {message}"


def test_call_where_nobody_listens(server):
    finished = call(server, "--max-attempts", 2, "--base", "10ms", "Hello",
                    OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.splitlines() == [
        "attempt 1: could not connect to the server; waiting 10ms (backoff)",
        "attempt 2: all attempts are used up",
        "APIConnectionError: could not connect to the server"]


def test_call_on_a_full_disk(server):
    with open("/dev/full", "w") as full:
        finished = run("call", "Hello", env=server.environment(), stdout=full)
    assert finished.returncode == 3
    assert finished.stderr == ("toomany call: stdout: the answer could not be written: No space "
                               "left on device\n")
