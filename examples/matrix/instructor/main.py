"""One call with instructor and its default retries."""

import os

import instructor
import openai
import pydantic


class Greeting(pydantic.BaseModel):
    text: str


client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
greeting = client.chat.completions.create(
    model=os.environ["OPENAI_FINE_TUNED_MODEL"],
    response_model=Greeting,
    messages=[{"role": "user", "content": "Say hello."}],
)
print(greeting.text)
