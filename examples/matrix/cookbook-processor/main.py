"""One call by the rules of the parallel processor of OpenAI's cookbook
(examples/api_request_parallel_processor.py): up to five attempts, one at each turn of a loop; a pause
of 15 s after an error that it takes for a rate limit. It does not look at the HTTP status but at the
error in the body, and takes it for a rate limit when its code is "429", which is what Azure sends and
OpenAI does not.

Our own program after its rules, with aiohttp as there; not its text.
"""

import asyncio
import os
import sys
import time

import aiohttp

ATTEMPTS = 5
PAUSE_S = 15
TURN_S = 0.001
REQUESTS_PER_MINUTE = 1500


async def attempt(session):
    """The answer of the model, or the error."""
    url = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1") + "/chat/completions"
    body = {
        "model": os.environ["OPENAI_FINE_TUNED_MODEL"],
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    try:
        async with session.post(url, headers=headers, json=body) as response:
            answer = await response.json()
    except Exception as error:
        return None, {"message": repr(error)}
    return answer, answer.get("error")


async def main():
    capacity, last_update = REQUESTS_PER_MINUTE, time.monotonic()
    last_rate_limit = float("-inf")
    attempts_left = ATTEMPTS
    error = None
    async with aiohttp.ClientSession() as session:
        while attempts_left > 0:
            now = time.monotonic()
            capacity = min(
                capacity + REQUESTS_PER_MINUTE * (now - last_update) / 60, REQUESTS_PER_MINUTE
            )
            last_update = now
            if capacity >= 1:
                capacity -= 1
                attempts_left -= 1
                answer, error = await attempt(session)
                if error is None:
                    print(answer["choices"][0]["message"]["content"])
                    return 0
                if isinstance(error, dict) and error.get("code") == "429":
                    last_rate_limit = time.monotonic()
            await asyncio.sleep(TURN_S)
            rest_s = last_rate_limit + PAUSE_S - time.monotonic()
            if rest_s > 0:
                await asyncio.sleep(rest_s)
    print(error, file=sys.stderr)
    return 1


sys.exit(asyncio.run(main()))
