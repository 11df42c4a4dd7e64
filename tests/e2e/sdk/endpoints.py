"""What the official Python SDK's typed methods make of each endpoint: one JSON object, by name.

Every model that the SDK makes is also held against its own declaration (the SDK itself does not), and
a warning is an error.
"""

import json
import sys
import tempfile
import warnings

import openai
import pydantic
from openai.types.chat import ChatCompletion

warnings.simplefilter("error")
MODEL = sys.argv[1]
client = openai.OpenAI(max_retries=0)
seen = {}


def strict(model):
    """The model, if what came is what its class declares."""
    data = model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings="error")
    type(model).model_validate(data)
    return model


class Weather(pydantic.BaseModel):
    city: str
    degrees: int
    kind: str | None
    days: list[str]


MESSAGES = [{"role": "user", "content": "Say this is a test."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
              "additionalProperties": False}
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
TOOLS = [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}]

# ---- chat ----
answer = strict(client.chat.completions.create(model=MODEL, messages=MESSAGES))
seen["chat"] = answer.choices[0].message.content

chunks = [strict(chunk) for chunk in client.chat.completions.create(
    model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True})]
seen["chat stream"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks
                              if chunk.choices)
seen["chat stream usage"] = [chunk.usage.total_tokens for chunk in chunks if chunk.usage]
seen["chat stream reason"] = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1]

called = strict(client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=CHAT_TOOLS))
call = called.choices[0].message.tool_calls[0]
seen["chat tool"] = [call.function.name, json.loads(call.function.arguments)]
again = client.chat.completions.create(model=MODEL, tools=CHAT_TOOLS, messages=[
    *MESSAGES, called.choices[0].message,
    {"role": "tool", "tool_call_id": call.id, "content": "mild"}])
seen["chat after tool"] = again.choices[0].message.content

parsed = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Weather)
seen["chat parsed"] = parsed.choices[0].message.parsed.model_dump()
with client.chat.completions.stream(model=MODEL, messages=MESSAGES, tools=CHAT_TOOLS) as stream:
    kinds = [event.type for event in stream]
    final = stream.get_final_completion()
seen["chat stream tool"] = final.choices[0].message.tool_calls[0].function.arguments
seen["chat stream tool done"] = "tool_calls.function.arguments.done" in kinds

cut = strict(client.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=2))
seen["chat cut"] = [cut.choices[0].message.content, cut.choices[0].finish_reason,
                    cut.usage.completion_tokens]
chunks = [strict(chunk) for chunk in client.chat.completions.create(
    model=MODEL, messages=MESSAGES, stream=True, max_tokens=2)]
seen["chat stream cut"] = ["".join(chunk.choices[0].delta.content or "" for chunk in chunks),
                           chunks[-1].choices[0].finish_reason]

# ---- which tool is called, and where a text ends ----
OTHER = {"type": "function", "function": {"name": "other", "parameters": PARAMETERS}}
CUSTOM = {"type": "custom", "custom": {"name": "code"}}
ALLOWED = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}


def chat(**members):
    return client.chat.completions.create(model=MODEL, messages=MESSAGES, **members)


called = strict(chat(tools=[*CHAT_TOOLS, OTHER],
                     tool_choice={"type": "allowed_tools", "allowed_tools": ALLOWED}))
seen["chat allowed tool"] = called.choices[0].message.tool_calls[0].function.name
seen["chat custom tool"] = []
for choice in ("required", CUSTOM):
    answer = strict(chat(tools=[CUSTOM], tool_choice=choice)).choices[0]
    call = answer.message.tool_calls[0]
    seen["chat custom tool"].append([call.type, call.custom.name, call.custom.input,
                                     answer.message.content, answer.finish_reason])
# The SDK declares functions only in streams.
chunks = list(chat(tools=[CUSTOM], tool_choice=CUSTOM, stream=True))
calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
seen["chat stream custom tool"] = ["".join(call.custom["input"] for call in calls),
                                   calls[0].custom["name"], chunks[-1].choices[0].finish_reason]
FUNCTIONS = [{"name": "weather", "parameters": PARAMETERS}, {"name": "other"}]
seen["chat function call"] = []
for choice in ("auto", {"name": "other"}):
    answer = strict(chat(functions=FUNCTIONS, function_call=choice)).choices[0]
    called = answer.message.function_call
    seen["chat function call"].append([called.name, called.arguments, answer.finish_reason])
chunks = [strict(chunk) for chunk in chat(functions=FUNCTIONS, stream=True)]
calls = [chunk.choices[0].delta.function_call for chunk in chunks[:-1]]
seen["chat stream function call"] = [calls[0].name, "".join(call.arguments for call in calls),
                                     chunks[-1].choices[0].finish_reason]
seen["chat no function call"] = chat(functions=FUNCTIONS,
                                     function_call="none").choices[0].message.content
seen["tool choice refused"] = []
for members in ({"tool_choice": "required"}, {"tools": CHAT_TOOLS, "tool_choice": "foo"},
                {"tools": CHAT_TOOLS, "tool_choice": CUSTOM}):
    try:
        chat(**members)
    except openai.BadRequestError as error:
        seen["tool choice refused"].append([error.type, error.param])

stopped = strict(chat(stop=["never", " test"]))
seen["chat stop"] = [stopped.choices[0].message.content, stopped.choices[0].finish_reason,
                     stopped.usage.completion_tokens]
chunks = [strict(chunk) for chunk in chat(stop=" test", stream=True)]
seen["chat stream stop"] = ["".join(chunk.choices[0].delta.content or "" for chunk in chunks),
                            chunks[-1].choices[0].finish_reason]
try:
    chat(stop=list("12345"))
except openai.BadRequestError as error:
    seen["chat stop refused"] = [error.code, error.param]
stopped = strict(client.completions.create(model=MODEL, prompt="a", stop=" test"))
seen["completions stop"] = [stopped.choices[0].text, stopped.choices[0].finish_reason]

probable = strict(chat(logprobs=True, top_logprobs=2)).choices[0].logprobs
seen["chat logprobs"] = [[entry.token, len(entry.top_logprobs), bytes(entry.bytes).decode(),
                          entry.logprob < 0] for entry in probable.content]
chunks = [strict(chunk).choices[0] for chunk in chat(logprobs=True, top_logprobs=2, stream=True)]
seen["chat stream logprobs"] = [entry for chunk in chunks if chunk.logprobs
                                for entry in chunk.logprobs.content] == probable.content
seen["chat logprobs refused"] = []
for members in ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 21}):
    try:
        chat(**members)
    except openai.BadRequestError as error:
        seen["chat logprobs refused"].append([error.type, error.param])
probable = strict(client.completions.create(model=MODEL, prompt="a", logprobs=1)).choices[0].logprobs
seen["completions logprobs"] = [
    probable.tokens, probable.text_offset, probable.top_logprobs == [
        {token: logprob} for token, logprob in zip(probable.tokens, probable.token_logprobs)]]

# ---- responses ----
response = strict(client.responses.create(model=MODEL, input="Say this is a test."))
seen["responses"] = response.output_text
seen["responses usage"] = response.usage.total_tokens == (response.usage.input_tokens +
                                                          response.usage.output_tokens)
seen["responses stream"] = [strict(event).type for event in client.responses.create(
    model=MODEL, input="Hi", stream=True)]
with client.responses.stream(model=MODEL, input="Hi") as stream:
    seen["responses stream text"] = "".join(
        event.delta for event in stream if event.type == "response.output_text.delta")
    seen["responses stream final"] = stream.get_final_response().output_text
called = strict(client.responses.create(model=MODEL, input="Hi", tools=TOOLS))
seen["responses tool"] = [called.output[0].name, json.loads(called.output[0].arguments)]
again = client.responses.create(model=MODEL, tools=TOOLS, input=[
    {"role": "user", "content": "Hi"}, called.output[0],
    {"type": "function_call_output", "call_id": called.output[0].call_id, "output": "mild"}])
seen["responses after tool"] = again.output_text
seen["responses stream tool"] = [strict(event).type for event in client.responses.create(
    model=MODEL, input="Hi", stream=True, tools=TOOLS)]
OTHER = {"type": "function", "name": "other", "parameters": PARAMETERS, "strict": True}
CUSTOM = {"type": "custom", "name": "code"}
called = strict(client.responses.create(model=MODEL, input="Hi", tools=[*TOOLS, OTHER], tool_choice={
    "type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}))
seen["responses allowed tool"] = called.output[0].name
called = strict(client.responses.create(model=MODEL, input="Hi", tools=[*TOOLS, CUSTOM],
                                        tool_choice=CUSTOM)).output[0]
seen["responses custom tool"] = [called.type, called.name, called.input]
again = client.responses.create(model=MODEL, tools=[CUSTOM], input=[
    {"role": "user", "content": "Hi"}, called,
    {"type": "custom_tool_call_output", "call_id": called.call_id, "output": "mild"}])
seen["responses after custom tool"] = again.output_text
seen["responses stream custom tool"] = [strict(event).type for event in client.responses.create(
    model=MODEL, input="Hi", stream=True, tools=[CUSTOM], tool_choice="required")]
cut = strict(client.responses.create(model="long", input="Hi", max_output_tokens=16))
seen["responses cut"] = [cut.output_text, cut.status, cut.incomplete_details.reason,
                         cut.usage.output_tokens]
events = [strict(event) for event in client.responses.create(
    model="long", input="Hi", stream=True, max_output_tokens=16)]
seen["responses stream cut"] = [events[-1].type, events[-1].response.status,
                                events[-1].response.incomplete_details.reason]
seen["responses parsed"] = client.responses.parse(
    model=MODEL, input="Hi", text_format=Weather).output_parsed.model_dump()

# ---- the others ----
completion = strict(client.completions.create(model=MODEL, prompt=["a", "b"]))
seen["completions"] = [choice.text for choice in completion.choices]
cut = strict(client.completions.create(model=MODEL, prompt="a", max_tokens=2))
seen["completions cut"] = [cut.choices[0].text, cut.choices[0].finish_reason]
chunks = list(client.completions.create(model=MODEL, prompt="a", stream=True,
                                        stream_options={"include_usage": True}))
seen["completions stream usage"] = [chunk.usage.total_tokens for chunk in chunks if chunk.usage]
seen["completions stream reasons"] = [choice.finish_reason for chunk in chunks
                                      for choice in chunk.choices]
# OpenAI sends null as the finish_reason of all but the last, which the SDK does not declare.
for chunk in chunks:
    for choice in chunk.choices:
        choice.finish_reason = choice.finish_reason or "stop"
seen["completions stream"] = "".join(choice.text for chunk in chunks
                                     for choice in strict(chunk).choices)

embeddings = client.embeddings.create(model="text-embedding-3-small", input=["a", "b", "a"],
                                      dimensions=16)
floats = client.embeddings.create(model="text-embedding-3-small", input="a", dimensions=16,
                                  encoding_format="float")
strict(floats)
first, other, same = (item.embedding for item in embeddings.data)
seen["embeddings"] = [len(first), first == same, first == other,
                      max(abs(a - b) for a, b in zip(first, floats.data[0].embedding)) < 1e-6]

images = strict(client.images.generate(model="dall-e-2", prompt="a", n=2))
seen["images"] = [image.url.startswith("https://") for image in images.data]
images = strict(client.images.generate(model="gpt-image-1", prompt="a"))
seen["image"] = images.data[0].b64_json[:8]

moderation = strict(client.moderations.create(input="a"))
seen["moderations"] = moderation.results[0].flagged

with tempfile.NamedTemporaryFile() as file:
    with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input="a", response_format="wav") as spoken:
        spoken.stream_to_file(file.name)
    seen["speech"] = file.read(4).decode()

lines = [json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions",
                     "body": {"model": MODEL, "messages": MESSAGES}}) for name in "ab"]
content = "\n".join(lines).encode()
file = strict(client.files.create(file=("in.jsonl", content), purpose="batch"))
seen["files"] = [[strict(one).filename, one.bytes == len(content)]
                 for one in client.files.list(purpose="batch")]
seen["file content"] = client.files.content(file.id).content == content
batch = strict(client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions",
                                     completion_window="24h", metadata={"a": "b"}))
seen["batch made"] = batch.status
batch = strict(client.batches.retrieve(batch.id))
seen["batch"] = [batch.status, batch.request_counts.completed, batch.metadata]
answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
seen["batch answers"] = [[answer["custom_id"], strict(ChatCompletion.model_validate(
    answer["response"]["body"])).choices[0].message.content] for answer in answers]
large = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/embeddings",
                    "body": {"model": "full", "input": "Hello there"}})
queued = client.files.create(file=("large.jsonl", large.encode()), purpose="batch")
queued = client.batches.create(input_file_id=queued.id, endpoint="/v1/embeddings",
                               completion_window="24h")
failed = strict(client.batches.retrieve(queued.id))
seen["batch failed"] = [failed.status, failed.errors.data[0].code, failed.errors.data[0].message]
seen["batches"] = [strict(one).id == other for one, other in
                   zip(client.batches.list(limit=1), [queued.id, batch.id])]
try:
    client.batches.cancel(batch.id)
except openai.ConflictError as error:
    seen["batch ended"] = error.status_code
seen["file deleted"] = strict(client.files.delete(file.id)).deleted
try:
    client.files.retrieve(file.id)
except openai.NotFoundError as error:
    seen["file gone"] = error.param

jobs = client.fine_tuning.jobs.list()
seen["fine_tuning"] = [strict(job).fine_tuned_model for job in jobs]
seen["fine_tuning job"] = strict(client.fine_tuning.jobs.retrieve(jobs.data[0].id)).status
seen["fine_tuning events"] = list(client.fine_tuning.jobs.list_events(jobs.data[0].id))
seen["models"] = [strict(model).id for model in client.models.list()]

print(json.dumps(seen))
