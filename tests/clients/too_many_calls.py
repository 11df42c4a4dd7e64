"""Is served, and makes the same call once more. Caught by `calls` and `requests`,
and by `quota_used` where the client has to leave a reserve."""

from common import call, finish

answer = call()
if answer.status == 200:
    answer = call()
finish(answer)
