"""Bad files: each is refused with exit 2 and one line that names the place and the remedy."""

import json

import pytest
from toomany import run, scenario

KNOWN_EXPECTATIONS = (
    "requests, calls, attempts_per_call, loop_attempts_per_call, delays, loop_delays, backoff, "
    "retry_after, max_in_flight, throttled, throttled_share, not_retried, quota_used, "
    "each_delay, duration, wait_after_last, outcome, final_status, final_code, exit_code, "
    "stdout_contains, stdout_matches, stderr_contains, stderr_matches, delay_tolerance, "
    "script_played, leaves_processes")


def with_client(**client):
    return {"name": "a", "server": {}, "client": client, "expect": {"requests": 1}}


def with_server(**server):
    return {"name": "a", "server": server, "client": {"command": ["true"]},
            "expect": {"requests": 1}}


def with_expect(**expect):
    return {"name": "a", "server": {}, "client": {"command": ["true"]}, "expect": expect}


def answering(**answer):
    return with_server(script=[{"answer": answer}])


# id: the file (text, bytes or what becomes JSON), and the message after "scenario.json"
BAD = {
    # syntax: file:line:column
    "empty": ("", ":1:1: the JSON text ends too early"),
    "truncated": ('{"name": "a",\n "server": {', ":2:13: the JSON text ends too early"),
    "truncated in a string": ('{"name": "a', ":1:12: the JSON text ends too early: a string has no closing quote"),
    "trailing text": ('{"name": "a"} x', ":1:15: text after the end of the JSON value"),
    "two values": ('{"name": "a"}\n{"name": "b"}', ":2:1: text after the end of the JSON value"),
    "invalid UTF-8": (b'{"name":\n "a\xff"}', ":2:4: invalid UTF-8; save the file as UTF-8"),
    "overlong UTF-8": (b'{"name": "\xc0\xaf"}', ":1:11: invalid UTF-8; save the file as UTF-8"),
    "UTF-16 surrogate in UTF-8": (b'{"name": "\xed\xa0\x80"}',
                                  ":1:11: invalid UTF-8; save the file as UTF-8"),
    "NUL byte": (b'{"name": 1\x00}', ":1:11: a NUL byte, wanted a comma or \"}\""),
    "NUL escape": ('{"name": "a\\u0000b"}', ":1:12: a NUL character in a string"),
    "line end in a string": ('{"name": "a\nb"}',
                             ":1:12: a control character in a string; write it as an escape"),
    "deep nesting": ("[" * 100_000 + "]" * 100_000, ":1:65: nested deeper than 64 levels"),
    "deep nesting of objects": ('{"a":' * 65 + "1" + "}" * 65,
                                ":1:321: nested deeper than 64 levels"),
    # keys
    "duplicate key": ('{"name": "a", "name": "b"}', ": /name: this key stands twice; keep one of them"),
    "duplicate key inside": ('{"client": {"env": {"A": "1", "A": "2"}}}',
                             ": /client/env/A: this key stands twice; keep one of them"),
    "unknown key, near": (with_client(command=["true"], tiemout="1s"),
                          ': /client/tiemout: unknown key; did you mean "timeout"?'),
    "unknown key, far": (with_expect(zzzzzzzzzzzzzzzzzzzzzz=1),
                         ": /expect/zzzzzzzzzzzzzzzzzzzzzz: unknown key; known here: "
                         + KNOWN_EXPECTATIONS),
    "unknown key of a step": (with_server(script=[{"answer": "ok", "time": 2}]),
                              ': /server/script/0/time: unknown key; did you mean "times"?'),
    "key with a slash": (with_server(**{"a/b~c": 1}), None),
    # types
    "array": ([], ": /: found an array, wanted an object"),
    "string": ('"a"', ': /: found "a", wanted an object'),
    "name is a number": ({"name": 1}, ": /name: found 1, wanted a string"),
    "no name": ({"server": {}, "client": {}, "expect": {}},
                ": /name: found nothing, wanted a name, a short statement of what must hold"),
    "no expect": ({"name": "a", "server": {}, "client": {"command": ["true"]}},
                  ': /expect: found nothing, wanted an object; every scenario has "name", '
                  '"server", "client" and "expect"'),
    "expects nothing": (with_expect(), ": /expect: found an object, wanted at least one "
                                       'expectation, such as "attempts_per_call": 3'),
    "only a setting": (with_expect(delay_tolerance="10%"),
                       ": /expect: found an object, wanted at least one expectation, such as "
                       '"attempts_per_call": 3'),
    "command is a string": (with_client(command="true"),
                            ': /client/command: found "true", wanted an array'),
    "command is empty": (with_client(command=[]),
                         ": /client/command: found an array, wanted the program and its arguments"),
    "argument is a number": (with_client(command=["sleep", 1]),
                             ": /client/command/1: found 1, wanted a string"),
    "no command": (with_client(timeout="1s"),
                   ': /client: found an object, wanted either "command", the program under test, '
                   'or "builtin"'),
    "command and builtin": (with_client(command=["true"], builtin={"policy": {"kind": "none"}}),
                            ': /client: found an object, wanted either "command", the program '
                            'under test, or "builtin"'),
    "variable is a number": (with_client(command=["true"], env={"A": 1}),
                             ": /client/env/A: found 1, wanted a string"),
    "null": (with_client(command=["true"], directory=None),
             ": /client/directory: found null, wanted a string"),
    # numbers and durations
    "duration without unit": (with_client(command=["true"], timeout=60),
                              ": /client/timeout: found 60, wanted a duration with its unit, such "
                              'as "250ms", "2s" or "6m0s"'),
    "duration misspelt": (with_client(command=["true"], timeout="1 second"),
                          ': /client/timeout: found "1 second", wanted a duration with its unit, '
                          'such as "250ms", "2s" or "6m0s"'),
    "timeout too long": (with_client(command=["true"], timeout="169h"),
                         ': /client/timeout: found "169h", wanted 1ms to 168h'),
    "timeout of nothing": (with_client(command=["true"], timeout="0s"),
                           ': /client/timeout: found "0s", wanted 1ms to 168h'),
    "runs of nothing": (with_client(command=["true"], runs=0),
                        ": /client/runs: found 0, wanted a whole number from 1 to 100"),
    "quota below zero": (with_server(quotas={"*": {"requests_per_minute": -1}}),
                         ": /server/quotas/*/requests_per_minute: found -1, wanted a whole number "
                         "from 0 to 1000000000000"),
    "quota too large": (with_server(quotas={"*": {"requests_per_minute": 1e13}}),
                        ": /server/quotas/*/requests_per_minute: found 10000000000000, wanted a "
                        "whole number from 0 to 1000000000000"),
    "half a request": (with_server(quotas={"*": {"requests_per_minute": 0.5}}),
                       ": /server/quotas/*/requests_per_minute: found 0.5, wanted a whole number "
                       "from 0 to 1000000000000"),
    "number without end": ('{"name": "a", "server": {"quotas": {"*": {"tokens_per_day": 1e999}}},'
                           '"client": {"command": ["true"]}, "expect": {"requests": 1}}',
                           ": /server/quotas/*/tokens_per_day: found inf, wanted a whole number "
                           "from 0 to 1000000000000"),
    "count as text": (with_expect(requests="3"), ': /expect/requests: found "3", wanted a whole '
                                                 'number or {"min": N, "max": N}'),
    "half a count": (with_expect(requests=1.5),
                     ": /expect/requests: found 1.5, wanted a whole number from 0 to 1000000000"),
    "range upside down": (with_expect(requests={"min": 3, "max": 2}),
                          ': /expect/requests: found an object, wanted "max" not below "min"'),
    "share above all": (with_expect(throttled_share={"max": 101}),
                        ": /expect/throttled_share/max: found 101, wanted a number from 0 to 100"),
    "status out of range": (with_expect(final_status=42),
                            ": /expect/final_status: found 42, wanted an HTTP status"),
    "exit code out of range": (with_expect(exit_code=256),
                               ": /expect/exit_code: found 256, wanted an exit code from 0 to "
                               '255, or "nonzero"'),
    "delay without unit": (with_expect(delays=["1s", 2]),
                           ': /expect/delays/1: found 2, wanted a duration such as "1s"'),
    "too many delays": (with_expect(delays=["1s"] * 1001),
                        ": /expect/delays: found an array, wanted at most 1000 items"),
    "unknown outcome": (with_expect(outcome="fails"),
                        ': /expect/outcome: found "fails", wanted "raises" or "succeeds"'),
    "unknown jitter": (with_expect(backoff={"kind": "fixed", "base": "1s", "jitter": "some"}),
                       ': /expect/backoff/jitter: found "some", wanted one of "none", "full", '
                       '"equal", "decorrelated", "quarter"'),
    "bad expression": (with_expect(stderr_matches="("),
                       ': /expect/stderr_matches: found "(", wanted a POSIX extended regular '
                       "expression (Unmatched ( or \\()"),
    "tolerance without unit": (with_expect(requests=1, delay_tolerance=0.1),
                               ": /expect/delay_tolerance: found 0.1, wanted a share such as "
                               '"10%" or a duration'),
    # script
    "step without answer": (with_server(script=[{"times": 2}]),
                            ': /server/script/0/answer: found nothing, wanted "ok" or an object '
                            "with what is answered"),
    "unknown error": (answering(error="too_fast"), None),
    "body and error": (answering(error="slow_down", body="x"),
                       ': /server/script/0/answer: found an object, wanted either "body", which '
                       "is sent as it stands, or the parts of an error"),
    "status out of range of a step": (answering(status=700, body="x"),
                                      ": /server/script/0/answer/status: found 700, wanted a "
                                      "whole number from 200 to 599"),
    "header with a line end": (answering(body="x", headers={"a": "b\r\nc: d"}), None),
    "times of nothing": (with_server(script=[{"answer": "ok", "times": 0}]),
                         ": /server/script/0/times: found 0, wanted a whole number from 1 to "
                         "1000000000"),
    "times misspelt": (with_server(script=[{"answer": "ok", "times": "always"}]),
                       ': /server/script/0/times: found "always", wanted a whole number from 1 or '
                       '"forever"'),
    "latency upside down": (with_server(latency={"low": "2s", "high": "1s"}),
                            ': /server/latency: found an object, wanted "high" not below "low"'),
}

# Where the message is long or has odd characters, what it has to say.
SAID_IN_PART = {
    "key with a slash": "/server/a~1b~0c: unknown key",
    "unknown error": '/server/script/0/answer/error: found "too_fast", wanted one of '
                     "rate_limit_exceeded, tokens_exceeded, requests_per_day_exceeded",
    "header with a line end": "/server/script/0/answer/headers/a: found \"b",
}


def write(path, content):
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("name", BAD)
def test_bad_scenario_is_refused_with_place_and_remedy(tmp_path, name):
    content, message = BAD[name]
    write(tmp_path / "scenario.json", content)
    finished = run("check", "scenario.json", cwd=tmp_path)
    assert finished.returncode == 2, finished
    assert finished.stdout == ""
    if message is None:
        assert finished.stderr.startswith("toomany check: scenario.json: " + SAID_IN_PART[name])
    else:
        assert finished.stderr == f"toomany check: scenario.json{message}\n"


def test_file_of_100_megabytes_is_refused_at_once(tmp_path):
    path = tmp_path / "large.json"
    path.write_bytes(b'{"name": "' + b"a" * 100_000_000 + b'"}')
    finished = run("check", "large.json", cwd=tmp_path)
    path.unlink()
    assert (finished.returncode, finished.stderr) == (
        2, "toomany check: large.json: larger than 16777216 bytes, which no such file needs\n")


def test_endless_file_is_refused(tmp_path):
    finished = run("check", "/dev/zero", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (
        2, "toomany check: /dev/zero: larger than 16777216 bytes, which no such file needs\n")


@pytest.mark.parametrize("name, message", [
    ("missing.json", "missing.json: No such file or directory"),
    ("empty_folder", "empty_folder: no *.json in this folder"),
    ("scenario.json/below", "scenario.json/below: Not a directory"),
])
def test_missing_file(tmp_path, name, message):
    (tmp_path / "empty_folder").mkdir()
    write(tmp_path / "scenario.json", scenario({"requests": 0}))
    finished = run("check", name, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (2, f"toomany check: {message}\n")


def test_one_bad_file_of_a_folder_is_named_and_nothing_is_run(tmp_path):
    folder = tmp_path / "scenarios"
    folder.mkdir()
    write(folder / "1.json", scenario({"requests": 0}, command=["touch", str(tmp_path / "ran")]))
    write(folder / "2.json", "{")
    finished = run("check", "scenarios", cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stderr == "toomany check: scenarios/2.json:1:2: the JSON text ends too early\n"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content, message", [
    ("{", ":1:2: the JSON text ends too early"),
    ({"quotes": {}}, ': /quotes: unknown key; did you mean "quotas"?'),
    ({"quotas": {"*": {"requests_per_minute": "60"}}},
     ': /quotas/*/requests_per_minute: found "60", wanted a whole number from 0 to 1000000000000'),
])
def test_serve_refuses_a_bad_config_likewise(tmp_path, content, message):
    write(tmp_path / "config.json", content)
    finished = run("serve", "--port", 0, "--config", "config.json", cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == f"toomany serve: config.json{message}\n"
