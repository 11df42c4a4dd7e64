"""Waits 1 s, 2 s and 4 s where equal delays are right. Caught by `delays` and `backoff`."""

from common import call, finish, own_waits_only

finish(call(waits_s=(1, 2, 4), asked_s=own_waits_only))
