"""One call with the backoff package around the SDK, by the rule of OpenAI's cookbook
(How to handle rate limits): backoff.expo on RateLimitError, without an end.

The SDK's own two retries stay on, as they do for who follows the cookbook.
"""

import os

import backoff
import openai

client = openai.OpenAI()


@backoff.on_exception(backoff.expo, openai.RateLimitError)
def complete(**arguments):
    return client.chat.completions.create(**arguments)


answer = complete(
    model=os.environ["OPENAI_FINE_TUNED_MODEL"],
    messages=[{"role": "user", "content": "Say hello."}],
)
print(answer.choices[0].message.content)
