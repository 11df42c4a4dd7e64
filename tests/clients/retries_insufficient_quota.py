"""Retries insufficient_quota, which no waiting mends. Caught by `not_retried`, and by
`attempts_per_call`."""

from common import call, finish

finish(call(retries=lambda answer: answer.status != 200))
