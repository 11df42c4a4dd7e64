"""Waits 1 s and 1.2 s where 1 s and 2 s are right. Caught by `delays` and `backoff`."""

from common import call, finish, own_waits_only

finish(call(waits_s=(1, 1.2), asked_s=own_waits_only))
