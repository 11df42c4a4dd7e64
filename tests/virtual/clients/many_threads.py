"""Many threads, each with a call of its own that waits as long as it is told."""

import sys
import threading
import time

import common


def call(number):
    while (wait_s := common.attempt(f"call {number}")) is not None:
        time.sleep(wait_s)


threads = [threading.Thread(target=call, args=(number,)) for number in range(int(sys.argv[1]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
