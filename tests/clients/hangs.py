"""Makes one request and then hangs, deaf to SIGTERM. Caught by `finished`: every scenario has a
time-out."""

import signal
import time

from common import post

signal.signal(signal.SIGTERM, signal.SIG_IGN)
post()
time.sleep(3600)
