"""Retries without a wait and without an end, over one connection, the next requests sent before
the answers to the last have come. Caught by `journal_complete`: the journal is bounded, and a run
that fills it is ended."""

from common import PATH, body, connect, headers

BURST = 500

payload = body()
lines = [f"POST {PATH} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(payload)}"]
lines += [f"{name}: {value}" for name, value in headers().items()]
request = "\r\n".join(lines + ["", ""]).encode() + payload

connection = connect()
connection.connect()
START = b"HTTP/1.1 "
rest = b""  # may hold the beginning of a status line whose end comes with the next bytes
while True:
    connection.sock.sendall(request * BURST)
    waiting = BURST
    while waiting > 0:
        received = rest + connection.sock.recv(1 << 20)
        if received == rest:
            raise ConnectionError("the server has closed the connection")
        waiting -= received.count(START)
        rest = received[1 - len(START):]
