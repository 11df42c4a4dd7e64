"""`toomany grade` names the families of 20 programs whose rules are drawn at random, through its real
battery and from 20 starts of each.

tests/unit/test_rule.c does the same with far more clients, without programs. The rules are drawn with
TOOMANY_SEED (1); what the programs draw is theirs, and different in each start.
"""

import json
import math
import os
import pathlib
import random
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from toomany import CLIENTS, TOOMANY  # noqa: E402

pytestmark = pytest.mark.once
SEED = int(os.environ.get("TOOMANY_SEED", "1"))
PROGRAMS = 20
KINDS = ("fixed", "linear", "exponential", "decorrelated", "compounding")


def drawn_rule(drawn, kind):
    """Linear and exponential rules come to their caps, if at all, when their growth has shown."""
    base = round(math.exp(drawn.uniform(math.log(0.1), math.log(10))), 3)
    rule = {"kind": kind, "base": base, "retries": 8}
    if kind == "linear":
        rule["growth"] = round(base * drawn.uniform(0.5, 3), 3)
        rule["cap"] = drawn.choice([10**6, base + 6 * rule["growth"]])
    elif kind == "exponential":
        rule["growth"] = round(drawn.uniform(1.5, 4), 2)
        rule["cap"] = drawn.choice([10**6, base * rule["growth"] ** 5])
    elif kind == "decorrelated":
        rule["growth"] = round(drawn.uniform(2, 4), 2)
    elif kind == "compounding":
        rule["growth"] = round(drawn.uniform(1.3, 3), 2)
        rule["high"] = round(drawn.uniform(1.2, 2), 2)
        return rule
    jitter = drawn.choice(["none", "full", "equal", "around", "added"])
    rule["low"] = {"full": 0, "equal": 0.5, "around": 0.8}.get(jitter, 1)
    rule["high"] = 1.2 if jitter == "around" else 1
    rule["added"] = base * drawn.uniform(0.2, 1) if jitter == "added" else 0
    return rule


def drawn_rules():
    drawn = random.Random(SEED)
    return [drawn_rule(drawn, KINDS[number % len(KINDS)]) for number in range(PROGRAMS)]


def delays_in(report):
    """Of each call of each start, in nanoseconds: what the rule was found in."""
    return [[after["arrived_ns"] - before["answered_ns"]
             for before, after in zip(call["attempts"], call["attempts"][1:])]
            for probe in report["probes"] for start in probe["starts"] for call in start["calls"]]


@pytest.mark.parametrize("rule", drawn_rules(), ids=lambda rule: rule["kind"])
def test_the_family_of_a_drawn_rule_is_named(rule):
    done = subprocess.run(
        [TOOMANY, "grade", "--probe", "backs-off/waits", "--probe", "backs-off/jitter",
         "--runs", "20", "--time", "virtual", "--format", "json", "--fail-on", "never", "--",
         sys.executable, "-S", "-E", CLIENTS / "drawn" / "backoff.py", json.dumps(rule)],
        capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = report["rule"]
    if (found["family"], found["sure"]) != (rule["kind"], True):
        pytest.fail(f"{rule}: {found['sentence']}: {delays_in(report)}")
    if rule["kind"] == "exponential":
        factor = found["factor"]
        assert factor["low"] * 0.95 <= rule["growth"] <= factor["high"] * 1.05, (rule, found)
    if rule["kind"] == "fixed" and rule["low"] == rule["high"] == 1 and not rule["added"]:
        assert abs(found["base_ns"]["value"] / 1e9 - rule["base"]) <= 0.05 * rule["base"]
