"""What a server must expect of the network: whatever is sent, it answers with the right status or
closes, and goes on to answer the next good request."""

import json
import os
import socket
import struct
import threading

import pytest
from toomany import MODEL, PATIENCE_S, serving, wait_until

CHAT = "POST /v1/chat/completions HTTP/1.1"
KEY = "Authorization: Bearer sk-e2e-0123456789"
GOOD = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server
        assert server.stop()[0] == 0


@pytest.fixture(autouse=True)
def it_goes_on(server):
    yield
    assert server.process.poll() is None, server.process.returncode
    status, _, body = server.chat()
    assert status == 200 and json.loads(body)["object"] == "chat.completion"


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def read_all(connection):
    """Until the server closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def request(*lines, body="", close=True):
    head = [*lines, "Host: x"] + (["Connection: close"] if close else [])
    return ("\r\n".join(head) + "\r\n\r\n").encode() + (
        body if isinstance(body, bytes) else body.encode())


def with_body(body, *more, first=CHAT):
    length = len(body if isinstance(body, bytes) else body.encode())
    return request(first, KEY, "Content-Type: application/json", f"Content-Length: {length}", *more,
                   body=body)


def send(server, data):
    """One exchange: status and JSON of the answer; status 0 when it just closed."""
    with connect(server) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not read on once it has answered
        return parse(read_all(connection))


def send_and_half_close(server, data):
    with connect(server) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it may have closed by then
        return parse(read_all(connection))


def wait_until_idle(server):
    wait_until(lambda: server.admin("GET", "health")[1]["in_flight"] == 0, "none in flight")


def parse(answer):
    if not answer:
        return 0, None
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    try:
        return status, json.loads(body)
    except ValueError:
        return status, None


def error_of(answer):
    """Status, and code or type of a body in OpenAI's form with all its members."""
    status, body = answer
    assert body["error"].keys() == {"message", "type", "param", "code"}, body
    return status, body["error"]["type"], body["error"]["code"], body["error"]["param"]


BAD_REQUEST = (400, "invalid_request_error")

BODIES = {
    "none": "",
    "no JSON": "Hello",
    "truncated": GOOD[:-5],
    "trailing": GOOD + "x",
    "a list": "[]",
    "a string": '"Hello"',
    "null": "null",
    "NUL": b"\0\0\0\0",
    "invalid UTF-8": GOOD.encode().replace(b"Hello", b"\xff\xfe"),
    "deep": "[" * 100_000,
    "deep and whole": "[" * 100_000 + "]" * 100_000,
    "deep content": GOOD.replace('"Hello"', "[" * 5_000 + "]" * 5_000),
    "no model": '{"messages": [{"role": "user", "content": "Hello"}]}',
    "no messages": json.dumps({"model": MODEL}),
    "model is a number": '{"model": 1, "messages": []}',
    "messages are a string": json.dumps({"model": MODEL, "messages": "Hello"}),
    "message is a number": json.dumps({"model": MODEL, "messages": [1]}),
    "huge model": json.dumps({"model": "m" * 100_000, "messages": []}),
    "UTF-16": GOOD.encode("utf-16"),
}


@pytest.mark.parametrize("name", BODIES)
def test_bad_body_is_400_in_openais_form(server, name):
    assert error_of(send(server, with_body(BODIES[name])))[:2] == BAD_REQUEST


UNREAD = {
    "a repeated member: 'model'": GOOD[:-1] + ', "model": "m"}',
    "\\u0000 in a string": GOOD.replace("Hello", "\\u0000"),
    "objects and arrays nested more than 64 deep": GOOD.replace('"Hello"', "[" * 64 + "]" * 64),
}


@pytest.mark.parametrize("what", UNREAD)
def test_json_that_is_not_read_is_not_said_to_be_none(server, what):
    answer = send(server, with_body(UNREAD[what]))
    assert error_of(answer)[:2] == BAD_REQUEST
    assert answer[1]["error"]["message"] == f"This mock server does not read JSON with {what}."


@pytest.mark.parametrize("authority", ["http://x", "HTTP://127.0.0.1:8429", "https://[::1]:1"])
def test_target_with_scheme_and_authority_is_its_path(server, authority):
    chat = with_body(GOOD, first=f"POST {authority}/v1/chat/completions HTTP/1.1")
    assert send(server, chat)[0] == 200
    models = send(server, request(f"GET {authority}/v1/models?limit=1 HTTP/1.1", KEY))
    assert models[0] == 200 and models[1]["object"] == "list"
    assert send(server, request(f"GET {authority} HTTP/1.1", KEY))[0] == 404
    paths = [entry["path"] for entry in server.journal()[-3:]]
    assert paths == ["/v1/chat/completions", "/v1/models", "/"]
    # Admin endpoints are guarded as by their path alone: "Host: x" is another machine.
    assert send(server, request(f"GET {authority}/_toomany/health HTTP/1.1"))[0] == 403


def test_head_of_an_admin_endpoint_is_get_without_a_body(server):
    for name in ("health", "journal", "quotas", "metrics", "tier"):
        with connect(server) as connection:
            connection.sendall(f"HEAD /_toomany/{name} HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: close\r\n\r\n".encode())
            head, _, body = read_all(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert b"\r\ncontent-length: " in head.lower() and body == b""
    reset = request("HEAD /_toomany/reset HTTP/1.1").replace(b"Host: x", b"Host: localhost")
    assert send(server, reset)[0] == 405
    assert send(server, request("HEAD /v1/models HTTP/1.1", KEY))[0] == 405


def test_head_with_long_headers_has_no_body_either(server):
    with connect(server) as connection:
        connection.sendall(request("HEAD /_toomany/health HTTP/1.1", "X-Long: " + "x" * 5500,
                                   *(f"X-{number}: y" for number in range(10, 40)))
                           .replace(b"Host: x", b"Host: localhost"))
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    assert body == b""


def test_chat_without_length_is_400(server):
    assert error_of(send(server, request(CHAT, KEY)))[:2] == BAD_REQUEST


@pytest.mark.parametrize("header", ["X: y", "Authorization:", "Authorization: Bearer",
                                    "Authorization: Bearer ", "Authorization: Basic c2s6",
                                    "Authorization: Token sk-0123456789"])
def test_no_key_is_401(server, header):
    data = with_body(GOOD).replace(KEY.encode(), header.encode())
    status, kind, code, param = error_of(send(server, data))
    assert (status, kind, code, param) == (401, "invalid_request_error", None, None)


def test_wrong_method_and_path(server):
    assert error_of(send(server, request("GET /v1/chat/completions HTTP/1.1", KEY)))[0] == 405
    assert error_of(send(server, request("GET /v1/nothing HTTP/1.1", KEY)))[0] == 404
    assert error_of(send(server, request("GET / HTTP/1.1", KEY)))[0] == 404
    assert error_of(send(server, request(f"GET /v1/models/{'m' * 5000} HTTP/1.1", KEY)))[0] == 404
    assert error_of(send(server, request("GET /v1/models/%ff HTTP/1.1", KEY)))[0] == 404


# ---- sizes ----

def test_body_over_the_bound_is_413(server):
    status, body = send(server, with_body("x" * (8 * 1024 * 1024 + 1)))
    assert (status, body["error"]["code"]) == (413, "request_too_large")


def test_body_at_the_bound_is_read(server):
    padded = GOOD + " " * (8 * 1024 * 1024 - len(GOOD))
    assert send(server, with_body(padded))[0] == 200


def test_endless_body_is_cut_off(server):
    """A sender that does not stop gets its connection closed, after 64 MiB and some."""
    part = b"x" * (1 << 20)
    with connect(server) as connection:
        connection.sendall(request(CHAT, KEY, f"Content-Length: {1 << 40}", close=False))
        with pytest.raises(OSError):
            for _ in range(200):
                connection.sendall(part)


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999", "5, 6", "abc", "0x10"])
def test_absurd_length_is_400_or_closed(server, length):
    status, _ = send(server, request(CHAT, KEY, f"Content-Length: {length}", body=GOOD))
    assert status in (0, 400, 413), status


def test_large_length_without_the_bytes(server):
    """Half of what was promised, and then the end: nobody is there to be answered, but nothing
    stays behind."""
    send_length = request(CHAT, KEY, f"Content-Length: {1 << 30}", body=GOOD, close=False)
    with connect(server) as connection:
        connection.sendall(send_length)
    wait_until_idle(server)


@pytest.mark.parametrize("lines", [
    [f"X-{number}: {'x' * 1000}" for number in range(100)],
    ["X: " + "x" * 1_000_000],
    [f"X-{number}: y" for number in range(20_000)],
], ids=["many long", "one huge", "very many"])
def test_huge_headers_are_431_or_closed(server, lines):
    status, _ = send(server, request(CHAT, KEY, *lines))
    assert status in (0, 400, 413, 431), status


def test_huge_path_is_414_or_closed(server):
    status, _ = send(server, request(f"GET /v1/models/{'x' * 1_000_000} HTTP/1.1", KEY))
    assert status in (0, 400, 414, 431), status


# ---- what is not HTTP ----

@pytest.mark.parametrize("data", [
    b"", b"\r\n\r\n", b"\n" * 1000, b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"G" * 100_000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 30,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", os.urandom(10_000).replace(b"\n", b""),
    b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", b"POST / HTTP/1.1\r\nHost\0: x\r\n\r\n",
], ids=["nothing", "line end", "line feeds", "NULs", "half a line", "HTTP 9.9", "no Host", "no end",
        "TLS", "HTTP/2", "noise", "no colon", "NUL in a name"])
def test_garbage_gets_an_error_or_is_closed(server, data):
    status, _ = send_and_half_close(server, data)
    assert status == 0 or 400 <= status < 600, status


@pytest.mark.parametrize("chunks", [
    b"zz\r\nHello\r\n0\r\n\r\n", b"-5\r\nHello\r\n0\r\n\r\n", b"ffffffffffffffffffff\r\nx",
    b"5\r\nHel", b"5\r\nHelloHello\r\n0\r\n\r\n",
], ids=["no number", "negative", "endless", "short", "long"])
def test_bad_chunks_get_an_error_or_are_closed(server, chunks):
    status, _ = send_and_half_close(
        server, request(CHAT, KEY, "Transfer-Encoding: chunked", body=chunks))
    assert status in (0, 400, 413), status


def test_good_chunks_are_a_body(server):
    text = GOOD.encode()
    chunks = b"".join(b"1\r\n" + text[i:i + 1] + b"\r\n" for i in range(len(text))) + b"0\r\n\r\n"
    assert send(server, request(CHAT, KEY, "Transfer-Encoding: chunked", body=chunks))[0] == 200


# ---- time and order ----

def test_slow_sender_is_waited_for_and_others_are_served_meanwhile(server):
    before = len(server.journal())
    data = with_body(GOOD)
    with connect(server) as connection:
        for index in range(len(data)):
            connection.sendall(data[index:index + 1])
            if index % 50 == 0:
                assert server.chat()[0] == 200
        assert parse(read_all(connection))[0] == 200
    meanwhile = len(range(0, len(data), 50))
    assert len(server.journal()) == before + meanwhile + 1


def test_half_closed_connection_is_answered(server):
    with connect(server) as connection:
        connection.sendall(with_body(GOOD))
        connection.shutdown(socket.SHUT_WR)
        assert parse(read_all(connection))[0] == 200


@pytest.mark.parametrize("data, answers", [
    (with_body(GOOD).replace(b"Connection: close\r\n", b""), 1),
    (with_body(GOOD).replace(b"Connection: close\r\n", b"") * 100, 100),
    (with_body(GOOD).replace(b"Connection: close\r\n", b"") * 2 + b"POST /v1/ch", 2),
    (with_body(GOOD).replace(b"Connection: close\r\n", b"")[:-1], 0),
    (b"GET /_toomany/hea", 0),
    (b"", 0),
], ids=["one", "many", "two and a half", "no last byte", "half a line", "nothing"])
def test_half_closed_connection_is_closed_when_all_is_answered(server, data, answers):
    """Nobody keeps a connection on which no more can come: who reads to its end must not wait."""
    for _ in range(20):
        with connect(server) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection).count(b"HTTP/1.1 200 ") == answers


def test_half_closed_connection_is_answered_late_and_closed(tmp_path):
    with serving(tmp_path, {"latency": "200ms"}) as server, connect(server) as connection:
        connection.sendall(with_body(GOOD).replace(b"Connection: close\r\n", b"") * 2)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b"HTTP/1.1 200 ") == 2
        assert [entry["abandoned"] for entry in server.journal()] == [False, False]


def test_expect_100_continue(server):
    with connect(server) as connection:
        head = with_body(GOOD, "Expect: 100-continue")
        head, body = head[:-len(GOOD)], head[-len(GOOD):]
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert parse(read_all(connection))[0] == 200


def test_requests_sent_in_one_piece_are_all_answered_in_order(server):
    with connect(server) as connection:
        connection.sendall(with_body(GOOD).replace(b"Connection: close\r\n", b"") * 9
                           + with_body("{"))
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200") == 9 and answer.count(b"HTTP/1.1 400") == 1
    assert answer.rindex(b"HTTP/1.1 200") < answer.index(b"HTTP/1.1 400")


def test_connections_opened_and_abandoned(server):
    """300 that say nothing, 300 that say half, 300 that say all and reset."""
    half = request(CHAT, KEY, "Content-Length: 100", body="{", close=False)
    opened = []
    for index in range(900):
        connection = connect(server)
        if index % 3 == 1:
            connection.sendall(half)
        if index % 3 == 2:
            connection.sendall(with_body(GOOD))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            opened.append(connection)
    assert server.chat()[0] == 200  # while they are open
    for connection in opened:
        connection.close()
    wait_until_idle(server)


def test_many_at_once_are_all_answered(server):
    statuses = []

    def ask():
        statuses.extend(server.chat()[0] for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert statuses == [200] * 320


def test_reset_in_the_middle_of_a_slow_answer(tmp_path):
    """Who goes away frees his place at once: in flight, and in the quota."""
    config = {"latency": "300ms", "quotas": {MODEL: {"concurrent_requests": 1}}}
    with serving(tmp_path, config) as server:
        with connect(server) as connection:
            connection.sendall(with_body(GOOD))
            wait_until(lambda: server.admin("GET", "health")[1]["in_flight"] == 1, "one in flight")
            assert server.chat()[0] == 429
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until_idle(server)
        assert server.chat()[0] == 200
        abandoned = [entry["abandoned"] for entry in server.journal()]
        assert abandoned == [True, False, False]
