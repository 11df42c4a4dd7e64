"""The broken program: one call, no handling of rate limits. The first 429 ends it."""

import argparse
import os

import openai

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--max-retries", type=int, default=openai.DEFAULT_MAX_RETRIES, help="of the SDK itself"
)
client = openai.OpenAI(max_retries=parser.parse_args().max_retries)

response = client.chat.completions.create(
    model=os.environ["OPENAI_FINE_TUNED_MODEL"],
    messages=[{"role": "user", "content": "Say hello."}],
)
print(response.choices[0].message.content)
