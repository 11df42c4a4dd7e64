"""Gives up without a word and exits 0. Caught by `outcome`, `exit_code` and `stderr_matches`."""

from common import call

answer = call()
if answer.status == 200:
    print(answer.content)
