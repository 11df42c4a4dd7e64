"""The same scenario, seed and virtual clock give the same JSON report, to the byte."""

import json

import pytest
from toomany import MODEL, run, scenario, write_scenario

LIMITED = {"error": "rate_limit_exceeded"}

# Jitter, random latencies, a share of the requests, quotas, a gate, waits of minutes: all that
# draws from the seed or depends on the order in which things happen.
SCENARIOS = {
    "jitter.json": scenario(
        {"requests": {"min": 1}},
        {"script": [{"answer": LIMITED, "times": 4}]},
        builtin={"policy": {"kind": "exponential", "base": "1s", "max_attempts": 6,
                            "jitter": "full"}}),
    "crowd.json": scenario(
        {"requests": {"min": 20}, "max_in_flight": {"max": 4}},
        {"latency": {"low": "10ms", "high": "2s"},
         "quotas": {MODEL: {"requests_per_minute": 10}},
         "script": [{"when": {"share": 0.3}, "answer": {"error": "server_error"},
                     "times": "forever"}]},
        builtin={"calls": 20, "in_flight_max": 4,
                 "policy": {"kind": "exponential", "base": "500ms", "max_attempts": 5,
                            "jitter": "decorrelated"}},
        timeout="1h"),
    "patience.json": scenario(
        {"attempts_per_call": 2, "delays": ["10m"], "delay_tolerance": "0%", "outcome": "succeeds"},
        {"script": [{"answer": {**LIMITED, "retry_after": "10m"}}]},
        builtin={"policy": {"kind": "fixed", "base": "1s", "max_attempts": 2,
                            "retry_after_cap": "15m"}},
        timeout="1h"),
}


def without_command(played):
    del played["client"]["command"]
    return played


@pytest.fixture
def folder(tmp_path):
    for name, played in SCENARIOS.items():
        copy = json.loads(json.dumps(played))
        write_scenario(tmp_path, without_command(copy) | {"name": name}, name)
    return tmp_path


def report(folder, *arguments):
    finished = run("check", "--report", "json", *arguments, cwd=folder)
    assert finished.returncode in (0, 1), finished
    return finished.stdout


@pytest.mark.parametrize("name", SCENARIOS)
def test_100_processes_of_100_give_the_same_bytes(folder, name):
    reports = {report(folder, "--seed", 42, name) for _ in range(100)}
    assert len(reports) == 1
    result, = json.loads(reports.pop())["scenarios"]
    assert result["time"] == "virtual" and result["wall_ms"] is None
    assert result["calls"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_repetitions_depend_on_their_seed_alone(folder, name):
    """Repetition k with seed s is the run with seed s + k - 1, byte by byte but for its number."""
    repeated = json.loads(report(folder, "--seed", 7, "--repeat", 100, name))["scenarios"]
    for result in repeated[::33]:
        alone, = json.loads(report(folder, "--seed", result["seed"], name))["scenarios"]
        assert json.dumps({**result, "repetition": None}) == json.dumps(alone)


def test_100_times_the_same_list_gives_the_same_bytes(folder):
    """The seed of a repetition differs; the same file a hundred times in one run has one seed."""
    scenarios = json.loads(report(folder, "--seed", 3, *["crowd.json"] * 100))["scenarios"]
    assert len({json.dumps(result) for result in scenarios}) == 1


def test_jobs_change_nothing(folder):
    one = report(folder, "--seed", 9, "--repeat", 20, ".")
    assert report(folder, "--seed", 9, "--repeat", 20, "--jobs", 4, ".") == one
    assert report(folder, "--seed", 9, "--repeat", 20, "--jobs", 16, ".") == one


def test_another_seed_gives_another_run(folder):
    """Else the tests above would show nothing."""
    for name in ("jitter.json", "crowd.json"):
        assert report(folder, "--seed", 1, name) != report(folder, "--seed", 2, name)


def test_waits_take_no_time_and_are_exact(folder):
    result, = json.loads(report(folder, "patience.json"))["scenarios"]
    first, second = result["calls"][0]["attempts"]
    assert second["delay_ns"] == 600 * 10**9
    assert result["passed"]


@pytest.mark.parametrize("kind", ["text", "junit", "tap", "html", "github"])
def test_other_reports_are_the_same_too(folder, kind):
    reports = {run("check", "--report", kind, ".", cwd=folder).stdout for _ in range(5)}
    assert len(reports) == 1
