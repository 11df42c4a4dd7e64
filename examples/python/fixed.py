"""The fixed program: up to 3 attempts, and 1 s and 2 s (2 ** attempt) between them.

When the last attempt fails too, its error is raised whole: a program that swallows it hides an
outage. Turn the SDK's own retries off (--max-retries=0), or they multiply those of this loop.
"""

import argparse
import os
import sys
import time

import openai

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--max-retries", type=int, default=openai.DEFAULT_MAX_RETRIES, help="of the SDK itself"
)
client = openai.OpenAI(max_retries=parser.parse_args().max_retries)


def say_hello(max_retries=3):
    for attempt in range(max_retries):
        try:
            return client.chat.completions.create(
                model=os.environ["OPENAI_FINE_TUNED_MODEL"],
                messages=[{"role": "user", "content": "Say hello."}],
            )
        except openai.RateLimitError as error:
            # Waiting does not cure a used-up quota, and after the last attempt it is of no use.
            if error.type == "insufficient_quota" or attempt == max_retries - 1:
                raise
            wait = 2**attempt
            print(f"attempt {attempt + 1}: {error.code}; waiting {wait} s", file=sys.stderr)
            time.sleep(wait)


print(say_hello().choices[0].message.content)
