"""Waits for a lock on a file, by fcntl or flock, while a thread of its own sleeps for an hour."""

import fcntl
import sys
import threading
import time

kind, path = sys.argv[1:]
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
before_ns = time.monotonic_ns()
with open(path, "w") as file:
    {"fcntl": fcntl.lockf, "flock": fcntl.flock}[kind](file, fcntl.LOCK_EX)
print("elapsed:", time.monotonic_ns() - before_ns, "ns")
