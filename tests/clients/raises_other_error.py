"""Raises an error that says neither status nor code of the last one. Caught by `stderr_matches`
(and by `stderr_contains`)."""

from common import call, finish

answer = call()
if answer.status != 200:
    raise RuntimeError("giving up")
finish(answer)
