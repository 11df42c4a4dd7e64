"""Nothing wrong, but slow: sends its request byte by byte over about a second. The server has to
wait for it, serve others meanwhile, and count the request once."""

import http.client

from common import PATH, Answer, body, call, connect, finish, headers, wait


def slow_post(retry):
    connection = connect()
    connection.connect()
    payload = body()
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {connection.host}:{connection.port}",
             f"Content-Length: {len(payload)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers().items()]
    request = "\r\n".join(lines + ["", ""]).encode() + payload
    try:
        for byte in request:
            connection.sock.sendall(bytes([byte]))
            wait(1 / len(request))
        response = http.client.HTTPResponse(connection.sock, method="POST")
        response.begin()
        return Answer(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException):
        return Answer(0)
    finally:
        connection.close()


finish(call(attempt=slow_post))
