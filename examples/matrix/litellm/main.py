"""One call with litellm.completion and its default retries.

The prices that LiteLLM would fetch at its start come from its package instead.
"""

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm

answer = litellm.completion(
    model="openai/" + os.environ["OPENAI_FINE_TUNED_MODEL"],
    api_base=os.environ.get("OPENAI_BASE_URL"),
    messages=[{"role": "user", "content": "Say hello."}],
)
print(answer.choices[0].message.content)
