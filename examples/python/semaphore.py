"""Many calls at once, and a semaphore that limits how many are in flight.

    semaphore.py                      6 calls, at most 2 at a time
    semaphore.py --limit 0            all at once: the broken form
    semaphore.py --limit 4 --calls 20
"""

import argparse
import asyncio
import contextlib
import os

import openai

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--limit", type=int, default=2, help="calls at a time; 0 for all")
parser.add_argument("--calls", type=int, default=6)
parser.add_argument(
    "--max-retries", type=int, default=openai.DEFAULT_MAX_RETRIES, help="of the SDK itself"
)
arguments = parser.parse_args()


async def say_hello(client, semaphore, number):
    # The place is held until the whole answer is there, not only until the request is sent.
    async with semaphore:
        response = await client.chat.completions.create(
            model=os.environ["OPENAI_FINE_TUNED_MODEL"],
            messages=[{"role": "user", "content": f"Say hello to number {number}."}],
        )
    print(f"call {number}: {response.choices[0].message.content}")


async def main():
    limit = arguments.limit
    semaphore = asyncio.Semaphore(limit) if limit > 0 else contextlib.nullcontext()
    async with openai.AsyncOpenAI(max_retries=arguments.max_retries) as client:
        calls = [say_hello(client, semaphore, number + 1) for number in range(arguments.calls)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if result is not None:
            raise result  # the first error; every call has ended by now


asyncio.run(main())
