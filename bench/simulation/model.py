"""The model of simulation.c in SimPy, as its documentation shows how: a process for each caller.

    python3 model.py CALLERS SECONDS

prints callers, attempts, throttled, the measures, seconds of processor time and the most memory, as
JSON. It takes down what the lab takes down, for the same measures.
"""

import json
import math
import random
import resource
import sys
import time

import simpy

CALLERS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
PER_SECOND = CALLERS * 3 / 60
LIMIT = CALLERS * 3
# As lab/measures.h has them, and half of the lab's herd window.
BINS, SAMPLES, HALF_HERD_WINDOW = 600, 6000, 0.005


class Pool:
    """A token bucket, full at the start."""

    def __init__(self):
        self.room = float(LIMIT)
        self.updated = 0.0

    def admit(self, now):
        """None, or the seconds that Retry-After asks for."""
        self.room = min(LIMIT, self.room + (now - self.updated) * PER_SECOND)
        self.updated = now
        if self.room >= 1:
            self.room -= 1
            return None
        return math.ceil((1 - self.room) / PER_SECOND * 1000) / 1000

    def room_at(self, now):
        return math.floor(min(LIMIT, self.room + (now - self.updated) * PER_SECOND))


class Recorder:
    """What lab/recorder.h takes down."""

    def __init__(self):
        self.begun, self.attempts, self.throttled, self.served = ([0] * BINS for _ in range(4))
        self.attempts_ended = self.lost = self.waiting = 0
        self.waited = self.wasted = 0.0
        self.half, self.herd_now, self.herd_before, self.herd = -1, 0, 0, 0
        self.completion = []

    def arrives(self, now, is_retry, is_throttled):
        index = int(now * BINS / SECONDS)
        self.attempts[index] += 1
        if is_throttled:
            self.throttled[index] += 1
        if is_retry:
            half = now // HALF_HERD_WINDOW
            if half != self.half:
                self.herd_before = self.herd_now if half == self.half + 1 else 0
                self.herd_now = 0
                self.half = half
            self.herd_now += 1
            if self.herd_before + self.herd_now > self.herd:
                self.herd = self.herd_before + self.herd_now

    def call_begins(self, now):
        self.begun[int(now * BINS / SECONDS)] += 1

    def call_served(self, begun, now, attempts):
        self.served[int(now * BINS / SECONDS)] += 1
        self.attempts_ended += attempts
        self.completion.append(now - begun)

    def call_lost(self, attempts):
        self.attempts_ended += attempts
        self.lost += 1

    def wait(self):
        self.waiting += 1

    def waited_for(self, seconds):
        self.waiting -= 1
        self.waited += seconds

    def measures(self, served_by_caller):
        done = sorted(self.completion)
        attempts, served = sum(self.attempts), sum(self.served)
        ended = len(done) + self.lost

        def quantile(share):
            return done[max(0, math.ceil(share * len(done)) - 1)]

        return {
            "offered_per_s": sum(self.begun) / SECONDS,
            "attempts_per_s": attempts / SECONDS,
            "goodput_requests_per_s": served / SECONDS,
            "quota_share": served / (LIMIT + PER_SECOND * SECONDS),
            "throttled_share": sum(self.throttled) / attempts,
            "attempts_per_success": self.attempts_ended / len(done),
            "calls_lost": self.lost / ended,
            "completion_p50_s": quantile(0.5),
            "completion_p90_s": quantile(0.9),
            "completion_p99_s": quantile(0.99),
            "completion_max_s": done[-1],
            "waited_s": self.waited / ended,
            "wasted_s": self.wasted / ended,
            "herd": self.herd,
            "fairness": sum(served_by_caller) ** 2
            / (CALLERS * sum(count * count for count in served_by_caller)),
        }


def caller(env, pool, recorder, served_by_caller, number):
    draw = random.random
    yield env.timeout(10 * number / CALLERS)
    while True:
        begun = env.now
        recorder.call_begins(begun)
        for attempt in range(6):
            asked = pool.admit(env.now)
            recorder.arrives(env.now, attempt > 0, asked is not None)
            if asked is None:
                yield env.timeout(random.expovariate(1 / 0.8))
                recorder.call_served(begun, env.now, attempt + 1)
                served_by_caller[number] += 1
                break
            yield env.timeout(0.01)
            if attempt < 5:
                delay = draw() * min(60, 2 ** attempt)
                recorder.wait()
                yield env.timeout(delay)
                recorder.waited_for(delay)
        else:
            recorder.call_lost(6)
        yield env.timeout(random.expovariate(1 / 10))


def sampler(env, pool, recorder):
    step = SECONDS / SAMPLES
    yield env.timeout(step / 2)
    while True:
        recorder.wasted += min(recorder.waiting, pool.room_at(env.now)) * step
        yield env.timeout(step)


def main():
    random.seed(1)
    begun = time.process_time()
    env = simpy.Environment()
    pool, recorder, served_by_caller = Pool(), Recorder(), [0] * CALLERS
    for number in range(CALLERS):
        env.process(caller(env, pool, recorder, served_by_caller, number))
    env.process(sampler(env, pool, recorder))
    env.run(until=SECONDS)
    measures = recorder.measures(served_by_caller)
    used = time.process_time() - begun
    print(json.dumps({
        "callers": CALLERS,
        "attempts": sum(recorder.attempts),
        "throttled": sum(recorder.throttled),
        "measures": measures,
        "seconds": used,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


main()
