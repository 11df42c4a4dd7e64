"""Nothing wrong, but hard to judge: 3 calls at the same time with equal bodies.

By default each retry carries x-stainless-retry-count, as the official SDKs send it; with
`--no-counter` nothing tells the calls apart, and the report has to say so instead of guessing;
with `--marker HEADER` each call sends a marker of its own in that header.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

from common import call, finish, post

parser = argparse.ArgumentParser()
parser.add_argument("--no-counter", action="store_true")
parser.add_argument("--marker", metavar="HEADER")
options = parser.parse_args()


def call_number(number):
    def attempt(retry):
        more = {} if options.no_counter else {"x-stainless-retry-count": str(retry)}
        if options.marker:
            more[options.marker] = f"call-{number}"
        return post(more_headers=more)

    return call(attempt=attempt)


with ThreadPoolExecutor(3) as pool:
    answers = list(pool.map(call_number, range(1, 4)))
finish(max(answers, key=lambda answer: answer.status))
