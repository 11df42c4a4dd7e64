"""The official SDK on asyncio, which waits as Retry-After says."""

import asyncio

import openai


async def main():
    async with openai.AsyncOpenAI(max_retries=7) as client:
        answer = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}])
    print(answer.choices[0].message.role)


asyncio.run(main())
