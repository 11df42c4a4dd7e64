"""Gives up after 2 attempts where 3 are right. Caught by `attempts_per_call`."""

from common import call, finish

finish(call(waits_s=(1,)))
