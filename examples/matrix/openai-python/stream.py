"""One call with openai-python that streams, and its default retries."""

import os

import openai

stream = openai.OpenAI().chat.completions.create(
    model=os.environ["OPENAI_FINE_TUNED_MODEL"],
    messages=[{"role": "user", "content": "Say hello."}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
