"""Waits 0.2 s of its own whatever Retry-After asks. Caught by `retry_after`."""

from common import call, finish, own_waits_only

finish(call(waits_s=(0.2, 0.2), asked_s=own_waits_only))
