"""The schema of scenarios, held against the validator, the loader, the shipped files and the page.

An editor trusts the schema and a run trusts the loader (`toomany check`), so both must take the
same documents: what one takes and the other refuses is a mistake in one of them.

TOOMANY_BUILD names the build directory; build/ of the checkout where it is not set.
"""

import copy
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TOOMANY_BUILD", "build"))
if not BUILD.is_absolute():
    BUILD = ROOT / BUILD
SCENARIOS = ROOT / "scenarios"
SHIPPED = sorted(file for file in SCENARIOS.rglob("*.json")
                 if not file.name.endswith(".schema.json"))
SCHEMA = json.loads((SCENARIOS / "scenario.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

# Runs in virtual time without a program, so that taking a document costs no time.
BASE = {
    "name": "a document",
    "server": {},
    "client": {"builtin": {"policy": {"kind": "none"}}},
    "expect": {"calls": 1},
}
REMOVED = object()


def document(*changes):
    """BASE with the values at some JSON pointers replaced (or REMOVED)."""
    made = copy.deepcopy(BASE)
    for pointer, value in zip(changes[::2], changes[1::2], strict=True):
        *folders, last = pointer.strip("/").split("/")
        place = made
        for name in folders:
            place = place.setdefault(name, {})
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return made


def loader_says(text, folder):
    """What `toomany check` finds wrong with the file, or None when it takes it."""
    path = folder / "scenario.json"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([str(BUILD / "toomany"), "check", str(path)], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.stderr if done.returncode == 2 else None


def schema_says(made):
    error = jsonschema.exceptions.best_match(VALIDATOR.iter_errors(made))
    return error and f"{error.json_path}: {error.message}"


def answer(**parts):
    return document("/server/script", [{"answer": parts}])


def step(**parts):
    return document("/server/script", [{"answer": "ok", **parts}])


def expect(name, value):
    return document("/expect", {name: value})


def policy(**parts):
    return document("/client/builtin/policy", parts)


COMMAND = ["true"]
QUOTAS = {"*": {"requests_per_minute": 60}}

RIGHT = {
    "the base": document(),
    "notes": document("/$schema", "x", "/$comment", ["any", "thing"], "/server/$note", 1),
    "why": document("/why", "a sentence"),
    "every limit": document("/server/quotas", {"m": {
        "requests_per_minute": 1, "requests_per_day": 0, "tokens_per_minute": None,
        "tokens_per_day": 10**12, "concurrent_requests": 2, "requests_total": 1.0,
        "images_per_minute": 5, "batch_queue_tokens": 900000}}),
    "accounts": document("/server/accounts", [
        {"key": "sk-1", "organization": "org-a"},
        {"key": "sk-2", "organization": "org_B-9", "project": "p" * 63, "$comment": "x"}],
        "/server/batch_duration", "0s"),
    "azure's code": document("/server/rules", {"dialect": "azure", "per": "organization",
                                               "azure_code": "RateLimitReached"}),
    "no limits": document("/server/quotas", {"*": {}}),
    "models": document("/server/models", {"m": {"latency": {"low": "1ms", "high": "2ms"},
                                                "content": "Hi"}}),
    "pace": document("/server/first_token", "1s", "/server/tokens_per_second", 0.5,
                     "/server/models", {"m": {"first_token": "0s", "tokens_per_second": 1000000}}),
    "latency to": document("/server/latency", {"high": "2s"}),
    "latency constant": document("/server/latency", {"kind": "constant", "value": "0s"}),
    "latency uniform": document("/server/latency", {"kind": "uniform", "low": "0s", "high": "24h"}),
    "latency exponential": document("/server/models", {"m": {"latency": {
        "kind": "exponential", "mean": "1ns"}}}),
    "latency log-normal": document("/server/latency", {"kind": "log-normal", "mean": "1s",
                                                       "sigma": 0.5}),
    "latency measured": document("/server/latency", {"kind": "measured", "samples": ["1s", "2s"]}),
    "refusal latency": document("/server/refusal_latency", "10ms"),
    "concurrency's error": document("/server/concurrency_refusal", {
        "error": "slow_down", "status": 503, "retry_after": "1s"}),
    "concurrency's body": document("/server/concurrency_refusal", {
        "body": "busy", "headers": {"content-type": "text/plain"}}),
    "units": document("/server/latency", "0h1m1.5s2ms3us4ns"),
    "a day": document("/server/latency", "1d"),
    "keys": document("/server/api_keys", ["one"], "/server/only_listed_models", False),
    "error": answer(error="server_error", status=502, message="m", type=None, code=None, param="p"),
    "message alone": answer(message="m"),
    "type alone": answer(type="tokens"),
    "code alone": answer(code="c"),
    "body as text": answer(body="{", status=429, code="c"),
    "body as list": answer(body=[1]),
    "no body": answer(status=204, body="", headers={"x-a": "b"}),
    "shared limits": document("/server/quotas", {"family": {"shared_by": ["a", "b"]}, "c": {}}),
    "content": answer(content="Hi"),
    "content and a note": answer(content="Hi", **{"$comment": "x"}),
    "headers": answer(error="slow_down", headers={"x-should-retry": "false", "Retry-After": "1"}),
    "retry_after": answer(error="slow_down", retry_after="2s", retry_after_form="date"),
    "step": step(when={"model": "m", "path": "/v1", "key": "abcd", "share": 0.5, "request": 3},
                 times="forever", lasts="1s", latency="5ms"),
    "every fault": document("/server/script", [{"answer": {"fault": name}} for name in (
        "refuse", "reset", "stall", "drip", "truncate", "wrong_length", "endless_chunks",
        "invalid_json", "proxy_page", "bad_retry_after", "stream_error", "stream_cut")],
        "/expect/script_played", "partly"),
    "fault's place": answer(fault="reset", at="in_body", **{"$comment": "x"}),
    "fault's time": answer(fault="stall", **{"for": "1s"}, at="in_headers"),
    "fault's speed": answer(fault="drip", bytes_per_second=0.1),
    "fault's status": answer(fault="proxy_page", status=503),
    "fault's length": answer(fault="wrong_length", by=-1000000),
    "fault's form": answer(fault="bad_retry_after", form="repeated"),
    "period": step(when={"after": "1s", "until": "2s", "every": 3}),
    "changes": document("/server/changes", [{"at": "0s", "quotas": QUOTAS},
                                            {"after_requests": 1, "quotas": QUOTAS}]),
    "command": document("/client", {"command": COMMAND, "directory": "/", "env": {"A": "b"},
                                    "timeout": "10s", "runs": 2, "output_limit": 10,
                                    "call_marker": {"body": "user"}}),
    "connection marker": document("/client", {"command": COMMAND,
                                              "call_marker": {"connection": True}}),
    "builtin": document("/client/builtin/calls", 2, "/client/builtin/in_flight_max", 0,
                        "/client/builtin/equal_messages", True,
                        "/client/call_marker", {"header": "x-call"}),
    "policy none": policy(kind="none", max_attempts=1),
    "policy fixed": policy(kind="fixed", max_attempts=5, base="2s", jitter="equal", total="1m",
                           honour_retry_after=False, retry_after_cap="0s"),
    "policy exponential": policy(kind="exponential", base="1ms", factor=1.5, cap="24h",
                                 jitter="decorrelated"),
    "jitter of the SDKs": policy(kind="exponential", jitter="quarter"),
    "range": expect("requests", {"min": 1, "max": 2.5}),
    "open range": expect("max_in_flight", {"min": 0}),
    "no delays": expect("delays", []),
    "delays": expect("loop_delays", ["1s", "500ms"]),
    "backoff": expect("backoff", {"kind": "exponential", "base": "500ms", "factor": 1, "cap": "8s",
                                  "jitter": "quarter"}),
    "each delay": expect("each_delay", {"min": "300ms", "max": "1m"}),
    "honoured": expect("retry_after", "honoured"),
    "late": expect("retry_after", {"late": "2s"}),
    "percent": expect("throttled_share", 100),
    "percent range": expect("quota_used", {"max": 99.5}),
    "not retried": expect("not_retried", ["insufficient_quota", 400]),
    "durations": document("/expect", {"duration": {"min": "0s"}, "wait_after_last": {"max": "1s"}}),
    "per run": document("/expect", {"outcome": ["raises", "succeeds"], "final_status": [429, 200],
                                    "final_code": ["a", None], "exit_code": ["nonzero", 0]}),
    "one value": document("/expect", {"outcome": "raises", "final_status": 100, "final_code": None,
                                      "exit_code": 255}),
    "texts": document("/expect", {"stdout_contains": "a", "stdout_matches": ["a+", "b"],
                                  "stderr_contains": ["b"], "stderr_matches": "^a$"}),
    "settings": document("/expect/delay_tolerance", {"early": "0s", "late": "12.5%"},
                         "/expect/script_played", "partly", "/expect/leaves_processes", True),
    "share": document("/expect/delay_tolerance", "1000%"),
    "time": document("/expect/delay_tolerance", "20ms"),
}

WRONG = {
    "not an object": [],
    "unknown key": document("/servers", {}),
    "no name": document("/name", REMOVED),
    "empty name": document("/name", ""),
    "no server": document("/server", REMOVED),
    "no client": document("/client", REMOVED),
    "no expect": document("/expect", REMOVED),
    "server a list": document("/server", []),
    "why a number": document("/why", 1),
    "limit unknown": document("/server/quotas", {"*": {"requests_per_hour": 1}}),
    "limit negative": document("/server/quotas", {"*": {"requests_total": -1}}),
    "limit a fraction": document("/server/quotas", {"*": {"requests_total": 1.5}}),
    "limit a string": document("/server/quotas", {"*": {"requests_total": "1"}}),
    "limit too large": document("/server/quotas", {"*": {"requests_total": 10**12 + 1}}),
    "model without name": document("/server/quotas", {"": {}}),
    "model with a long name": document("/server/quotas", {"m" * 96: {}}),
    "shared by none": document("/server/quotas", {"family": {"shared_by": []}}),
    "shared by one twice": document("/server/quotas", {"family": {"shared_by": ["a", "a"]}}),
    "a note among the quotas": document("/server/quotas", {"$comment": "x"}),
    "model *": document("/server/models", {"*": {"latency": "1s"}}),
    "model's key": document("/server/models", {"m": {"delay": "1s"}}),
    "first token a number": document("/server/first_token", 1),
    "no tokens per second": document("/server/tokens_per_second", 0),
    "too many tokens per second": document("/server/tokens_per_second", 1000001),
    "model's tokens as text": document("/server/models", {"m": {"tokens_per_second": "9"}}),
    "no unit": document("/server/latency", "5"),
    "a number for a time": document("/server/latency", 5),
    "negative time": document("/server/latency", "-1s"),
    "empty time": document("/server/latency", ""),
    "units the wrong way round": document("/server/latency", "1s1m"),
    "a unit twice": document("/server/latency", "1s1s"),
    "unknown unit": document("/server/latency", "1min"),
    "space in a time": document("/server/latency", "1 s"),
    "no digit before the dot": document("/server/latency", ".5s"),
    "no digit after the dot": document("/server/latency", "1.s"),
    "low without high": document("/server/latency", {"low": "1s"}),
    "exponential without mean": document("/server/latency", {"kind": "exponential"}),
    "sigma of no use": document("/server/latency", {"kind": "exponential", "mean": "1s",
                                                    "sigma": 1}),
    "sigma too large": document("/server/latency", {"kind": "log-normal", "mean": "1s",
                                                    "sigma": 6}),
    "uniform without low": document("/server/latency", {"kind": "uniform", "high": "1s"}),
    "concurrency served": document("/server/concurrency_refusal", "ok"),
    "concurrency with content": document("/server/concurrency_refusal", {"content": "c"}),
    "concurrency with a fault": document("/server/concurrency_refusal", {"fault": "reset"}),
    "concurrency with nothing": document("/server/concurrency_refusal", {}),
    "concurrency with a status alone": document("/server/concurrency_refusal", {"status": 503}),
    "no samples": document("/server/latency", {"kind": "measured", "samples": []}),
    "a sample that is no time": document("/server/latency", {"kind": "measured",
                                                             "samples": [1]}),
    "no such distribution": document("/server/latency", {"kind": "normal", "mean": "1s"}),
    "empty key": document("/server/api_keys", [""]),
    "account without a key": document("/server/accounts", [{"organization": "org-a"}]),
    "account without an organization": document("/server/accounts", [{"key": "sk-1"}]),
    "account with a blank": document("/server/accounts", [{"key": "sk-1", "organization": "a b"}]),
    "account with a long name": document("/server/accounts", [
        {"key": "sk-1", "organization": "a", "project": "p" * 64}]),
    "account's key empty": document("/server/accounts", [{"key": "", "organization": "a"}]),
    "account's unknown member": document("/server/accounts", [
        {"key": "k", "organization": "a", "name": "x"}]),
    "batch duration a number": document("/server/batch_duration", 1),
    "azure's code a number": document("/server/rules", {"azure_code": 429}),
    "answer unknown word": step(answer="fine"),
    "no answer": document("/server/script", [{"times": 1}]),
    "script an object": document("/server/script", {}),
    "empty answer": answer(),
    "unknown error": answer(error="rate_limited"),
    "status alone": answer(status=429),
    "status and type": answer(status=429, type="t"),
    "status too low": answer(status=199, body="b"),
    "body where there is none": answer(status=204, body="b"),
    "error where there is no body": answer(status=304, error="server_error"),
    "body and error": answer(body="b", error="server_error"),
    "body and type": answer(body="b", type=None),
    "body a number": answer(body=1),
    "content and error": answer(content="c", error="server_error"),
    "content and status": answer(content="c", status=200),
    "content and headers": answer(content="c", headers={"a": "b"}),
    "content and code": answer(content="c", code="c"),
    "message null": answer(message=None),
    "header's name": answer(error="slow_down", headers={"a b": "c"}),
    "header's name empty": answer(error="slow_down", headers={"": "c"}),
    "header's value": answer(error="slow_down", headers={"a": "b\nc"}),
    "header a number": answer(error="slow_down", headers={"a": 1}),
    "header too long": answer(error="slow_down", headers={"a": "b" * 256}),
    "header of the server": answer(error="slow_down", headers={"Content-Length": "1"}),
    "headers too many": answer(error="slow_down", headers={f"x-{n}": "" for n in range(13)}),
    "form without a wait": answer(error="slow_down", retry_after_form="date"),
    "wait said twice": answer(error="slow_down", retry_after="1s", headers={"Retry-After": "1"}),
    "unknown form": answer(error="slow_down", retry_after="1s", retry_after_form="iso"),
    "fault unknown": answer(fault="flood"),
    "fault and error": answer(fault="reset", error="server_error"),
    "fault elsewhere": answer(fault="reset", at="at_the_end"),
    "fault with another's key": answer(fault="reset", **{"for": "1s"}),
    "fault's status that is no proxy's": answer(fault="proxy_page", status=500),
    "fault's length that is right": answer(fault="wrong_length", by=0),
    "fault's speed 0": answer(fault="drip", bytes_per_second=0),
    "fault's form unknown": answer(fault="bad_retry_after", form="late"),
    "every 0": step(when={"every": 0}),
    "after a number": step(when={"after": 1}),
    "share above 1": step(when={"share": 1.1}),
    "request 0": step(when={"request": 0}),
    "path without /": step(when={"path": "v1/models"}),
    "whole key": step(when={"key": "sk-abcd"}),
    "key's last three": step(when={"key": "bcd"}),
    "key's last four with a blank": step(when={"key": "a cd"}),
    "when unknown": step(when={"host": "x"}),
    "times 0": step(times=0),
    "times unknown word": step(times="always"),
    "change without when": document("/server/changes", [{"quotas": QUOTAS}]),
    "change with both": document("/server/changes", [{"at": "1s", "after_requests": 1,
                                                      "quotas": QUOTAS}]),
    "change without quotas": document("/server/changes", [{"at": "1s"}]),
    "neither command nor builtin": document("/client", {}),
    "command and builtin": document("/client/command", COMMAND),
    "empty command": document("/client", {"command": []}),
    "command a string": document("/client", {"command": "true"}),
    "command of a number": document("/client", {"command": ["sleep", 1]}),
    "runs 0": document("/client", {"command": COMMAND, "runs": 0}),
    "runs 101": document("/client", {"command": COMMAND, "runs": 101}),
    "variable with =": document("/client", {"command": COMMAND, "env": {"A=": "b"}}),
    "variable without name": document("/client", {"command": COMMAND, "env": {"": "b"}}),
    "variable a number": document("/client", {"command": COMMAND, "env": {"A": 1}}),
    "output limit 0": document("/client", {"command": COMMAND, "output_limit": 0}),
    "marker empty": document("/client", {"command": COMMAND, "call_marker": {}}),
    "marker without name": document("/client", {"command": COMMAND, "call_marker": {"header": ""}}),
    "marker no header": document("/client", {"command": COMMAND, "call_marker": {"header": "a b"}}),
    "marker twice": document("/client", {"command": COMMAND,
                                         "call_marker": {"header": "a", "body": "b"}}),
    "marker in the builtin's body": document("/client/call_marker", {"body": "user"}),
    "builtin without policy": document("/client/builtin", {}),
    "calls 0": document("/client/builtin/calls", 0),
    "policy without kind": policy(max_attempts=3),
    "policy unknown": policy(kind="linear"),
    "none with retries": policy(kind="none", max_attempts=2),
    "none with a base": policy(kind="none", base="1s"),
    "fixed with a factor": policy(kind="fixed", factor=2),
    "fixed that grows": policy(kind="fixed", jitter="decorrelated"),
    "factor below 1": policy(kind="exponential", factor=0.5),
    "attempts 0": policy(kind="exponential", max_attempts=0),
    "nothing expected": document("/expect", {}),
    "only a setting": document("/expect", {"delay_tolerance": "10%"}),
    "expectation unknown": expect("attempts", 3),
    "count a fraction": expect("calls", 1.5),
    "count negative": expect("calls", -1),
    "count a string": expect("calls", "1"),
    "count of a list": expect("attempts_per_call", [3]),
    "range unknown": expect("requests", {"at_least": 1}),
    "percent above 100": expect("throttled_share", 101),
    "percent as text": expect("quota_used", "80%"),
    "delays one": expect("delays", "1s"),
    "delays of numbers": expect("delays", [1, 2]),
    "backoff without base": expect("backoff", {"kind": "fixed"}),
    "backoff without kind": expect("backoff", {"base": "1s"}),
    "backoff unknown": expect("backoff", {"kind": "linear", "base": "1s"}),
    "each_delay without an end": expect("each_delay", {}),
    "each_delay as one time": expect("each_delay", "1s"),
    "retry_after spelt otherwise": expect("retry_after", "honored"),
    "retry_after early": expect("retry_after", {"early": "1s"}),
    "duration one": expect("duration", "5s"),
    "outcome unknown": expect("outcome", "fails"),
    "outcome of no run": expect("outcome", []),
    "status 600": expect("final_status", 600),
    "status a fraction": expect("final_status", 429.5),
    "code a number": expect("final_code", 429),
    "exit code 256": expect("exit_code", 256),
    "exit code a fraction": expect("exit_code", 0.5),
    "exit code unknown": expect("exit_code", "failure"),
    "not retried null": expect("not_retried", None),
    "no texts": expect("stderr_contains", []),
    "empty text": expect("stderr_contains", ""),
    "range without an end": expect("calls", {"$comment": "demands nothing"}),
    "duration without an end": expect("duration", {}),
    "text a number": expect("stdout_matches", 429),
    "tolerance without %": document("/expect/delay_tolerance", "10"),
    "tolerance above 1000%": document("/expect/delay_tolerance", "1001%"),
    "tolerance with a sign": document("/expect/delay_tolerance", "+10%"),
    "tolerance a word": document("/expect/delay_tolerance", "inf%"),
    "tolerance a number": document("/expect/delay_tolerance", 0.1),
    "tolerance unknown side": document("/expect/delay_tolerance", {"before": "1s"}),
    "script played otherwise": document("/expect/script_played", True),
    "leaves_processes a word": document("/expect/leaves_processes", "yes"),
}

# What JSON Schema cannot say of a document; the schema's $comment tells its users so.
BEYOND_A_SCHEMA = {
    "latency above a day": document("/server/latency", "25h"),
    "latency the wrong way round": document("/server/latency", {"low": "2s", "high": "1s"}),
    "shared in two ways": document("/server/quotas", {"f": {"shared_by": ["a"]},
                                                      "g": {"shared_by": ["a"]}}),
    "shared, and with limits of its own": document("/server/quotas", {
        "f": {"shared_by": ["a"]}, "a": {"requests_per_minute": 1}}),
    "time out 0": document("/client/timeout", "0s"),
    "lasts 0": step(lasts="0s"),
    "base above a day": policy(kind="fixed", base="25h"),
    "cap below base": policy(kind="exponential", base="2s", cap="1s"),
    "count the wrong way round": expect("calls", {"min": 2, "max": 1}),
    "duration the wrong way round": expect("duration", {"min": "2s", "max": "1s"}),
    "a bad expression": expect("stderr_matches", "("),
    "more than ten years": expect("delays", ["4000d"]),
}


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_refers_to_every_definition():
    used = set(re.findall(r'"#/\$defs/([a-z_]+)"', json.dumps(SCHEMA)))
    assert used == set(SCHEMA["$defs"])


def test_every_object_of_the_schema_is_closed_and_described():
    def walk(schema, place):
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                assert "additionalProperties" in schema, place
                assert schema["additionalProperties"] is not True, place
            if schema.get("type") == "object" and "properties" in schema:
                for name, member in schema["properties"].items():
                    target = SCHEMA["$defs"].get(member.get("$ref", "").rpartition("/")[2], {})
                    assert "description" in {**target, **member} or "enum" in member, (
                        f"{place}/{name}: an editor has nothing to show")
            for name, member in schema.items():
                walk(member, f"{place}/{name}")
        elif isinstance(schema, list):
            for index, member in enumerate(schema):
                walk(member, f"{place}/{index}")

    walk(SCHEMA, "")


def test_the_examples_of_the_schema_are_right():
    def walk(schema):
        if isinstance(schema, dict):
            for example in schema.get("examples", []) if isinstance(
                    schema.get("examples", []), list) else []:
                VALIDATOR.evolve(schema={**schema, "$defs": SCHEMA["$defs"]}).validate(example)
            for member in schema.values():
                walk(member)
        elif isinstance(schema, list):
            for member in schema:
                walk(member)

    walk(SCHEMA)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(SCENARIOS)))
def test_a_shipped_scenario_is_right_and_tells_why(file):
    scenario = json.loads(file.read_text(encoding="utf-8"))
    VALIDATOR.validate(scenario)
    assert (file.parent / scenario["$schema"]).samefile(SCENARIOS / "scenario.schema.json")
    assert re.search(r"\w.{30,}[.]$", scenario["why"]), "a whole sentence is wanted"


@pytest.mark.parametrize("line", [f"r{number}" for number in range(1, 10)])
def test_each_line_of_the_reference_ships_for_each_language(line):
    for folder in ("", "node", "c"):
        assert list((SCENARIOS / folder).glob(f"{line}-*.json")), folder


@pytest.mark.parametrize(
    "file", [file for file in SHIPPED if file.parent.name in ("node", "c")],
    ids=lambda file: str(file.relative_to(SCENARIOS)))
def test_a_line_is_the_same_in_every_language(file):
    """Only how the client is started and what it prints may differ."""
    first = json.loads((SCENARIOS / file.name).read_text(encoding="utf-8"))
    other = json.loads(file.read_text(encoding="utf-8"))
    printed = ("stderr_contains", "stdout_contains")
    for scenario in (first, other):
        scenario["name"] = re.sub(r"^(R\d)( in [\w.]+)?:", r"\1:", scenario["name"])
        for name in ("$schema", "client"):
            del scenario[name]
        for name in printed:
            scenario["expect"].pop(name, None)
    assert other == first


@pytest.mark.parametrize("name", RIGHT)
def test_schema_and_loader_take_what_is_right(name, tmp_path):
    assert schema_says(RIGHT[name]) is None
    assert loader_says(json.dumps(RIGHT[name]), tmp_path) is None


@pytest.mark.parametrize("name", WRONG)
def test_schema_and_loader_refuse_what_is_wrong(name, tmp_path):
    assert schema_says(WRONG[name])
    assert loader_says(json.dumps(WRONG[name]), tmp_path)


@pytest.mark.parametrize("name", BEYOND_A_SCHEMA)
def test_the_loader_refuses_what_no_schema_can(name, tmp_path):
    assert schema_says(BEYOND_A_SCHEMA[name]) is None
    assert loader_says(json.dumps(BEYOND_A_SCHEMA[name]), tmp_path)


def blocks_of_the_page():
    """The ```json blocks of scenarios/README.md: (line, kind, text). The word after "json" says
    what it is a part of; without one it is a whole scenario."""
    page = (SCENARIOS / "README.md").read_text(encoding="utf-8")
    for match in re.finditer(r"^```json *(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield page.count("\n", 0, match.start()) + 1, match[1], match[2]


BLOCKS = list(blocks_of_the_page())


def test_the_page_has_examples_of_every_part():
    assert {kind for _, kind, _ in BLOCKS} == {"", "server", "client", "expect"}


@pytest.mark.parametrize(("line", "kind", "text"), BLOCKS,
                         ids=[f"line {line}" for line, _, _ in BLOCKS])
def test_an_example_of_the_page_is_right(line, kind, text, tmp_path):
    made = json.loads(text)
    if kind:
        made = document(f"/{kind}", made)
    elif "command" in made["client"]:
        made["client"] = {"command": COMMAND}
    if kind == "client" and "command" in made["client"]:
        made["client"]["command"] = COMMAND
        made["client"].pop("directory", None)
    assert schema_says(made) is None, line
    assert loader_says(json.dumps(made), tmp_path) is None, line


def test_the_page_names_every_word_of_the_language():
    page = (SCENARIOS / "README.md").read_text(encoding="utf-8")
    words = set()

    def walk(schema):
        if isinstance(schema, dict):
            words.update(schema.get("properties", {}))
            words.update(value for value in schema.get("enum", []) if isinstance(value, str))
            for member in schema.values():
                walk(member)
        elif isinstance(schema, list):
            for member in schema:
                walk(member)

    walk(SCHEMA)
    missing = sorted(word for word in words if f"`{word}`" not in page and f'"{word}"' not in page)
    assert not missing
