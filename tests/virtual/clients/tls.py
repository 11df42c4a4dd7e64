"""A server that speaks TLS and a client, in one program: their time-outs come when they are due, and
none comes because the clock jumped, nor because a handshake computes for long.

    python3 tls.py CERTIFICATE KEY
"""

import os
import socket
import ssl
import sys
import threading
import time

IS_EXACT = "EXACT" in os.environ


def say(what, started, expected_s, came):
    took_s = time.monotonic() - started
    is_off = abs(took_s - expected_s) > 1e-6 if IS_EXACT else took_s < expected_s - 0.001
    print(f"{what}: {expected_s} s{f' instead of {took_s}' if is_off else ''}, {came}", flush=True)


def answer(connection, context):
    """Shakes hands unless nobody does; then repeats each line, after a second where asked to."""
    try:
        with context.wrap_socket(connection, server_side=True) as tls:
            for line in tls.makefile("rb"):
                if line == b"slowly\n":
                    time.sleep(1)
                tls.sendall(line)
    except OSError:
        pass


def serve(listener, context):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, context), daemon=True).start()


def connect(port, timeout_s):
    plain = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    context = ssl.create_default_context(cafile=sys.argv[1])
    context.check_hostname = False
    return context.wrap_socket(plain)


def ask(tls, line):
    tls.sendall(line)
    return tls.recv(100).decode().strip()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listener.getsockname()[1]
    threading.Thread(target=serve, args=(listener, context), daemon=True).start()

    # While they shake hands, the clock has somewhere to jump to: an hour ahead, or to a time-out.
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    for many in (1, 20):
        started = time.monotonic()
        ends = []
        threads = [threading.Thread(target=lambda: ends.append(ask(connect(port, 60), b"hello\n")))
                   for _ in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(f"{many} handshakes", started, 0, ends.count("hello"))

    tls = connect(port, 60)
    started = time.monotonic()
    say("an answer after a second", started, 1, ask(tls, b"slowly\n"))
    tls.settimeout(0.5)
    started = time.monotonic()
    try:
        came = ask(tls, b"slowly\n")
    except TimeoutError:
        came = "TimeoutError"
    say("an answer that comes too late", started, 0.5, came)

    tls = connect(port, 60)
    started = time.monotonic()
    time.sleep(2)
    say("a connection that was idle for 2 s", started, 2, ask(tls, b"still there\n"))

    silent = socket.create_server(("127.0.0.1", 0))
    started = time.monotonic()
    try:
        connect(silent.getsockname()[1], 0.3)
        came = "connected"
    except TimeoutError:
        came = "TimeoutError"
    say("a server that does not shake hands", started, 0.3, came)


main()
