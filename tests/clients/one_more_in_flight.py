"""Makes 6 calls, 3 at once where 2 are allowed (`--at-once 2` is right). Caught by
`max_in_flight`, and by `throttled` where the server enforces the limit."""

import sys
from concurrent.futures import ThreadPoolExecutor

from common import body, call, finish, post

at_once = int(sys.argv[2]) if sys.argv[1:2] == ["--at-once"] else 3


def call_number(number):
    payload = body(f"Say this is test {number}.")
    return call(attempt=lambda retry: post(payload))


with ThreadPoolExecutor(at_once) as pool:
    answers = list(pool.map(call_number, range(1, 7)))
finish(max(answers, key=lambda answer: answer.status))
