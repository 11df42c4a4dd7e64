"""What one writes in an afternoon instead: a quota for each key and model, and OpenAI's headers."""

import os
import time
import uuid

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

LIMIT = int(os.environ["REQUESTS_PER_MINUTE"])
TOKENS = 10_000_000
app = FastAPI()
pools = {}


@app.post("/v1/chat/completions")
async def chat(request: Request):
    body = await request.json()
    tokens = sum(len(message["content"]) // 4 + 1 for message in body["messages"]) + 2
    key = request.headers["authorization"], body["model"]
    now = time.monotonic()
    used, used_tokens, at = pools.get(key, (0.0, 0.0, now))
    used = max(0.0, used - (now - at) * LIMIT / 60)
    used_tokens = max(0.0, used_tokens - (now - at) * TOKENS / 60)
    is_admitted = used + 1 <= LIMIT and used_tokens + tokens <= TOKENS
    used += 1  # refused requests count
    if is_admitted:
        used_tokens += tokens
    pools[key] = used, used_tokens, now
    headers = {
        "x-request-id": "req_" + uuid.uuid4().hex,
        "openai-organization": "org-toomany",
        "openai-processing-ms": "0",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": str(LIMIT),
        "x-ratelimit-limit-tokens": str(TOKENS),
        "x-ratelimit-remaining-requests": str(max(0, int(LIMIT - used))),
        "x-ratelimit-remaining-tokens": str(int(TOKENS - used_tokens)),
        "x-ratelimit-reset-requests": f"{int(used / LIMIT * 60000)}ms",
        "x-ratelimit-reset-tokens": f"{int(used_tokens / TOKENS * 60000)}ms",
    }
    if not is_admitted:
        headers["retry-after"] = str(int((used - LIMIT) / LIMIT * 60) + 1)
        message = f"Rate limit reached for {body['model']} on requests per min (RPM): Limit {LIMIT}."
        return JSONResponse({"error": {"message": message, "type": "requests", "param": None,
                                       "code": "rate_limit_exceeded"}}, 429, headers)
    return JSONResponse({
        "id": "chatcmpl-" + uuid.uuid4().hex, "object": "chat.completion", "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "This is a test!"},
                     "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": 4, "total_tokens": tokens + 4},
    }, 200, headers)
