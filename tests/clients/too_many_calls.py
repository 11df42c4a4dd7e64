"""Is served, and makes the same call once more. Caught by `calls` and `requests`."""

from common import call, finish

answer = call()
if answer.status == 200:
    answer = call()
finish(answer)
