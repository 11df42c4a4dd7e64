"""The model of simulation.c in SimPy, as its documentation shows how: a process for each caller.

    python3 model.py CALLERS SECONDS

prints callers, attempts, throttled, seconds of processor time and the most memory, as JSON.
"""

import json
import random
import resource
import sys
import time

import simpy

CALLERS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
PER_SECOND = CALLERS * 3 / 60
LIMIT = CALLERS * 3


class Pool:
    """A token bucket, full at the start."""

    def __init__(self):
        self.room = float(LIMIT)
        self.updated = 0.0
        self.attempts = 0
        self.throttled = 0

    def admit(self, now):
        self.room = min(LIMIT, self.room + (now - self.updated) * PER_SECOND)
        self.updated = now
        self.attempts += 1
        if self.room >= 1:
            self.room -= 1
            return True
        self.throttled += 1
        return False


def caller(env, pool, begin):
    draw = random.random
    yield env.timeout(begin)
    while True:
        for attempt in range(6):
            if pool.admit(env.now):
                yield env.timeout(random.expovariate(1 / 0.8))
                break
            yield env.timeout(0.01)
            if attempt < 5:
                yield env.timeout(draw() * min(60, 2 ** attempt))
        yield env.timeout(random.expovariate(1 / 10))


def main():
    random.seed(1)
    begun = time.process_time()
    env = simpy.Environment()
    pool = Pool()
    for number in range(CALLERS):
        env.process(caller(env, pool, 10 * number / CALLERS))
    env.run(until=SECONDS)
    used = time.process_time() - begun
    print(json.dumps({
        "callers": CALLERS,
        "attempts": pool.attempts,
        "throttled": pool.throttled,
        "seconds": used,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


main()
