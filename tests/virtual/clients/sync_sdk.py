"""The official SDK, which waits as Retry-After says."""

import openai

with openai.OpenAI(max_retries=7) as client:
    answer = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}])
print(answer.choices[0].message.role)
