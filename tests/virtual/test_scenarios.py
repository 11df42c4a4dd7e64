"""Every scenario that ships has the same verdicts in real and in virtual time."""

import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from test_backoff import ROOT, node_folder, python_with_sdk  # noqa: E402
from toomany import BUILD, TOOMANY, environment  # noqa: E402

PATIENCE_S = 600


def node_program(folder):
    node_folder(folder)
    return "node"


# The folder of the scenarios, and what stands in for the program that their commands begin with: the
# SDK may be installed, and the examples built, elsewhere than scenarios say.
SUITES = {
    "python": (ROOT / "scenarios", lambda _: python_with_sdk()),
    "node": (ROOT / "scenarios" / "node", node_program),
    "c": (ROOT / "scenarios" / "c", None),
}


def copy_suite(suite, folder):
    source, make_program = SUITES[suite]
    program = make_program(folder) if make_program else None
    paths = []
    for path in sorted(source.glob("r*.json")):
        scenario = json.loads(path.read_text())
        first, *rest = scenario["client"]["command"]
        if program is None:
            first = str(BUILD / pathlib.Path(first).relative_to("build"))
            assert pathlib.Path(first).exists()
        rest = [str(ROOT / word) if word.startswith("examples/") else word for word in rest]
        if suite == "node":  # a module finds packages beside itself only
            (folder / pathlib.Path(rest[0]).name).write_text(pathlib.Path(rest[0]).read_text())
            rest[0] = str(folder / pathlib.Path(rest[0]).name)
        scenario["client"]["command"] = [program or first, *rest]
        paths.append(folder / path.name)
        paths[-1].write_text(json.dumps(scenario))
    return paths


def verdicts(paths, mode, report):
    done = subprocess.run(
        [str(TOOMANY), "check", "--time", mode, "--jobs", "8", "--report", f"json={report}",
         *map(str, paths)], env=environment(), cwd=ROOT, text=True, capture_output=True,
        timeout=PATIENCE_S)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = {}
    for scenario in json.loads(report.read_text())["scenarios"]:
        assert scenario["time"] == mode
        found[scenario["name"]] = [(verdict["expectation"], verdict["held"])
                                   for verdict in scenario["verdicts"]]
    return found


def differing(carried, really):
    return {name: (carried[name], verdicts) for name, verdicts in really.items()
            if carried[name] != verdicts}


@pytest.mark.once
@pytest.mark.parametrize("suite", SUITES)
def test_verdicts_are_the_same(suite, tmp_path):
    paths = copy_suite(suite, tmp_path)
    carried = verdicts(paths, "virtual", tmp_path / "report-virtual.json")
    assert len(carried) == len(paths) > 0
    really = verdicts(paths, "real", tmp_path / "report-real.json")
    # On a loaded machine it is real time that is late: what differs runs again, by itself.
    for path in paths:
        if json.loads(path.read_text())["name"] in differing(carried, really):
            really |= verdicts([path], "real", tmp_path / "report-again.json")
    assert not differing(carried, really)
    assert carried.keys() == really.keys()
