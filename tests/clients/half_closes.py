"""Nothing wrong, but rare: closes its side of the connection once the request is sent, and then
reads. The server has to answer all the same."""

import http.client
import socket

from common import PATH, Answer, body, call, connect, finish, headers


def half_closing_post(retry):
    connection = connect()
    connection.request("POST", PATH, body(), headers(Connection="close"))
    connection.sock.shutdown(socket.SHUT_WR)
    try:
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException):
        return Answer(0)
    finally:
        connection.close()


finish(call(attempt=half_closing_post))
