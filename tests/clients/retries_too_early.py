"""Waits 0.3 s and 0.6 s where 1 s and 2 s are right. Caught by `delays`, `loop_delays` and
`backoff`."""

from common import call, finish, own_waits_only

finish(call(waits_s=(0.3, 0.6), asked_s=own_waits_only))
