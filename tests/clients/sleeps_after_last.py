"""Waits 4 s after the last attempt before it raises. Caught by `wait_after_last`, and by
`duration`."""

from common import call, finish, wait

answer = call()
if answer.status != 200:
    wait(4)
finish(answer)
