"""What AzureOpenAI of the official Python SDK makes of the azure dialect: one JSON object, by name."""

import json
import os
import sys
import warnings

import openai

warnings.simplefilter("error")
MODEL = sys.argv[1]
MESSAGES = [{"role": "user", "content": "Hello"}]
ENDPOINT = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
seen = {}


def client(key="0123456789abcdef0123456789abcdef"):
    return openai.AzureOpenAI(azure_endpoint=ENDPOINT, api_key=key, api_version="2024-10-21",
                              max_retries=0)


def error_of(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.body["message"]]


azure = client()
raw = azure.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
seen["headers"] = [raw.headers[f"x-ratelimit-remaining-{unit}"] for unit in ("requests", "tokens")]
seen["chat"] = [raw.parse().model, raw.parse().choices[0].message.content]
seen["stream"] = "".join(chunk.choices[0].delta.content or "" for chunk in
                         azure.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
seen["refused"] = error_of(lambda: azure.chat.completions.create(model=MODEL, messages=MESSAGES))
seen["responses"] = azure.responses.create(model="other", input="Hello").output_text
seen["v1"] = openai.OpenAI(base_url=f"{ENDPOINT}/openai/v1", api_key="0123456789abcdef0123456789abcdef",
                           max_retries=0).embeddings.create(model="other", input="a").object
seen["deployment"] = error_of(lambda: azure.embeddings.create(model="none", input="a"))
seen["key"] = error_of(lambda: client("wrong").embeddings.create(model="other", input="a"))
print(json.dumps(seen))
