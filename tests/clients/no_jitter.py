"""Waits exactly 1 s, 2 s and 4 s where the backoff has to be spread at random. Caught by `backoff`
with any jitter: three delays at the full length of the rule are no chance."""

from common import call, finish, own_waits_only

finish(call(waits_s=(1, 2, 4), asked_s=own_waits_only))
