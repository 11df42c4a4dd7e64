"""The workaround: a fixed delay of 2 s between up to 5 attempts."""

import argparse
import os
import sys
import time

import openai

DELAY = 2

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--max-retries", type=int, default=openai.DEFAULT_MAX_RETRIES, help="of the SDK itself"
)
client = openai.OpenAI(max_retries=parser.parse_args().max_retries)


def say_hello(max_retries=5):
    for attempt in range(max_retries):
        try:
            return client.chat.completions.create(
                model=os.environ["OPENAI_FINE_TUNED_MODEL"],
                messages=[{"role": "user", "content": "Say hello."}],
            )
        except openai.RateLimitError as error:
            if error.type == "insufficient_quota" or attempt == max_retries - 1:
                raise
            print(f"attempt {attempt + 1}: {error.code}; waiting {DELAY} s", file=sys.stderr)
            time.sleep(DELAY)


print(say_hello().choices[0].message.content)
