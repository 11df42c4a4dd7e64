"""One call with openai-python and its default retries."""

import os

import openai

answer = openai.OpenAI().chat.completions.create(
    model=os.environ["OPENAI_FINE_TUNED_MODEL"],
    messages=[{"role": "user", "content": "Say hello."}],
)
print(answer.choices[0].message.content)
