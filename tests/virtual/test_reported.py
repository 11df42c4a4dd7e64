"""Each reported bug fails its scenario, and mended it passes.

scenarios/reported/README.md says what catches each; tests/clients/reported/rules.py has the rules,
as they were and mended.
"""

import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from toomany import CLIENTS, TOOMANY  # noqa: E402

pytestmark = pytest.mark.once
FOLDER = ROOT / "scenarios" / "reported"
RULES = CLIENTS / "reported" / "rules.py"
# Reports, of which two have two sides, see the page.
REPORTS = 29


def rows_of_the_page():
    """Number, name, link, what catches it, the probe of `toomany grade` that does, too, or None."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+) \| \[`([\w-]+)`\]\((\S+)\) \| .+ \| (.+) \|(?: `(\S+)`)? \|$",
                       page, re.M)
    return [(int(number), name, link, set(re.findall(r"`(\w+)`", caught)), probe or None)
            for number, name, link, caught, probe in found]


ROWS = rows_of_the_page()
NAMES = [name for _, name, *_ in ROWS]
PROBES = {name: probe for _, name, _, _, probe in ROWS if probe}


def check(name, *command):
    """The one scenario of the JSON report."""
    done = subprocess.run(
        [TOOMANY, "check", "--time", "virtual", "--report", "json", FOLDER / f"{name}.json",
         *(["--", *command] if command else [])],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    result, = json.loads(done.stdout)["scenarios"]
    assert result["time"] == "virtual"
    return result


def failed(result):
    return {verdict["expectation"]: verdict["seen"] for verdict in result["verdicts"]
            if not verdict["held"]}


@pytest.mark.parametrize(("name", "caught"), [(name, caught) for _, name, _, caught, _ in ROWS],
                         ids=NAMES)
def test_the_old_rule_is_caught_by_what_the_page_says(name, caught):
    result = check(name, sys.executable, RULES, name)
    assert not result["passed"]
    assert caught and caught <= failed(result).keys(), failed(result)
    # Not a program that fell over, but one that did what the issue tells.
    assert all(run["signal"] is None or run["timed_out"] for run in result["runs"])
    assert result["calls"], result["runs"]


@pytest.mark.parametrize("name", NAMES)
def test_the_mended_rule_passes(name):
    result = check(name)
    assert result["passed"], failed(result)


def verdict(probe, *command):
    done = subprocess.run(
        [TOOMANY, "grade", "--probe", probe, "--time", "virtual", "--format", "json",
         "--fail-on", "never", "--", sys.executable, RULES, *command],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found, = json.loads(done.stdout)["probes"]
    return found["verdict"], found["seen"]


@pytest.mark.parametrize("name", PROBES)
def test_the_probe_that_the_page_names_catches_the_old_rule_and_not_the_mended(name):
    old, seen = verdict(PROBES[name], name)
    assert old in ("wrong", "non-strict"), seen
    mended, seen = verdict(PROBES[name], name, "--mended")
    assert mended == "right", seen


def test_every_report_has_its_scenario_its_rule_and_its_link():
    assert {number for number, *_ in ROWS} == set(range(1, REPORTS + 1))
    names = set(NAMES)
    assert names == {path.stem for path in FOLDER.glob("*.json")}
    listed = subprocess.run([sys.executable, RULES, "--help"], capture_output=True, text=True,
                            timeout=60, check=True).stdout
    assert names == set(re.search(r"\{([\w,\s-]+)\}", listed)[1].replace("\n", "").split(","))
    for _, name, link, *_ in ROWS:
        scenario = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert scenario["$link"] == link
        assert link.rsplit("/", 1)[1] == name.rsplit("-", 1)[1]
        assert scenario["client"]["command"][-2:] == [name, "--mended"]
