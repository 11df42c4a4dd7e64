"""What the official Python SDK makes of each of some faults, plain and streamed, as one JSON object by
the model that meets it: what the model said, or the class of what was raised, a class of the SDK marked
by "openai.".

    faults.py MODEL...
"""

import json
import sys

import openai

client = openai.OpenAI(max_retries=0, timeout=2)
MESSAGES = [{"role": "user", "content": "Say this is a test."}]


def ask(model, stream):
    try:
        made = client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
        if not stream:
            return made.choices[0].message.content
        return "".join(chunk.choices[0].delta.content or "" for chunk in made)
    except Exception as error:
        kind = type(error)
        is_its_own = getattr(openai, kind.__name__, None) is kind
        return f"openai.{kind.__name__}" if is_its_own else kind.__name__


print(json.dumps({model: [ask(model, False), ask(model, True)] for model in sys.argv[1:]}))
