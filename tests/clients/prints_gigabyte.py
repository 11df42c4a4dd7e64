"""Behaves, but writes a gigabyte to stdout. Caught by `output_bounded`: every scenario has
a bound."""

import sys

from common import call, finish

answer = call()
for _ in range(1024):
    sys.stdout.write("x" * (1024 * 1024))
finish(answer)
