"""Nothing wrong: 3 attempts, waits 1 s and 2 s or what Retry-After asks, does not retry
insufficient_quota, re-raises the last error. Passes where the wrong ones fail.

`--waits 1 1 1` waits so instead (one attempt more than waits), where equal delays are right;
`--jitter` spreads each wait at random between nothing and its full length."""

import argparse
import random

from common import call, finish

parser = argparse.ArgumentParser()
parser.add_argument("--waits", type=float, nargs="+", default=[1, 2], metavar="SECONDS")
parser.add_argument("--jitter", action="store_true")
options = parser.parse_args()

finish(call(waits_s=[random.uniform(0, wait_s) if options.jitter else wait_s
                     for wait_s in options.waits]))
