"""Faults as the network shows them, and as the official SDKs and the built-in client take them."""

import json
import socket
import time

import pytest
from test_real_clients import NODE_FOLDER, PROBES, node_sdk, python_sdk
from toomany import PATIENCE_S, check, scenario, serving, wait_until

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}]})
STREAM = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True})


def always(**fault):
    return {"script": [{"answer": fault, "times": "forever"}]}


def exchange(server, body=BODY, patience_s=PATIENCE_S):
    """All bytes that come, and how the connection ended: "closed", "reset" or "open"."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience_s) as connection:
        connection.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                            f"sk-e2e-0123456789\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "open"
        return received, "closed"


@pytest.mark.parametrize("at, headers, body", [
    ("before_headers", None, None), ("in_headers", False, False), ("after_headers", True, False),
    ("in_body", True, True)])
def test_reset(tmp_path, at, headers, body):
    with serving(tmp_path, always(fault="reset", at=at)) as server:
        received, end = exchange(server)
        wait_until(lambda: server.journal()[-1]["answered_ns"] is not None, "the end of the answer")
        entry = server.journal()[-1]
    assert end == "reset"
    assert (entry["decision"], entry["fault"], entry["abandoned"]) == ("fault", "reset", False)
    assert entry["status"] == (0 if at == "before_headers" else 200)
    # A reset may overtake what was sent before it; but nothing more can have come.
    head, found, rest = received.partition(b"\r\n\r\n")
    assert not (found and headers is False) and not (rest and not body)
    if headers is None:
        assert received == b""


def test_reset_is_a_rst_and_no_fin(tmp_path):
    """A client that has sent no more than the request sees ECONNRESET, not an end of file."""
    with serving(tmp_path, always(fault="reset")) as server:
        assert [exchange(server) for _ in range(20)] == [(b"", "reset")] * 20


def test_truncated_body(tmp_path):
    with serving(tmp_path, always(fault="truncate")) as server:
        received, end = exchange(server)
    head, _, body = received.partition(b"\r\n\r\n")
    said = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert (end, len(body)) == ("closed", said // 2)


@pytest.mark.parametrize("by", [-10, 10])
def test_wrong_length(tmp_path, by):
    with serving(tmp_path, always(fault="wrong_length", by=by)) as server:
        received, end = exchange(server, patience_s=PATIENCE_S if by < 0 else 0.5)
    head, _, body = received.partition(b"\r\n\r\n")
    said = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert (end, said - len(body)) == ("closed" if by < 0 else "open", by)
    json.loads(body)


def test_chunks_without_an_end(tmp_path):
    with serving(tmp_path, always(fault="endless_chunks")) as server:
        received, end = exchange(server, patience_s=0.5)
        assert end == "open" and b"transfer-encoding: chunked" in received.lower()
        assert not received.endswith(b"0\r\n\r\n") and received.endswith(b"}\n\r\n")
        # The client has gone, and with it the request.
        wait_until(lambda: server.admin("GET", "health")[1]["in_flight"] == 0, "its end")
        assert server.journal()[0]["abandoned"]


def test_stall_and_drip_come_late_but_whole(tmp_path):
    for fault in ({"fault": "stall", "at": "in_body", "for": "700ms"},
                  {"fault": "drip", "bytes_per_second": 1000}):
        with serving(tmp_path, always(**fault)) as server:
            started_s = time.monotonic()
            received, end = exchange(server)
            took_s = time.monotonic() - started_s
        body = received.partition(b"\r\n\r\n")[2]
        assert end == "closed" and json.loads(body)["object"] == "chat.completion"
        assert took_s >= (0.7 if fault["fault"] == "stall" else len(body) / 1000)


def test_stall_for_ever_ends_with_the_server(tmp_path):
    with serving(tmp_path, always(fault="stall", at="after_headers")) as server:
        received, end = exchange(server, patience_s=0.3)
        assert end == "open" and received.endswith(b"\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                                f"sk-e2e-0123456789\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}").encode())
            assert connection.recv(10)
            assert server.stop()[0] == 0


def test_refused_for_a_period_then_served(tmp_path):
    with serving(tmp_path, {"script": [{"answer": {"fault": "refuse", "for": "1s"}}]}) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as idle:
            idle.sendall(b"GET /_toomany/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(65536)
            started_s = time.monotonic()
            assert exchange(server) == (b"", "reset")
            assert idle.recv(10) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))

        def is_served():
            try:
                return server.chat()[0] == 200
            except ConnectionRefusedError:
                return False

        wait_until(is_served, "connections are taken again")
        assert time.monotonic() - started_s >= 1


def test_retry_after_stands_twice(tmp_path):
    with serving(tmp_path, always(fault="bad_retry_after", form="repeated")) as server:
        status, headers, _ = server.chat()
        assert (status, headers.get_all("retry-after")) == (429, ["1", "20"])


def test_stream_without_done(tmp_path):
    with serving(tmp_path, always(fault="stream_cut")) as server:
        status, _, body = server.request("POST", "/v1/chat/completions", STREAM,
                                         {"Authorization": "Bearer sk-e2e-0123456789"})
    assert status == 200 and b"[DONE]" not in body and b'"finish_reason":"stop"' in body


def test_share_and_period_come_from_the_seed(tmp_path):
    config = {"script": [
        {"answer": {"fault": "proxy_page"}, "when": {"share": 0.3}, "times": "forever"},
        {"answer": {"fault": "proxy_page", "status": 503}, "when": {"every": 4}, "times": "forever"},
        {"answer": {"fault": "proxy_page", "status": 504}, "when": {"after": "1h"}}]}
    seen = []
    for seed in (1, 1, 2):
        with serving(tmp_path, config, "--seed", str(seed)) as server:
            seen.append([server.chat()[0] for _ in range(40)])
    assert seen[0] == seen[1] != seen[2]
    assert 4 <= seen[0].count(502) <= 20 and seen[0].count(504) == 0
    assert seen[0].count(503) == (40 - seen[0].count(502)) // 4


SAID = "This is a test!"
LOST = "openai.APIConnectionError"
LATE = "openai.APITimeoutError"
LATE_IN_NODE = "openai.APIConnectionTimeoutError"
FAILED = "openai.InternalServerError"
LIMITED = "openai.RateLimitError"
# The Node.js SDK leaves what breaks in a body to fetch, whose error it hands on as it is. Its time-out
# ends with the headers, too: a body that stalls is broken off by Node.js itself, after five minutes.
BROKEN = "TypeError"

# What each SDK says of a fault or throws, plain and streamed: Python's, then that for Node.js.
SDKS_SEE = {
    "reset before headers": ({"fault": "reset"}, [LOST, LOST], [LOST, LOST]),
    "reset in headers": ({"fault": "reset", "at": "in_headers"}, [LOST, LOST], [LOST, LOST]),
    "reset after headers": ({"fault": "reset", "at": "after_headers"}, [LOST, LOST], [BROKEN, BROKEN]),
    "reset in body": ({"fault": "reset", "at": "in_body"}, [LOST, LOST], [BROKEN, BROKEN]),
    "stall before headers": ({"fault": "stall"}, [LATE, LATE], [LATE_IN_NODE, LATE_IN_NODE]),
    "stall in body": ({"fault": "stall", "at": "in_body"}, [LATE, LATE], [BROKEN, BROKEN]),
    "slow": ({"fault": "drip", "bytes_per_second": 1000}, [SAID, SAID], [SAID, SAID]),
    "truncate": ({"fault": "truncate"}, [LOST, LOST], [BROKEN, BROKEN]),
    # What is cut off of a stream is [DONE]; what is waited for after it only Node.js waits for.
    "length too small": ({"fault": "wrong_length", "by": -10}, ["JSONDecodeError", SAID],
                         ["SyntaxError", SAID]),
    "length too large": ({"fault": "wrong_length", "by": 10}, [LATE, SAID], [BROKEN, BROKEN]),
    "no last chunk": ({"fault": "endless_chunks", "for": "1s"}, [LOST, SAID], [BROKEN, BROKEN]),
    "no JSON": ({"fault": "invalid_json"}, ["JSONDecodeError", "JSONDecodeError"],
                ["SyntaxError", "SyntaxError"]),
    **{f"proxy's {status}": ({"fault": "proxy_page", "status": status}, [FAILED, FAILED],
                             [FAILED, FAILED]) for status in (502, 503, 504)},
    **{f"wait {form}": ({"fault": "bad_retry_after", "form": form}, [LIMITED, LIMITED],
                        [LIMITED, LIMITED])
       for form in ("garbage", "negative", "zero", "past_date", "huge", "repeated")},
    "error in a stream": ({"fault": "stream_error"}, [SAID, "openai.APIError"],
                          [SAID, "openai.APIError"]),
    "stream without its end": ({"fault": "stream_cut"}, [SAID, SAID], [SAID, SAID]),
    # Last, as it is of all models: the first connection is reset, the second is refused.
    "refuse": ({"fault": "refuse", "for": "1h"}, [LOST, LOST], [LOST, LOST]),
}


@pytest.mark.carried
@pytest.mark.parametrize("sdk, column", [
    (lambda: [python_sdk()[0], str(PROBES / "faults.py")], 1),
    (lambda: [node_sdk()[0], str(PROBES / "faults.mjs")], 2),
], ids=["python", "node"])
def test_what_the_sdks_raise(tmp_path, sdk, column):
    """One process meets them all, in virtual time: 20 minutes for that in Node.js."""
    steps = [{"answer": row[0], "when": {"model": model}, "times": "forever"}
             for model, row in SDKS_SEE.items()]
    expect = {"script_played": "partly", "requests": 2 * len(steps) - 1}
    document = scenario(expect, {"script": steps}, timeout="2h")
    verdicts = check(tmp_path, document, [*sdk(), *SDKS_SEE], "--time", "virtual",
                     env={"EXAMPLES_NODE": str(NODE_FOLDER)})
    assert verdicts.client["exit_code"] == 0, verdicts
    assert json.loads(verdicts.client["stdout"]) == {
        model: row[column] for model, row in SDKS_SEE.items()}
    assert verdicts.passed, verdicts


def test_the_judge_takes_a_broken_answer_for_none(tmp_path):
    """The built-in client retries each, and is served in the end; all on a virtual clock."""
    faults = [{"fault": "reset"}, {"fault": "reset", "at": "in_body"}, {"fault": "truncate"},
              {"fault": "proxy_page"}, {"fault": "refuse", "for": "500ms"}]
    document = scenario({"attempts_per_call": len(faults) + 1, "outcome": "succeeds"},
                        {"script": [{"answer": fault} for fault in faults]})
    document["client"] = {"builtin": {"policy": {"kind": "fixed", "base": "1s", "max_attempts": 9}}}
    verdicts = check(tmp_path, document)
    assert verdicts.passed, verdicts
