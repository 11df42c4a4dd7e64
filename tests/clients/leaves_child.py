"""Behaves, but leaves a process behind: a background child, or with `--setsid` a daemon in a
session of its own. Caught by `no_processes_left`, unless the scenario says `leaves_processes`."""

import os
import subprocess
import sys

from common import call, finish

answer = call()
if "--setsid" not in sys.argv:
    subprocess.Popen(["sleep", "3600"])
elif os.fork() == 0:
    subprocess.Popen(["sleep", "3600"], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os._exit(0)
else:
    os.wait()
finish(answer)
