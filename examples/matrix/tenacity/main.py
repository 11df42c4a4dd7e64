"""One call with tenacity around the SDK, by the rule of OpenAI's cookbook
(How to handle rate limits): random exponential waits of 1 to 60 s, six attempts.

The SDK's own two retries stay on, as they do for who follows the cookbook.
"""

import os

import openai
import tenacity

client = openai.OpenAI()


@tenacity.retry(
    wait=tenacity.wait_random_exponential(min=1, max=60), stop=tenacity.stop_after_attempt(6)
)
def complete(**arguments):
    return client.chat.completions.create(**arguments)


answer = complete(
    model=os.environ["OPENAI_FINE_TUNED_MODEL"],
    messages=[{"role": "user", "content": "Say hello."}],
)
print(answer.choices[0].message.content)
