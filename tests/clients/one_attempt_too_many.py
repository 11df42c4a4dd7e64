"""Makes 4 attempts where 3 are allowed. Caught by `attempts_per_call` and
`loop_attempts_per_call`."""

from common import call, finish

finish(call(waits_s=(1, 2, 4)))
