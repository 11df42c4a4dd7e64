"""time.sleep() between the attempts."""

import time

import common

while (wait_s := common.attempt()) is not None:
    time.sleep(wait_s)
