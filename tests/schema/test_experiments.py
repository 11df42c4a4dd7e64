"""The schema of experiments, held against the validator, the loader and the shipped files.

An editor trusts the schema and a run trusts the loader (`toomany load`), so both must take the same
documents, but for what the schema's $comment says that it cannot say.

TOOMANY_BUILD names the build directory; build/ of the checkout where it is not set.
"""

import copy
import json
import os
import pathlib
import subprocess

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TOOMANY_BUILD", "build"))
if not BUILD.is_absolute():
    BUILD = ROOT / BUILD
EXPERIMENTS = ROOT / "experiments"
SHIPPED = sorted(file for file in EXPERIMENTS.glob("*.json")
                 if not file.name.endswith(".schema.json"))
SCHEMA = json.loads((EXPERIMENTS / "experiment.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

# So small that taking it costs no time.
BASE = {
    "name": "a document",
    "quotas": {"requests_per_minute": 60},
    "service_time": "100ms",
    "strategies": ["none"],
    "load": {"workers": [1]},
    "duration": "1s",
    "repetitions": 1,
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


def loader_says(made, folder):
    """What `toomany load` finds wrong with the file, or None when it takes it."""
    path = folder / "experiment.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    done = subprocess.run([str(BUILD / "toomany"), "load", "--simulate", str(path)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 2), done.stderr
    return done.stderr if done.returncode == 2 else None


TAKEN = {
    "the base": document(),
    "notes": document("/$schema", "./experiment.schema.json", "/$note", 1, "/quotas/$note", 2),
    "all members": document("/why", "because", "/model", "gpt-4o", "/refusal_time", "5ms",
                            "/request_tokens", 120, "/drain", "1s", "/herd_window", "5ms",
                            "/seed", 0, "/load/think_time", "1s", "/load/ramp", "1s"),
    "no limit": document("/quotas/requests_per_minute", None),
    "each dimension": document("/quotas", {"requests_per_minute": 1, "requests_per_day": 2,
                                           "tokens_per_minute": 3000, "tokens_per_day": 4000,
                                           "concurrent_requests": 5, "requests_total": 6}),
    "all strategies": document("/strategies", "all"),
    "uniform": document("/service_time", {"kind": "uniform", "low": "1ms", "high": "2ms"}),
    "exponential": document("/service_time", {"kind": "exponential", "mean": "1ms"}),
    "log-normal": document("/service_time", {"kind": "log-normal", "mean": "1ms", "sigma": 0.5}),
    "measured": document("/service_time", {"kind": "measured", "samples": ["1ms", "2ms"]}),
    "sizes": document("/request_tokens", {"kind": "log-normal", "mean": 100, "sigma": 0.5}),
    "a strategy with its settings": document(
        "/strategies", [{"strategy": "semaphore", "in_flight_max": 8, "label": "eight"}]),
    "an open loop": document("/load", {"rates": [0.5, 2], "arrivals": "poisson"}),
    "bursts": document("/load", {"rates": [1], "arrivals": {"kind": "bursts", "every": "1s"}}),
    "a day": document("/load", {"rates": [1], "arrivals": {"kind": "diurnal", "day": "1s",
                                                           "weights": [1] * 24}}),
}

REFUSED = {
    "no name": document("/name", REMOVED),
    "an empty name": document("/name", ""),
    "no quotas": document("/quotas", REMOVED),
    "no service time": document("/service_time", REMOVED),
    "no strategies": document("/strategies", []),
    "no load": document("/load", {}),
    "both loads": document("/load/rates", [1]),
    "an unknown member": document("/duraton", "1s"),
    "an unknown limit": document("/quotas/images_per_minute", 5),
    "an unknown strategy": document("/strategies", ["jitter"]),
    "an unknown setting": document("/strategies", [{"strategy": "none", "speed": 1}]),
    "a limit of 0": document("/quotas/requests_per_minute", 0),
    "half a worker": document("/load/workers", [1.5]),
    "no rate": document("/load", {"rates": [0]}),
    "a number as duration": document("/duration", 60),
    "a duration without unit": document("/duration", "60"),
    "no repetition": document("/repetitions", 0),
    "a seed of text": document("/seed", "1"),
    "an unknown distribution": document("/service_time", {"kind": "gamma", "mean": "1s"}),
    "a distribution without its mean": document("/service_time", {"kind": "exponential"}),
    "a time as size": document("/request_tokens", "1s"),
    "an unknown arrival": document("/load", {"rates": [1], "arrivals": {"kind": "tides"}}),
    "23 hours": document("/load", {"rates": [1], "arrivals": {"kind": "diurnal",
                                                              "weights": [1] * 23}}),
}


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for example in SCHEMA["examples"]:
        VALIDATOR.validate(example)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_what_ships_is_right(file):
    shipped = json.loads(file.read_text(encoding="utf-8"))
    VALIDATOR.validate(shipped)
    assert (file.parent / shipped["$schema"]).resolve() == EXPERIMENTS / "experiment.schema.json"


@pytest.mark.parametrize("name", TAKEN)
def test_both_take(name, tmp_path):
    VALIDATOR.validate(TAKEN[name])
    assert loader_says(TAKEN[name], tmp_path) is None


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name, tmp_path):
    assert not VALIDATOR.is_valid(REFUSED[name])
    assert "experiment.json" in loader_says(REFUSED[name], tmp_path)


def test_the_schema_knows_the_strategies_that_ship():
    """One that is added to the table, but not to the schema, is marked wrong by editors."""
    text = (ROOT / "client" / "strategy.c").read_text(encoding="utf-8")
    shipped = [line.split('"')[1] for line in text.splitlines()
               if line.strip().startswith('.name = "') and '""' not in line]
    assert len(shipped) >= 17
    for name in shipped:
        VALIDATOR.validate(document("/strategies", [name]))
        VALIDATOR.validate(document("/strategies", [{"strategy": name}]))
