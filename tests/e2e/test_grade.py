"""Each probe of `toomany grade` catches a client that is wrong in just that, and lets a right one pass.

The client is tests/clients/synthetic.py, right without a habit. The last tests hold the battery as a
whole: verdicts that do not change with the seed, reports, options.
"""

import json
import signal
import time
import xml.etree.ElementTree

import jsonschema
import pytest
from toomany import CLIENTS, ROOT, run, start

SYNTHETIC = ["python3", "-S", "-E", str(CLIENTS / "synthetic.py")]
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
