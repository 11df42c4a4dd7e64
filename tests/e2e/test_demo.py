"""`toomany demo`: what it shows is what happened."""

import re

import pytest

from toomany import ROOT, run

PYTHON = ROOT / "examples" / "python" / ".venv" / "bin" / "python"


def in_short(output):
    """The closing table: for each program its loop's attempts, its requests and its exit code."""
    table = output[output.index("In short"):]
    rows = re.findall(r"^ +(\S.*?) +(\d+) +(\d+) +(\d+) +\d+\.\d s$", table, re.MULTILINE)
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}


def test_programs_in_c():
    finished = run("demo", "--client", "c")
    assert finished.returncode == 0, finished
    assert in_short(finished.stdout) == {
        "broken": (1, 1, 1), "fixed, recovers": (3, 3, 0), "fixed, gives up": (3, 3, 1)}
    assert finished.stdout.count("\npass ") == 3
    assert "RateLimitError: Error code: 429 - " in finished.stdout
    assert "build/toomany check scenarios/r3-fixed-recovers.json" in finished.stdout


def test_programs_in_python_and_how_the_sdk_multiplies():
    if not PYTHON.exists():
        pytest.skip("script/setup python has not been run")
    finished = run("demo")
    assert finished.returncode == 0, finished
    assert in_short(finished.stdout) == {
        "broken": (1, 1, 1), "fixed, recovers": (3, 3, 0), "fixed, gives up": (3, 3, 1),
        "fixed, SDK retries too": (3, 9, 1)}
    assert "openai.RateLimitError: Error code: 429" in finished.stdout
    assert "3 attempts in the client's loop, 9 requests on the wire" in " ".join(
        finished.stdout.split())


@pytest.mark.parametrize("arguments, says", [
    (["--client", "cobol"], "found \"cobol\", wanted python, node or c"),
    (["--klient", "c"], "--help"),
    (["now"], "now"),
])
def test_wrong_usage(arguments, says):
    finished = run("demo", *arguments)
    assert finished.returncode == 2, finished
    assert says in finished.stderr
