"""The reports, read by the programs that others read them with."""

import json
import os
import pty
import re
import select
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from toomany import MODEL, PATIENCE_S, ROOT, TOOMANY, client, environment, run, scenario, write_scenario

REFUSED = {"error": {"message": "Rate limit <reached> & \"held\"", "type": "requests",
                     "code": "rate_limit_exceeded"}}
STEP = {"answer": {"status": 429, "body": REFUSED, "retry_after": "200ms",
                   "retry_after_form": "milliseconds"}}

# One of each state, with names and outputs that formats have to escape.
EVIL = "evil <b>&amp; # \\ ::error:: %0A \u2028 \"quotes\" \x1b[31m"
SCENARIOS = {
    "1.json": scenario({"attempts_per_call": 2, "outcome": "succeeds"},
                       {"script": [STEP]}, command=client("right"))
    | {"name": "recovers", "why": "So that nobody <notices>."},
    "2.json": scenario({"attempts_per_call": 2, "outcome": "succeeds", "exit_code": 0},
                       {"script": [STEP], "quotas": {MODEL: {"requests_per_minute": 60}}},
                       command=client("never_retries")) | {"name": EVIL},
    "3.json": scenario({"requests": 0}, command=["no-such-program"]) | {"name": "could not"},
    "4.json": scenario({"requests": 1}, command=["printf", r"]]>\033[2J\377\n::error::x"])
    | {"name": "listed"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of all, with a report of each kind."""
    folder = tmp_path_factory.mktemp("reports")
    for name, played in SCENARIOS.items():
        write_scenario(folder, played, name)
    (folder / "known.txt").write_text("listed\n")
    kinds = ["text", "json", "junit", "tap", "html", "github"]
    finished = run("check", "--time", "real", *[f"--report={kind}=report.{kind}" for kind in kinds],
                   "--known-failing", "known.txt", *SCENARIOS, cwd=folder)
    assert finished.returncode == 3, finished
    (folder / "stdout").write_text(finished.stdout)
    return folder


def read(folder, kind):
    return (folder / f"report.{kind}").read_text(encoding="utf-8")


# ---- JSON ----

WHOLE, TEXT, FLAG, NOTHING = int, str, bool, type(None)
VERDICT = {"expectation": TEXT, "held": FLAG, "undetermined": FLAG, "expected": TEXT, "seen": TEXT,
           "hint": (TEXT, NOTHING)}
ATTEMPT = {"sequence": WHOLE, "connection": WHOLE, "arrived_ns": WHOLE,
           "answered_ns": (WHOLE, NOTHING), "delay_ns": (WHOLE, NOTHING),
           "status": (WHOLE, NOTHING), "code": (TEXT, NOTHING), "retry_after_ns": (WHOLE, NOTHING),
           "retry_count": (WHOLE, NOTHING), "throttled": FLAG, "by_quota": FLAG,
           "starts_loop": FLAG, "abandoned": FLAG}
CALL = {"model": (TEXT, NOTHING), "run": WHOLE, "loop_attempts": WHOLE, "grouped_by": TEXT,
        "ambiguous": FLAG, "attempts": [ATTEMPT]}
END = {"exit_code": (WHOLE, NOTHING), "signal": (WHOLE, NOTHING), "timed_out": FLAG}
RUN = {**END, "output_exceeded": FLAG, "started_ns": WHOLE, "ended_ns": WHOLE,
       "output_bytes": WHOLE, "stdout": (TEXT, NOTHING), "stderr": (TEXT, NOTHING),
       "survivors": (TEXT, NOTHING)}
USAGE = {"model": TEXT, "key_tail": TEXT, "dimension": TEXT, "limit": WHOLE, "peak": WHOLE,
         "throttled": WHOLE}
SCENARIO = {"name": TEXT, "file": TEXT, "why": (TEXT, NOTHING), "passed": FLAG, "state": TEXT,
            "known_failing": FLAG, "interrupted": FLAG, "error": (TEXT, NOTHING), "command": TEXT,
            "time": TEXT, "exact": FLAG, "time_note": (TEXT, NOTHING), "seed": WHOLE,
            "repetition": (WHOLE, NOTHING),
            "wall_ms": (WHOLE, NOTHING), "duration_ns": WHOLE, "requests": WHOLE,
            "throttled": WHOLE, "in_flight_most": WHOLE, "client": END, "verdicts": [VERDICT],
            "notes": [TEXT], "usage": [USAGE], "calls": [CALL], "runs": [RUN]}
COUNTS = dict.fromkeys(["scenarios", "passed", "failed", "known_failing",
                        "passed_though_known_failing", "stopped", "could_not_run"], WHOLE)
REPORT = {"toomany": TEXT, "passed": FLAG, "interrupted": FLAG, "counts": COUNTS,
          "scenarios": [SCENARIO]}


def hold_against(shape, value, place=""):
    """Exactly the members of the shape, each of its type."""
    if isinstance(shape, dict):
        assert isinstance(value, dict) and value.keys() == shape.keys(), place
        for name, inner in shape.items():
            hold_against(inner, value[name], f"{place}/{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        for index, item in enumerate(value):
            hold_against(shape[0], item, f"{place}/{index}")
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        assert type(value) in kinds, f"{place}: {value!r}"


def test_json_has_the_members_that_programs_rely_on(folder):
    report = json.loads(read(folder, "json"))
    hold_against(REPORT, report)
    states = {result["name"]: result["state"] for result in report["scenarios"]}
    assert list(states.values()) == ["passed", "failed", "could not run", "known failing"]
    assert report["counts"] == {"scenarios": 4, "passed": 1, "failed": 1, "known_failing": 1,
                                "passed_though_known_failing": 0, "stopped": 0, "could_not_run": 1}
    assert not report["passed"] and not report["interrupted"]


def test_json_tells_what_happened(folder):
    recovers, evil, could_not, listed = json.loads(read(folder, "json"))["scenarios"]
    assert recovers["why"] == "So that nobody <notices>."
    assert (recovers["time"], recovers["seed"], recovers["repetition"]) == ("real", 1, None)
    assert 200 <= recovers["wall_ms"] < 60000
    assert recovers["client"] == {"exit_code": 0, "signal": None, "timed_out": False}
    call, = recovers["calls"]
    first, second = call["attempts"]
    assert (first["status"], first["code"], first["retry_after_ns"], first["delay_ns"]) == (
        429, "rate_limit_exceeded", 200_000_000, None)
    assert (second["status"], second["code"], second["retry_after_ns"]) == (200, None, None)
    assert second["delay_ns"] == second["arrived_ns"] - first["answered_ns"] >= 200_000_000
    assert 0 < first["arrived_ns"] <= first["answered_ns"] <= second["arrived_ns"] \
        <= second["answered_ns"] <= recovers["duration_ns"]
    assert all(verdict["held"] and verdict["hint"] is None for verdict in recovers["verdicts"])
    assert evil["name"] == EVIL
    assert [verdict["expectation"] for verdict in evil["verdicts"] if not verdict["held"]] == [
        "attempts_per_call", "outcome", "exit_code"]
    assert all(verdict["hint"] for verdict in evil["verdicts"] if not verdict["held"])
    assert "RateLimitError" in evil["runs"][0]["stderr"]
    assert could_not["error"].startswith("no-such-program: command not found")
    assert (could_not["client"]["exit_code"], could_not["runs"]) == (None, [])
    assert listed["known_failing"] and not listed["passed"]
    assert listed["runs"][0]["stdout"] == "]]>\x1b[2J\ufffd\n::error::x"


# ---- JUnit ----

def test_junit_is_what_ci_systems_read(folder):
    root = ElementTree.fromstring(read(folder, "junit"))
    assert root.tag == "testsuites"
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    cases = root.findall("testsuite/testcase")
    assert [case.get("classname") for case in cases] == [
        "toomany.1", "toomany.2", "toomany.3", "toomany.4"]
    assert cases[1].get("name").startswith('evil <b>&amp; # \\ ::error:: %0A ')
    assert float(cases[0].get("time")) >= 0.2
    assert "expected" in cases[1].find("failure").text
    assert "RateLimitError" in cases[1].findtext("system-err")


def test_junit_is_what_junitparser_reads(folder):
    suite, = JUnitXml.fromfile(str(folder / "report.junit"))
    results = [[type(result) for result in case.result] for case in suite]
    assert results == [[], [Failure], [Error], [Skipped]]
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 1, 1)


# ---- TAP ----

def test_tap_has_a_line_a_scenario_and_yaml_below_what_failed(folder):
    lines = read(folder, "tap").splitlines()
    assert lines[:2] == ["TAP version 13", "1..4"]
    points = [line for line in lines if re.match(r"(not )?ok ", line)]
    assert points[0] == "ok 1 - recovers"
    assert points[1].startswith("not ok 2 - evil <b>&amp; \\# \\\\ ::error:: %0A")
    assert points[2] == "not ok 3 - could not"
    assert points[3] == "not ok 4 - listed # TODO known failing"
    # All else is a YAML block, indented, with its marks in pairs.
    rest = [line for line in lines[2:] if line not in points]
    assert all(line.startswith("  ") for line in rest)
    assert rest.count("  ---") == rest.count("  ...") == 3


# ---- HTML ----

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source",
        "track", "wbr"}


class Page(HTMLParser):
    """Notes what is open and what would be loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.loaded = []
        self.wrong = []
        self.text = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "srcset", "poster", "data", "action") or (
                    name in ("href", "xlink:href") and not (value or "").startswith("#")):
                self.loaded.append((tag, name, value))
            if name.startswith("on"):
                self.wrong.append((tag, name))

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> {self.getpos()}")

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_whole_and_loads_nothing(folder):
    source = read(folder, "html")
    page = Page()
    page.feed(source)
    page.close()
    assert source.lower().startswith("<!doctype html>")
    assert page.wrong == [] and page.open == []
    assert page.loaded == []
    assert not re.search(r"url\(|@import|<script|<iframe", source)
    assert "evil <b>&amp; # \\ ::error:: %0A" in "".join(page.text)
    for name in ("recovers", "could not", "listed"):
        assert name in "".join(page.text)


# ---- text, terminals, CI ----

def test_text_is_plain_and_fits_80_columns_in_a_log(folder):
    for text in (read(folder, "text"), (folder / "stdout").read_text()):
        assert "\x1b" not in text and "\r" not in text
        assert max(map(len, text.splitlines())) <= 80
        assert text.endswith("1 passed, 1 failed, 1 known failing, 1 could not run\n")


def test_text_shows_what_was_expected_seen_and_why(folder):
    text = read(folder, "text")
    for part in ("FAIL", "ERROR", "attempts per call", "expected", "seen", "hint"):
        assert part in text


def test_client_output_cannot_speak_to_the_terminal_or_to_ci(folder):
    """What a client printed is shown, but never as a control sequence nor as a workflow command."""
    for kind in ("text", "tap", "github", "junit", "html"):
        text = read(folder, kind)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text), kind
        assert kind not in ("text", "tap") or not re.search(r"^\s*::", text, re.M), kind


def test_github_annotates_what_did_not_hold(folder):
    lines = read(folder, "github").removesuffix("\n").split("\n")
    assert all(re.match(r"::(error|warning|notice) file=\d\.json,title=[^:,]+::.", line)
               for line in lines), lines
    assert sum("2.json" in line for line in lines) == 3
    assert [line for line in lines if line.startswith("::warning file=4.json")]
    assert r"title=evil <b>&amp; # \ %3A%3Aerror%3A%3A %250A" in lines[0]


@pytest.mark.parametrize("value, annotated", [("true", True), ("false", False), ("", False)])
def test_github_annotations_come_beside_the_text_where_it_runs(folder, value, annotated):
    finished = run("check", "--report", "json=another.json", "2.json", cwd=folder,
                   env={"GITHUB_ACTIONS": value})
    assert ("::error file=2.json" in finished.stdout) == annotated
    assert "0 passed, 1 failed" in finished.stdout


def test_github_annotations_do_not_spoil_a_report_on_stdout(folder):
    finished = run("check", "--report", "json", "2.json", cwd=folder,
                   env={"GITHUB_ACTIONS": "true"})
    assert len(json.loads(finished.stdout)["scenarios"]) == 1


def on_a_terminal(folder, *arguments, columns=100, **variables):
    """What a run writes to a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", str(columns)], stdin=theirs, check=True)
    process = subprocess.Popen([str(TOOMANY), *arguments], stdin=theirs, stdout=theirs,
                               stderr=theirs, cwd=folder,
                               env=environment(**{"TERM": "xterm-256color", **variables}))
    os.close(theirs)
    written = b""
    while True:
        ready, _, _ = select.select([ours], [], [], PATIENCE_S)
        assert ready, "it hangs"
        try:
            part = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    process.wait(timeout=PATIENCE_S)
    return written.decode()


COLOUR = re.compile("\x1b\\[[0-9;]*m")


def test_terminal_gets_colours_and_its_width(folder):
    wide = on_a_terminal(folder, "check", "2.json", columns=120)
    assert COLOUR.search(wide)
    plain = COLOUR.sub("", wide)
    assert "\x1b" not in plain
    assert 80 < max(map(len, plain.split("\r\n"))) <= 120


@pytest.mark.parametrize("variables, coloured", [
    ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)])
def test_terminal_without_colours(folder, variables, coloured):
    assert bool(COLOUR.search(on_a_terminal(folder, "check", "2.json", **variables))) == coloured


def test_report_in_a_file_has_no_colours_beside_a_terminal(folder):
    on_a_terminal(folder, "check", "--report", "text", "--report", "text=beside.txt", "2.json")
    assert "\x1b" not in (folder / "beside.txt").read_text()


def test_columns_gives_the_width_of_a_log(folder):
    finished = run("check", "2.json", cwd=folder, env={"COLUMNS": "132"})
    assert 80 < max(map(len, finished.stdout.splitlines())) <= 132


def test_log_without_utf8_is_ascii(folder):
    finished = run("check", "1.json", cwd=folder, env={"LC_ALL": "C"})
    assert finished.stdout.isascii()


def test_verbose_shows_all_verdicts(folder):
    brief = run("check", "1.json", cwd=folder).stdout
    whole = run("check", "--verbose", "1.json", cwd=folder).stdout
    assert "no processes left" not in brief
    assert "no processes left" in whole and "attempts per call" in whole


@pytest.mark.parametrize("command", [
    ["grade", "--report", "html=gone/report", "--", "true"],
    ["load", "--simulate", "--report", "json=gone/report", ROOT / "experiments" / "agreement.json"],
])
def test_a_report_without_a_folder_is_refused_before_the_run(command):
    """Bug: an hour's run is over when one learns that its report is lost."""
    finished = run(*command)
    assert (finished.returncode, finished.stdout) == (3, "")
    assert finished.stderr == (f"toomany {command[0]}: gone/report: the report could not be written: "
                               "No such file or directory; make its folder first\n")
