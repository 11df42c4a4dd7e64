"""A client whose rule is said on the command line, as JSON, for whoever has to find it out.

    backoff.py '{"kind": "exponential", "base": 0.5, "growth": 2, "cap": 8, "low": 0.75, "high": 1}'

Times in seconds. Each delay is drawn from low to high times the delay of its kind, and up to `added`
more: fixed (base), linear (base and growth more each time), exponential (times growth each time), none of
them above the cap. decorrelated: from base to growth times the delay before; compounding: the delay before
times growth; both cut to the cap. Deaf to Retry-After.
"""

import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from common import call, finish, own_waits_only  # noqa: E402


def delays_s(rule, count):
    base, growth, cap = rule["base"], rule.get("growth", 1), rule.get("cap", float("inf"))
    low, high = rule.get("low", 1), rule.get("high", 1)
    before = base
    for retry in range(count):
        if rule["kind"] == "decorrelated":
            before = min(cap, random.uniform(base, before * growth))
            yield before
        elif rule["kind"] == "compounding":
            before = min(cap, before * growth * random.uniform(low, high))
            yield before
        else:
            bare = {"fixed": base, "linear": base + growth * retry,
                    "exponential": base * growth ** retry}[rule["kind"]]
            yield min(cap, bare) * random.uniform(low, high) + random.uniform(0, rule.get("added", 0))


asked = json.loads(sys.argv[1])
finish(call(waits_s=tuple(delays_s(asked, asked["retries"])), asked_s=own_waits_only))
