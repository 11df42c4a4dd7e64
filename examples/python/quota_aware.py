"""Tells a rate limit, which waiting cures, from a used-up quota, which it does not.

Both are 429. The SDK retries both, so its own retries are off here, and the loop decides.
"""

import argparse
import os
import sys
import time

import openai

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--max-retries", type=int, default=0, help="of the SDK itself")
client = openai.OpenAI(max_retries=parser.parse_args().max_retries)


def say_hello(max_retries=3):
    for attempt in range(max_retries):
        try:
            return client.chat.completions.create(
                model=os.environ["OPENAI_FINE_TUNED_MODEL"],
                messages=[{"role": "user", "content": "Say hello."}],
            )
        except openai.RateLimitError as error:
            if error.type == "insufficient_quota":
                print("raise the quota or the plan, waiting does not help", file=sys.stderr)
                raise
            if attempt == max_retries - 1:
                raise
            # The server knows best how long; without its word in seconds, 1 s and 2 s.
            retry_after = error.response.headers.get("retry-after", "")
            time.sleep(int(retry_after) if retry_after.isdecimal() else 2**attempt)


print(say_hello().choices[0].message.content)
