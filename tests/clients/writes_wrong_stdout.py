"""Is served, but prints something else. Caught by `stdout_contains` and `stdout_matches`."""

from common import call, finish

answer = call()
if answer.status != 200:
    finish(answer)
print("None")
