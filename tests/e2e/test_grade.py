"""Each probe of `toomany grade` catches a client that is wrong in just that, and lets a right one pass.

The client is tests/clients/synthetic.py, right without a habit. The last tests hold the battery as a
whole: verdicts that do not change with the seed, reports, options.
"""

import itertools
import json
import os
import re
import shutil
import signal
import time
import xml.etree.ElementTree

import jsonschema
import pytest
from toomany import BUILD, CLIENTS, ROOT, run, start

SYNTHETIC = ["python3", "-S", "-E", str(CLIENTS / "synthetic.py")]
pytestmark = pytest.mark.carried
LISTED = {probe["id"]: probe for probe in
          json.loads(run("grade", "--list", "--format", "json").stdout)["probes"]}


def grade(habits, *options, command=None):
    """The report of a synthetic client with these habits, by probe."""
    finished = run("grade", "--format", "json", "--fail-on", "never", *options, "--",
                   *(command or [*SYNTHETIC, *habits.split()]))
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def verdict(habits, probe, *options):
    found, = grade(habits, "--probe", probe, *options)["probes"]
    return found["verdict"], found["seen"]


# probe: the habits that it catches, and what it then says.
WRONG = {
    "recovers/one-429": ("no-retry=*", "wrong"),
    "recovers/two-429s": ("attempts=2", "wrong"),
    "recovers/tokens": ("no-retry=tokens", "wrong"),
    "recovers/concurrency": ("no-retry=429", "wrong"),
    "recovers/slow-down": ("no-retry=slow_down", "wrong"),
    "recovers/plain-text": ("reads-body-first", "wrong"),
    "recovers/string-error": ("reads-body-first", "wrong"),
    "recovers/500": ("no-retry=500", "wrong"),
    "recovers/503": ("no-retry=503", "wrong"),
    "recovers/408": ("no-retry=408", "non-strict"),
    "recovers/409": ("no-retry=409", "non-strict"),
    "waits/seconds": ("deaf=seconds", "wrong"),
    "waits/milliseconds": ("deaf=milliseconds", "non-strict"),
    "waits/date": ("deaf=date", "wrong"),
    "waits/date-rfc850": ("deaf=obsolete", "non-strict"),
    "waits/date-asctime": ("deaf=obsolete", "non-strict"),
    "waits/disagreeing": ("shortest", "wrong"),
    "waits/changing": ("first-wait", "wrong"),
    "waits/decimal": ("whole-seconds told-alike", "non-strict"),
    "waits/ninety-seconds": ("early-above=60", "wrong"),
    "waits/ten-minutes": ("early-above=60", "wrong"),
    "waits/a-day": ("sleeps-long", "non-strict"),
    "waits/thirty-days": ("sleeps-long overflow", "wrong"),
    "waits/zero": ("obeys-zero attempts=40", "wrong"),
    "waits/negative": ("odd-is-zero", "wrong"),
    "waits/past-date": ("odd-is-zero", "wrong"),
    "waits/garbage": ("odd-is-zero", "wrong"),
    "waits/huge": ("odd-is-zero", "wrong"),
    "waits/repeated": ("base=0 deaf", "wrong"),
    "backs-off/waits": ("base=0", "wrong"),
    "backs-off/grows": ("factor=1", "wrong"),
    "backs-off/jitter": ("jitter=seeded", "wrong"),
    "ends/bounded": ("attempts=0", "wrong"),
    "ends/exit-code": ("exits-zero", "wrong"),
    "ends/names-error": ("own-words", "wrong"),
    "ends/message": ("status-only", "wrong"),
    "ends/no-last-wait": ("sleeps-last", "wrong"),
    "ends/should-retry-false": ("deaf-to-should-retry", "non-strict"),
    "ends/insufficient-quota": ("retries-quota", "wrong"),
    "ends/credit-balance": ("retries-type-only", "wrong"),
    "ends/400": ("retries-all", "wrong"),
    "ends/401": ("retries-all", "wrong"),
    "ends/403": ("retries-all", "wrong"),
    "ends/404": ("retries-all", "wrong"),
    "multiplies/one-layer": ("attempts=3 outer=3", "wrong"),
    "shares/all-served": ("no-retry=*", "wrong"),
    "shares/herd": ("jitter=none", "wrong"),
    "shares/herd-told": ("told-alike", "non-strict"),
    "survives/reset": ("crashes-on-reset", "wrong"),
    "survives/reset-in-body": ("half-is-good", "wrong"),
    "survives/stall": ("no-timeout", "wrong"),
    "survives/truncated": ("half-is-good", "wrong"),
    "survives/broken-json": ("any-200-is-good", "wrong"),
    "survives/html": ("html-is-good", "wrong"),
    "survives/error-in-200": ("error-object-is-good", "wrong"),
    "survives/overload-in-400": ("400-is-good", "wrong"),
    "survives/stream-error": ("stream stream-error-is-good", "wrong"),
    "survives/stream-cut": ("stream", "non-strict"),
    "survives/stream-endless": ("stream no-timeout", "wrong"),
    "repeats-safely/same-body": ("new-body", "wrong"),
    "repeats-safely/idempotency-key": ("keys=new", "wrong"),
}

# Facts, which are neither right nor wrong: the habits with which another is seen.
FACTS = {
    "ends/request-id": ("request-id", "it prints the request id of the last answer"),
    "ends/time": ("jitter=none attempts=3", "1.5s from the first request to the error"),
    "multiplies/requests": ("attempts=7", "7 requests for one call"),
    "shares/in-flight": ("calls=1",
                         "at most 4 in flight after the first 429, where 2 are admitted"),
    "repeats-safely/retry-count": ("counts", "it numbers its attempts"),
}


@pytest.mark.parametrize("probe", WRONG)
def test_a_probe_catches_what_is_wrong(probe):
    habits, expected = WRONG[probe]
    said, seen = verdict(habits, probe)
    assert said == expected, seen


@pytest.mark.parametrize("probe", FACTS)
def test_a_probe_tells_a_fact(probe):
    habits, expected = FACTS[probe]
    said, seen = verdict(habits, probe)
    assert (said, seen) == ("informational", expected)


def test_every_probe_has_a_client_that_it_catches():
    assert WRONG.keys() | FACTS.keys() == LISTED.keys()
    assert WRONG.keys() & FACTS.keys() == set()


@pytest.mark.parametrize("habits", ["", "stream asks-for-done"])
def test_a_right_client_passes_every_probe(habits):
    report = grade(habits)
    bad = {probe["id"]: (probe["verdict"], probe["seen"]) for probe in report["probes"]
           if probe["verdict"] not in ("right", "informational")
           and not (probe["seen"] == "it asks for no stream" and not habits)}
    assert bad == {}
    assert report["grade"] == "A"


# The battery as a whole.

STEADY = {
    "right": "asks-for-done",
    "a quarter of jitter, three attempts, as the official SDKs": "jitter=quarter attempts=3",
    "none": "no-retry=*",
    "fixed": "factor=1 jitter=none",
}
SEEDS = int(os.environ.get("GRADE_SEEDS", "20"))


def is_steady(*arguments, command=None, seeds=SEEDS):
    verdicts = [{probe["id"]: probe["verdict"] for probe in
                 grade(*arguments, "--seed", seed * 1000, command=command)["probes"]}
                for seed in range(seeds)]
    assert "questionable" not in verdicts[0].values()
    for other in verdicts[1:]:
        assert other == verdicts[0]


@pytest.mark.once
def test_full_jitter_changes_no_verdict():
    is_steady("jitter=full attempts=5", seeds=2)


@pytest.mark.steady
@pytest.mark.parametrize("habits", STEADY.values(), ids=list(STEADY))
def test_no_verdict_changes_with_the_seed(habits):
    is_steady(habits)


@pytest.mark.once
@pytest.mark.parametrize("program", ["defaults", "fixed"])
def test_no_verdict_on_a_program_in_c_changes_in_twenty_runs(program):
    is_steady("", command=[BUILD / "examples" / "c" / program], seeds=20)


@pytest.mark.steady
def test_no_verdict_on_a_program_in_python_changes_with_the_seed():
    is_steady("", command=["python3", str(CLIENTS / "retries.py")])


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.steady
def test_no_verdict_on_a_program_in_node_changes_with_the_seed():
    is_steady("", command=["node", str(CLIENTS / "retries.mjs")])


# Where one start answers two probes (grade/joint.c).

JOINTS = re.findall(r'\.first = "([\w/-]+)", \.second = "([\w/-]+)"',
                    (ROOT / "grade" / "joint.c").read_text())


def assert_says_the_same(habits, first, second):
    asked = ("--probe", first, "--probe", second)
    joint = {probe["id"]: probe["verdict"] for probe in
             grade(habits, *asked, "--probe", "backs-off/waits")["probes"]
             if probe["id"] in (first, second)}
    alone = {probe["id"]: probe["verdict"] for probe in grade(habits, *asked)["probes"]}
    assert joint == alone, habits


@pytest.mark.once
@pytest.mark.parametrize("first, second", JOINTS)
def test_a_start_for_two_probes_says_what_a_start_for_each_says(first, second):
    """Of a client that is wrong in the first, and of one that is in the second, and makes no retry
    when a quarter of a minute has passed."""
    assert_says_the_same(WRONG[first][0], first, second)
    assert_says_the_same(f"{WRONG[second][0]} budget=15", first, second)


@pytest.mark.steady
@pytest.mark.parametrize("first, second", JOINTS)
def test_a_start_for_two_probes_says_so_without_a_budget(first, second):
    assert_says_the_same(WRONG[second][0], first, second)


@pytest.mark.once
def test_every_start_for_two_probes_lets_a_right_client_pass():
    asked = [word for probe in ("backs-off/waits", *itertools.chain(*JOINTS))
             for word in ("--probe", probe)]
    assert {probe["verdict"] for probe in grade("", *asked)["probes"]} == {"right"}


def test_a_right_program_needs_fewer_starts_than_there_are_probes():
    pairs = JOINTS[-6:-1]
    asked = [word for probe in ("backs-off/waits", *itertools.chain(*pairs))
             for word in ("--probe", probe)]
    report = grade("", *asked, "--runs", "2")
    assert report["start_count"] == 1 + 2 + len(pairs), "healthy, refused for ever, the pairs"
    assert all(", then " in probe["sent"] for probe in report["probes"]
               if probe["id"] in dict(pairs))


def test_programs_started_at_once_do_not_change_the_rule():
    """Five that come at the same moment are no single one that tries again without a wait."""
    report = grade("jitter=none base=1 cap=600 attempts=6", "--probe", "backs-off", "--probe",
                   "shares/herd")
    assert "1 s, doubled" in report["rule"]["sentence"]


@pytest.mark.once
def test_the_report_fits_its_schema():
    schema = json.loads((ROOT / "grade" / "report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for habits in ("", "no-retry=*", "exits-zero attempts=0"):
        jsonschema.validate(grade(habits), schema)


def test_a_loop_around_an_sdk_has_a_rule_of_its_own():
    """Each layer for itself: together they look like neither."""
    report = grade("attempts=4 outer=3 jitter=none", "--probe", "backs-off")
    assert report["rule"]["sentence"] == "0.5 s, doubled each time, without jitter"
    assert report["rule"]["attempts_max"]["value"] == 4
    assert report["loop_rule"]["sentence"] == "2 s each time, without jitter"
    assert report["loop_rule"]["attempts_max"]["value"] == 3
    assert grade("", "--probe", "backs-off")["loop_rule"] is None


def test_a_probe_or_a_group_can_be_asked_for():
    report = grade("", "--probe", "repeats-safely", "--probe", "ends/400")
    assert [probe["id"] for probe in report["probes"]] == [
        "ends/400", "repeats-safely/same-body", "repeats-safely/idempotency-key",
        "repeats-safely/retry-count"]
    wrong = run("grade", "--probe", "waits/nothing", "--", "true")
    assert wrong.returncode == 2 and "--list shows them" in wrong.stderr


@pytest.mark.parametrize("severity, status", [("minor", 1), ("major", 0), ("never", 0)])
def test_fail_on_decides_the_exit_status(severity, status):
    finished = run("grade", "--probe", "ends", "--fail-on", severity, "--", *SYNTHETIC,
                   "status-only")
    assert finished.returncode == status, finished.stdout
    assert "ends/message, minor" in finished.stdout


def test_what_does_not_succeed_against_a_healthy_server_is_not_graded():
    for command, remedy in {
        ("true",): "it sent no request to the server",
        ("false",): "it sent no request to the server",
        ("sleep", "1000"): "--trigger",
        ("curl", "-s", "-d", "{}"): "its request was bad",
        ("no-such-program",): "no-such-program",
    }.items():
        if command[0] == "curl":
            command = ("sh", "-c", 'curl -s -d {} "$OPENAI_BASE_URL/chat/completions"')
        finished = run("grade", "--", *command)
        assert finished.returncode == 3, finished.stdout
        assert remedy in finished.stderr
        assert finished.stdout == ""


def test_a_program_that_fails_though_it_was_served_is_not_graded():
    finished = run("grade", "--", "sh", "-c", f"{' '.join(SYNTHETIC)}; exit 5")
    assert finished.returncode == 3
    assert "it fails against a healthy server (exit code 5)" in finished.stderr


def test_several_calls_of_a_start_are_told_apart():
    report = grade("calls=3", "--probe", "recovers", "--probe", "waits/seconds")
    assert {probe["verdict"] for probe in report["probes"]} == {"right"}


def test_junit_has_a_testcase_for_each_probe():
    finished = run("grade", "--format", "junit", "--probe", "ends", "--", *SYNTHETIC,
                   "retries-quota", "own-words")
    root = xml.etree.ElementTree.fromstring(finished.stdout)
    failed = {case.get("name") for case in root.iter("testcase") if case.find("failure") is not None}
    assert failed == {"ends/names-error", "ends/message", "ends/insufficient-quota",
                      "ends/credit-balance"}
    assert root.get("tests") == str(sum(1 for id in LISTED if id.startswith("ends/")))
    assert root.get("failures") == "4"


def test_html_stands_for_itself(tmp_path):
    page = tmp_path / "card.html"
    finished = run("grade", "--format", "html", "-o", page, "--probe", "recovers", "--",
                   *SYNTHETIC, "no-retry=500")
    assert finished.returncode == 1 and finished.stdout == ""
    text = page.read_text()
    assert "<script" not in text and "http://" not in text.replace("http://www.w3.org", "")
    assert "recovers/500" in text and "it gave up after one request" in text


@pytest.mark.once
def test_against_tells_what_differs(tmp_path):
    before = tmp_path / "before.json"
    options = ["--probe", "recovers", "--fail-on", "never"]
    run("grade", *options, "--format", "json", "-o", before, "--", *SYNTHETIC)
    same = run("grade", *options, "--against", before, "--", *SYNTHETIC)
    assert "no difference" in same.stdout
    other = run("grade", *options, "--against", before, "--", *SYNTHETIC, "no-retry=503")
    assert "right -> wrong" in other.stdout and "A -> C" in other.stdout
    before.write_text('{"passed": true}')
    wrong = run("grade", "--against", before, "--", "true")
    assert wrong.returncode == 2 and "toomany grade --format json" in wrong.stderr


def test_a_stopped_grade_still_prints_its_card():
    process = start("grade", "--time", "real", "--probe", "recovers/one-429", "--probe",
                    "waits/seconds", "--", *SYNTHETIC)
    time.sleep(3)  # real time: the wait of 20 s is under way
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "stopped before its end" in output and "left out" in output


def test_a_service_is_graded_by_what_triggers_it(tmp_path):
    service = tmp_path / "service.py"
    service.write_text(f"""
import http.server, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        status = subprocess.run({SYNTHETIC + ["retries-quota"]}).returncode
        self.send_response(500 if status else 200)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 8947), Handler).serve_forever()
""")
    report = grade("", "--probe", "recovers/one-429", "--probe", "ends/insufficient-quota",
                   "--probe", "shares/all-served", "--trigger",
                   "curl -sSf -X POST http://127.0.0.1:8947/",
                   command=["python3", "-S", "-E", str(service)])
    assert {probe["id"]: probe["verdict"] for probe in report["probes"]} == {
        "recovers/one-429": "right", "ends/insufficient-quota": "wrong",
        "shares/all-served": "right"}


def test_real_time_has_a_shorter_battery():
    report = grade("", "--time", "real", "--probe", "waits/ten-minutes", "--probe", "ends/400")
    assert {probe["id"]: probe["verdict"] for probe in report["probes"]} == {
        "waits/ten-minutes": "left out", "ends/400": "right"}
    assert report["full"] is False and report["time"] == "real"


@pytest.mark.once
@pytest.mark.parametrize("program", ["examples/c/defaults"])
def test_our_own_client_passes_every_probe(program):
    from toomany import BUILD
    report = grade("", command=[str(BUILD / program)])
    assert {probe["verdict"] for probe in report["probes"]} <= {"right", "informational",
                                                                "not applicable"}
    assert report["grade"] == "A"
