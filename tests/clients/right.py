"""Nothing wrong: 3 attempts, waits 1 s and 2 s or what Retry-After asks, does not retry
insufficient_quota, re-raises the last error. Passes where the wrong ones fail."""

from common import call, finish

finish(call())
