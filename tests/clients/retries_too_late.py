"""Waits 3 s and 6 s where 1 s and 2 s are right. Caught by `delays`, `loop_delays` and
`backoff`."""

from common import call, finish, own_waits_only

finish(call(waits_s=(3, 6), asked_s=own_waits_only))
