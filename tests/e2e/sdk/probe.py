"""What the official Python SDK makes of answers, as a line of JSON for each.

    probe.py chat|list|retrieve MODEL[,MODEL...] [MAX_RETRIES]
"""

import json
import sys

import openai

action, models, *rest = sys.argv[1:]
client = openai.OpenAI(max_retries=int(rest[0]) if rest else openai.DEFAULT_MAX_RETRIES)


def ask(model):
    if action == "list":
        listed = client.models.list().data
        return {"type": type(listed[0]).__name__, "ids": [one.id for one in listed]}
    if action == "retrieve":
        one = client.models.retrieve(model)
        return {"type": type(one).__name__, "ids": [one.id], "object": one.object,
                "created": one.created, "owned_by": one.owned_by}
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Say this is a test."}])
    answer = raw.parse()
    choice = answer.choices[0]
    return {"type": type(answer).__name__, "id": answer.id, "object": answer.object,
            "created": answer.created, "model": answer.model, "role": choice.message.role,
            "content": choice.message.content, "finish_reason": choice.finish_reason,
            "prompt_tokens": answer.usage.prompt_tokens, "total_tokens": answer.usage.total_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "request_id": answer._request_id}


for model in models.split(","):
    try:
        print(json.dumps(ask(model)))
    except openai.APIStatusError as error:
        print(json.dumps({"raised": type(error).__name__, "status": error.status_code,
                          "code": error.code, "type": error.type, "param": error.param,
                          "request_id": error.request_id, "text": str(error)}))
    except openai.APIError as error:
        print(json.dumps({"raised": type(error).__name__, "text": str(error)}))
