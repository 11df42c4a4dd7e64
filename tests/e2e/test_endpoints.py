"""Each endpoint through the typed methods of the official SDKs, and what only the wire shows."""

import http.client
import io
import json
import os
import subprocess
import time
import wave

import pytest
from test_real_clients import NODE_FOLDER, PROBES, node_sdk, python_sdk
from toomany import MODEL, PATIENCE_S, environment, serving

TEXT = "This is a test!"
TOKENS = ["This", " is ", "a te", "st!"]
LONG = "Of this, no more than 16 tokens are let through. " * 2
TEXT_EVENTS = ["response.created", "response.in_progress", "response.output_item.added",
               "response.content_part.added", *["response.output_text.delta"] * 4,
               "response.output_text.done", "response.content_part.done",
               "response.output_item.done", "response.completed"]
CALL_EVENTS = ["response.created", "response.in_progress", "response.output_item.added",
               *["response.function_call_arguments.delta"] * 4,
               "response.function_call_arguments.done", "response.output_item.done",
               "response.completed"]
CUSTOM_EVENTS = ["response.created", "response.in_progress", "response.output_item.added",
                 "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done",
                 "response.output_item.done", "response.completed"]
PARSED = {"city": "test", "degrees": 0, "kind": "test", "days": []}

WANTED = {
    "chat": TEXT,
    "chat stream": TEXT,
    "chat stream usage": [11],
    "chat stream reason": "stop",
    "chat tool": ["weather", {"city": "test"}],
    "chat after tool": TEXT,
    "chat cut": ["This is ", "length", 2],
    "chat stream cut": ["This is ", "length"],
    "chat stream tool": '{"city":"test"}',
    "responses": TEXT,
    "responses stream": TEXT_EVENTS,
    "responses stream text": TEXT,
    "responses stream final": TEXT,
    "responses tool": ["weather", {"city": "test"}],
    "responses stream tool": CALL_EVENTS,
    "responses cut": [LONG[:64], "incomplete", "max_output_tokens", 16],
    "responses stream cut": ["response.incomplete", "incomplete", "max_output_tokens"],
    "completions": [TEXT, TEXT],
    "completions cut": ["This is ", "length"],
    "completions stream": TEXT,
    "completions stream usage": [5],
    "completions stream reasons": [None, None, None, None, "stop"],
    "embeddings": [16, True, False, True],
    "images": [True, True],
    "image": "iVBORw0K",
    "moderations": False,
    "speech": "RIFF",
    "files": [["in.jsonl", True]],
    "file content": True,
    "batch made": "validating",
    "batch": ["completed", 2, {"a": "b"}],
    "batch answers": [["a", TEXT], ["b", TEXT]],
    "batch failed": ["failed", "token_limit_exceeded",
                     "Enqueued token limit reached for full in organization org-toomany. Limit: 1 "
                     "enqueued tokens."],
    "batches": [True, True],
    "batch ended": 409,
    "file deleted": True,
    "file gone": "id",
    "fine_tuning": [MODEL],
    "fine_tuning job": "succeeded",
    "fine_tuning events": [],
    "models": [MODEL, "gpt-4o", "long", "full"],
}
PYTHON_WANTED = {
    "chat parsed": PARSED,
    "chat stream tool done": True,
    "responses usage": True,
    "responses parsed": PARSED,
    "responses after tool": TEXT,
    "chat allowed tool": "other",
    "chat custom tool": [["custom", "code", "test", None, "tool_calls"]] * 2,
    "chat stream custom tool": ["test", "code", "tool_calls"],
    "chat function call": [["weather", '{"city":"test"}', "function_call"],
                           ["other", "{}", "function_call"]],
    "chat stream function call": ["weather", '{"city":"test"}', "function_call"],
    "chat no function call": TEXT,
    "tool choice refused": [["invalid_request_error", "tool_choice"]] * 3,
    "chat stop": ["This is a", "stop", 3],
    "chat stream stop": ["This is a", "stop"],
    "chat stop refused": ["array_above_max_length", "stop"],
    "completions stop": ["This is a", "stop"],
    "chat logprobs": [[token, 1, token, True] for token in TOKENS],
    "chat stream logprobs": True,
    "chat logprobs refused": [["invalid_request_error", "top_logprobs"]] * 2,
    "completions logprobs": [TOKENS, [0, 4, 8, 12], True],
    "responses allowed tool": "other",
    "responses custom tool": ["custom_tool_call", "code", "test"],
    "responses after custom tool": TEXT,
    "responses stream custom tool": CUSTOM_EVENTS,
}


@pytest.mark.parametrize("sdk, wanted", [
    (lambda: [python_sdk()[0], str(PROBES / "endpoints.py")], WANTED | PYTHON_WANTED),
    (lambda: [node_sdk()[0], str(PROBES / "endpoints.mjs")], WANTED),
], ids=["python", "node"])
def test_typed_methods_parse_every_endpoint(tmp_path, sdk, wanted):
    with serving(tmp_path, {"models": {MODEL: {}, "gpt-4o": {}, "long": {"content": LONG}},
                            "batch_duration": "0s",
                            "quotas": {"full": {"batch_queue_tokens": 1}}}) as server:
        finished = subprocess.run(
            [*sdk(), MODEL], capture_output=True, text=True, timeout=PATIENCE_S,
            env=environment(**server.environment(EXAMPLES_NODE=str(NODE_FOLDER))))
    assert (finished.returncode, finished.stderr) == (0, "")
    seen = json.loads(finished.stdout)
    for name, value in wanted.items():
        assert seen[name] == value, name
    assert set(seen) == set(wanted)


def post(server, path, body):
    return server.request("POST", path, body, {"Authorization": "Bearer sk-e2e-0123456789"})


def test_answers_are_the_same_for_the_same_seed(tmp_path):
    """All but the times and what hangs on them."""
    bodies = {
        "/v1/responses": {"model": "m", "input": "a"},
        "/v1/embeddings": {"model": "m", "input": "a"},
        "/v1/completions": {"model": "m", "prompt": "a"},
        "/v1/moderations": {"input": "a"},
    }
    answers = []
    for _ in range(2):
        with serving(tmp_path, {}, "--seed", "7") as server:
            answers.append([json.loads(post(server, path, body)[2])
                            for path, body in bodies.items()])
    for answer in answers[0] + answers[1]:
        for name in ("created", "created_at"):
            answer.pop(name, None)
    assert answers[0] == answers[1]


def test_quota_counts_what_every_endpoint_asks(tmp_path):
    bodies = [("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
              ("/v1/responses", {"input": "a"}),
              ("/v1/completions", {"prompt": "a"}),
              ("/v1/embeddings", {"input": "a"}),
              ("/v1/images/generations", {"prompt": "a"}),
              ("/v1/moderations", {"input": "a"}),
              ("/v1/audio/speech", {"input": "a", "voice": "alloy"})]
    with serving(tmp_path, {"quotas": {"*": {"requests_per_day": len(bodies)}}}) as server:
        for path, body in bodies:
            assert post(server, path, {"model": "m", **body})[0] == 200, path
        for path, body in bodies:
            status, headers, _ = post(server, path, {"model": "m", **body})
            assert (status, headers["x-ratelimit-remaining-requests"]) == (429, "0"), path


def test_speech_is_read_by_the_wave_module(tmp_path):
    with serving(tmp_path) as server:
        status, headers, body = post(server, "/v1/audio/speech", {
            "model": "tts-1", "voice": "alloy", "input": "a", "response_format": "wav"})
    assert (status, headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(body)) as audio:
        assert (audio.getnchannels(), audio.getframerate(), audio.getnframes()) == (1, 24000, 2400)


def test_a_stream_comes_at_its_pace(tmp_path):
    """Nothing comes before it is due: the first words after a second, the last half a second on."""
    config = {"models": {"m": {"first_token": "1s", "tokens_per_second": 6}}}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "a"}]}
    with serving(tmp_path, config) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        started_s = time.monotonic()
        connection.request("POST", "/v1/chat/completions", json.dumps(body),
                           {"Authorization": "Bearer sk-e2e-0123456789"})
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["transfer-encoding"] == "chunked"
        arrived_s = []
        for line in answer:
            if line.startswith(b"data: "):
                arrived_s.append(time.monotonic() - started_s)
        connection.close()
        entry, = server.journal()
    assert len(arrived_s) == 7  # the role, four times words, the end, [DONE]
    assert arrived_s[1] >= 1 and arrived_s[4] >= 1.5
    assert entry["answered_ns"] - entry["first_byte_ns"] >= 1.5e9
    assert (entry["decision"], entry["abandoned"]) == ("served", False)


def test_an_abandoned_stream_gives_its_place_back(tmp_path):
    config = {"quotas": {"*": {"concurrent_requests": 1}}, "first_token": "1h"}
    body = json.dumps({"model": "m", "stream": True,
                       "messages": [{"role": "user", "content": "a"}]})
    with serving(tmp_path, config) as server:
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            connection.request("POST", "/v1/chat/completions", body,
                               {"Authorization": "Bearer sk-e2e-0123456789"})
            answer = connection.getresponse()
            assert answer.status == 200 and answer.readline()
            answer.close()
            connection.close()
            while server.admin("GET", "health")[1]["in_flight"] > 0:
                time.sleep(0.01)
        assert [entry["abandoned"] for entry in server.journal()] == [True] * 3


def test_a_thousand_slow_streams_take_no_thread(tmp_path):
    config = {"first_token": "2s"}
    body = json.dumps({"model": "m", "stream": True,
                       "messages": [{"role": "user", "content": "a"}]})
    with serving(tmp_path, config) as server:
        connections = []
        for _ in range(1000):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
            connection.request("POST", "/v1/chat/completions", body,
                               {"Authorization": "Bearer sk-e2e-0123456789"})
            connections.append(connection)
        assert len(os.listdir(f"/proc/{server.process.pid}/task")) == 1
        for connection in connections:
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read().endswith(b"data: [DONE]\n\n")
            connection.close()
