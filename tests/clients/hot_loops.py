"""Retries without a wait, up to 5000 attempts. Caught by `attempts_per_call`, `requests`, `delays`,
`each_delay`, `throttled` and `throttled_share`."""

from common import call, finish, own_waits_only

finish(call(waits_s=(0,) * 4999, asked_s=own_waits_only))
