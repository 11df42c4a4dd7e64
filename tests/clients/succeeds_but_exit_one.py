"""Is served and prints the content, but exits 1. Caught by `outcome` and `exit_code`."""

import sys

from common import call, finish

answer = call()
if answer.status != 200:
    finish(answer)
print(answer.content)
sys.exit(1)
