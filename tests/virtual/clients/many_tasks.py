"""1,000 tasks that sleep side by side for as long as the server says, again and again."""

import asyncio
import sys
import time

import common


async def sleeper(number, rounds):
    started = time.monotonic()
    for turn in range(rounds):
        await asyncio.sleep(1 + number % 7)
    took = time.monotonic() - started
    assert abs(took - rounds * (1 + number % 7)) < 1e-3, (number, took)


async def call():
    loop = asyncio.get_running_loop()
    while (wait_s := await loop.run_in_executor(None, common.attempt)) is not None:
        await asyncio.sleep(wait_s)


async def main():
    await asyncio.gather(call(), *(sleeper(number, 10) for number in range(int(sys.argv[1]))))


asyncio.run(main())
