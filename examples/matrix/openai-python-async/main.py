"""One call with openai-python's AsyncOpenAI and its default retries."""

import asyncio
import os

import openai


async def main():
    async with openai.AsyncOpenAI() as client:
        answer = await client.chat.completions.create(
            model=os.environ["OPENAI_FINE_TUNED_MODEL"],
            messages=[{"role": "user", "content": "Say hello."}],
        )
    print(answer.choices[0].message.content)


asyncio.run(main())
