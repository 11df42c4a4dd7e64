"""Dies of SIGSEGV after the first 429. Caught by `not_killed`, `exit_code` and `outcome`: a
signal is never a raised error."""

import os
import resource
import signal

from common import finish, post

answer = post()
if answer.status == 429:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGSEGV)
finish(answer)
