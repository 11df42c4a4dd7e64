"""A wrong client does not pass, and it fails for what it does wrong.

Each case is a scenario, a client that is right there, and wrong ones with exactly the expectations
that have to fail. tests/clients/README.md says the same in words; the last tests hold the two and
the judge's own table against each other.
"""

import re

import pytest
from toomany import CLIENTS, ROOT, check, client, scenario

RATE_LIMIT = {"error": "rate_limit_exceeded"}


def soon(**more):
    """A 429 that asks for so short a wait that nobody waits for the test."""
    return {**RATE_LIMIT, "retry_after": "100ms", "retry_after_form": "milliseconds", **more}


# Early is never right. How late is a matter of the machine; what the wrong clients do is far later.
TOLERANCE = {"early": "0s", "late": "1500ms"}

GIVES_UP = scenario(
    {"requests": 3, "calls": 1, "attempts_per_call": 3, "loop_attempts_per_call": 3,
     "delays": ["1s", "2s"], "loop_delays": ["1s", "2s"],
     "backoff": {"kind": "exponential", "base": "1s"}, "delay_tolerance": TOLERANCE,
     "outcome": "raises", "exit_code": 1},
    {"script": [{"answer": RATE_LIMIT, "times": "forever"}]})

EQUAL_DELAYS = scenario(
    {"attempts_per_call": 4, "delays": ["1s", "1s", "1s"], "delay_tolerance": TOLERANCE,
     "backoff": {"kind": "fixed", "base": "1s"}},
    {"script": [{"answer": RATE_LIMIT, "times": "forever"}]})

JITTERED = scenario(
    {"attempts_per_call": 4, "delay_tolerance": TOLERANCE,
     "backoff": {"kind": "exponential", "base": "1s", "jitter": "full"}},
    {"script": [{"answer": RATE_LIMIT, "times": "forever"}]})

RETRY_AFTER = scenario(
    {"retry_after": {"late": "1500ms"}, "attempts_per_call": 2, "outcome": "succeeds"},
    {"script": [{"answer": soon(retry_after="600ms")}]})

# Right is refused at 0 s and 1 s, and served at 3 s or later.
OUTAGE = scenario(
    {"requests": 3, "attempts_per_call": 3, "delays": ["1s", "2s"], "delay_tolerance": TOLERANCE,
     "each_delay": {"min": "1s"}, "throttled": 2, "throttled_share": {"max": 70}},
    {"script": [{"answer": RATE_LIMIT, "lasts": "2900ms"}]})

QUOTA_GONE = scenario(
    {"not_retried": "insufficient_quota", "requests": 1, "attempts_per_call": 1,
     "outcome": "raises", "stderr_contains": "insufficient_quota"},
    {"script": [{"answer": {"error": "insufficient_quota"}, "times": "forever"}]})

RECOVERS = scenario(
    {"requests": 3, "calls": 1, "attempts_per_call": 3, "loop_attempts_per_call": 3,
     "outcome": "succeeds", "final_status": 200, "final_code": None, "exit_code": 0,
     "stdout_contains": "A ship of the line.", "stdout_matches": "^A ship .* line\\.$"},
    {"models": {"ft:gpt-4o-mini:acme::7p4lURel": {"content": "A ship of the line."}},
     "script": [{"answer": soon(), "times": 2}]})

# The same for those that never end by themselves.
CUT_OFF = {**RECOVERS, "client": {**RECOVERS["client"], "timeout": "6s", "output_limit": 1000000},
           "expect": {"requests": {"min": 1}}}

RERAISES = scenario(
    {"outcome": "raises", "exit_code": "nonzero", "final_status": 429,
     "final_code": "rate_limit_exceeded",
     "stderr_contains": ["RateLimitError", "rate_limit_exceeded"],
     "stderr_matches": "^openai\\.RateLimitError: Error code: 429 - \\{",
     "duration": {"max": "4s"}, "wait_after_last": {"max": "3500ms"}},
    {"script": [{"answer": soon(), "times": "forever"}]})

RESERVE = scenario(
    {"quota_used": {"max": 25}, "throttled": 0, "calls": 1, "requests": 1, "outcome": "succeeds"},
    {"quotas": {"*": {"requests_per_minute": 4}}})

IN_FLIGHT = scenario({"max_in_flight": {"min": 2, "max": 2}, "calls": 6, "outcome": "succeeds"},
                     {"latency": "300ms"})

ENFORCED = scenario({"throttled": 0, "max_in_flight": {"max": 2}, "calls": 6},
                    {"latency": "300ms", "quotas": {"*": {"concurrent_requests": 2}}})

SLOW = scenario(
    {"requests": 3, "calls": 1, "attempts_per_call": 3, "outcome": "raises"},
    {"script": [{"answer": soon(), "latency": "500ms", "times": "forever"}]})

# 100,000 requests take seconds, and a minute where a sanitizer watches.
HOT_LOOP = scenario({"requests": {"min": 3}},
                    {"script": [{"answer": RATE_LIMIT, "times": "forever"}]}, timeout="150s")

# name of the case: scenario, right client, wrong clients and what catches them
CASES = {
    "gives up": (GIVES_UP, ["right"], {
        ("retries_too_early",): {"delays", "loop_delays", "backoff"},
        ("retries_too_late",): {"delays", "loop_delays", "backoff"},
        ("linear_backoff",): {"delays", "loop_delays", "backoff"},
        ("one_attempt_too_many",): {"requests", "attempts_per_call", "loop_attempts_per_call",
                                    "delays", "loop_delays"},
        ("one_attempt_too_few",): {"requests", "attempts_per_call", "loop_attempts_per_call",
                                   "delays", "loop_delays"},
    }),
    "equal delays": (EQUAL_DELAYS, ["right", "--waits", 1, 1, 1], {
        ("grows_where_fixed",): {"delays", "backoff"},
    }),
    "jitter": (JITTERED, ["right", "--jitter", "--waits", 1, 2, 4], {
        ("no_jitter",): {"backoff"},
    }),
    "Retry-After": (RETRY_AFTER, ["right"], {
        ("ignores_retry_after",): {"retry_after"},
    }),
    "outage": (OUTAGE, ["right"], {
        ("hot_loops",): {"requests", "attempts_per_call", "delays", "each_delay", "throttled",
                         "throttled_share"},
    }),
    "quota gone": (QUOTA_GONE, ["right"], {
        ("retries_insufficient_quota",): {"not_retried", "requests", "attempts_per_call"},
    }),
    "recovers": (RECOVERS, ["right"], {
        ("never_retries",): {"requests", "attempts_per_call", "loop_attempts_per_call", "outcome",
                             "final_status", "final_code", "exit_code", "stdout_contains",
                             "stdout_matches", "script_played"},
        ("changes_body",): {"calls", "attempts_per_call", "loop_attempts_per_call"},
        ("too_many_calls",): {"calls", "requests", "attempts_per_call", "loop_attempts_per_call"},
        ("succeeds_but_exit_one",): {"outcome", "exit_code"},
        ("writes_wrong_stdout",): {"stdout_contains", "stdout_matches"},
        ("never_calls",): {"requests", "calls", "attempts_per_call", "loop_attempts_per_call",
                           "outcome", "final_status", "final_code", "stdout_contains",
                           "stdout_matches", "script_played", "met_the_limit"},
        ("dies_of_signal",): {"not_killed", "requests", "attempts_per_call",
                              "loop_attempts_per_call", "outcome", "final_status", "final_code",
                              "exit_code", "stdout_contains", "stdout_matches", "script_played"},
        ("leaves_child",): {"no_processes_left"},
        ("leaves_child", "--setsid"): {"no_processes_left"},
    }),
    "cut off": (CUT_OFF, ["right"], {
        ("hangs",): {"finished", "script_played"},
        ("prints_gigabyte",): {"output_bounded"},
    }),
    "re-raises": (RERAISES, ["right"], {
        ("swallows_last_error",): {"outcome", "exit_code", "stderr_contains", "stderr_matches"},
        ("exits_zero_after_failing",): {"outcome", "exit_code"},
        ("raises_other_error",): {"stderr_contains", "stderr_matches"},
        ("sleeps_after_last",): {"wait_after_last", "duration"},
    }),
    "keeps a reserve": (RESERVE, ["right"], {
        ("too_many_calls",): {"quota_used", "calls", "requests"},
        ("never_calls",): {"reached_the_server", "quota_used", "calls", "requests", "outcome"},
    }),
    "in flight": (IN_FLIGHT, ["one_more_in_flight", "--at-once", 2], {
        ("one_more_in_flight",): {"max_in_flight"},
    }),
    "in flight, enforced": (ENFORCED, ["one_more_in_flight", "--at-once", 2], {
        ("one_more_in_flight",): {"max_in_flight", "throttled"},
    }),
    "slow answers": (SLOW, ["right"], {
        ("abandons",): {"requests", "attempts_per_call"},
    }),
    "hot loop": (HOT_LOOP, ["right"], {
        ("floods",): {"journal_complete"},
    }),
}

RIGHT = [pytest.param(case, id=case) for case in CASES]
WRONG = [pytest.param(case, command, id=f"{case}: {' '.join(command)}")
         for case, (_, _, wrong) in CASES.items() for command in wrong]


@pytest.mark.parametrize("case", RIGHT)
def test_right_client_passes(tmp_path, case):
    played, command, _ = CASES[case]
    verdicts = check(tmp_path, played, client(*command))
    assert verdicts.failed == set(), verdicts
    assert verdicts.passed and verdicts.status == 0, verdicts


@pytest.mark.parametrize("case, command", WRONG)
def test_wrong_client_fails_for_its_sin_alone(tmp_path, case, command):
    played, _, wrong = CASES[case]
    # A hundred thousand requests, each with a look at whether everybody waits, would take minutes.
    options = ["--time", "real"] if command == ("floods",) else []
    verdicts = check(tmp_path, played, client(*command), *options)
    assert verdicts.failed == wrong[command], verdicts
    assert not verdicts.passed and verdicts.status == 1, verdicts
    assert verdicts.undetermined == set(), verdicts


# Hard to serve or to judge, and right.

AT_ONCE = scenario(
    {"calls": 3, "attempts_per_call": 2, "outcome": "succeeds"},
    {"latency": "200ms",
     "script": [{"answer": soon(retry_after="400ms"), "latency": "200ms", "times": 3}]})


@pytest.mark.parametrize("name", ["half_closes", "slow_sender"])
def test_rare_but_right_client_passes(tmp_path, name):
    verdicts = check(tmp_path, RECOVERS, client(name))
    assert verdicts.passed and verdicts.status == 0, verdicts


def test_equal_calls_at_once_are_told_apart_by_a_marker(tmp_path):
    marked = AT_ONCE | {"client": AT_ONCE["client"] | {"call_marker": {"header": "X-Call"}}}
    verdicts = check(tmp_path, marked,
                     client("equal_bodies_at_once", "--no-counter", "--marker", "X-Call"))
    assert verdicts.passed and verdicts.status == 0, verdicts
    assert {call["grouped_by"] for call in verdicts.result["calls"]} == {"marker"}


@pytest.mark.parametrize("arguments", [[], ["--no-counter"]], ids=["counter", "nothing"])
def test_equal_calls_at_once_without_a_marker_are_not_guessed(tmp_path, arguments):
    """Three connections for three calls, and three more for their retries: nothing tells which
    retry belongs to which first attempt, and the report has to say so."""
    verdicts = check(tmp_path, AT_ONCE, client("equal_bodies_at_once", *arguments))
    assert "attempts_per_call" in verdicts.undetermined, verdicts
    assert verdicts.status == 1
    assert any("not certain" in note and "call_marker" in note
               for note in verdicts.result["notes"]), verdicts.result["notes"]
    assert any(call["ambiguous"] for call in verdicts.result["calls"])


def test_processes_may_be_left_where_the_scenario_says_so(tmp_path):
    allowed = RECOVERS | {"expect": RECOVERS["expect"] | {"leaves_processes": True}}
    verdicts = check(tmp_path, allowed, client("leaves_child"))
    assert verdicts.passed, verdicts


def test_script_may_be_played_in_part_where_the_scenario_says_so(tmp_path):
    partly = scenario({"requests": 1, "script_played": "partly"},
                      {"script": [{"answer": RATE_LIMIT, "times": 2}]})
    verdicts = check(tmp_path, partly, client("never_retries"))
    assert verdicts.passed, verdicts


# The tables are complete.

def demands_of_the_judge():
    """Every expectation kind in harness/expectation.c's table, and every demand that judge.c makes
    unasked, by the names that verdicts have."""
    table = (ROOT / "harness" / "expectation.c").read_text()
    kinds = set(re.findall(r"^    &expect_(\w+),$", table, re.M))
    defined = set()
    for source in (ROOT / "harness").glob("expect_*.c"):
        defined |= set(re.findall(r"expectation_kind expect_(\w+) = \{\"\1\"", source.read_text()))
    assert kinds and kinds == defined
    unasked = set(re.findall(r"\bdemand\(\s*result, \"(\w+)\"",
                             (ROOT / "harness" / "judge.c").read_text()))
    assert len(unasked) >= 7
    return kinds | unasked


def test_everything_that_the_judge_demands_catches_a_wrong_client():
    caught = set().union(*(failed for _, _, wrong in CASES.values() for failed in wrong.values()))
    assert demands_of_the_judge() - caught == set()


def table_of_the_page():
    """client: what it is caught by, of tests/clients/README.md; and the clients that are right."""
    page = (CLIENTS / "README.md").read_text()
    wrong_part, right_part = page.split("These are **not** wrong")
    wrong = {}
    for line in wrong_part.splitlines():
        row = re.fullmatch(r"\| `(\w+)\.py` \| .+ \| (.+) \|", line)
        if row:
            wrong[row[1]] = set(re.findall(r"`(\w+)`", row[2]))
    right = set(re.findall(r"^\| `(\w+)\.py", right_part, re.M))
    return wrong, right


def test_the_page_says_what_catches_each_client():
    caught = {}
    for _, _, wrong in CASES.values():
        for command, failed in wrong.items():
            caught.setdefault(command[0], set()).update(failed)
    named, _ = table_of_the_page()
    assert named.keys() == caught.keys()
    assert {name: expectations - caught[name] for name, expectations in named.items()
            if expectations - caught[name]} == {}
    assert [name for name, expectations in named.items() if not expectations] == []


def test_the_page_names_every_client():
    wrong, right = table_of_the_page()
    files = {path.stem for path in CLIENTS.glob("*.py")} - {"common"}
    assert wrong.keys() | right == files
    assert wrong.keys() & right == set()
