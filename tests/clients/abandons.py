"""Closes the connection of its first attempt before it has read the answer, and then starts over.
Caught by `attempts_per_call` and `requests`: the server saw, and may have charged, one more."""

from common import PATH, body, call, connect, finish, headers, wait

connection = connect()
connection.request("POST", PATH, body(), headers())
wait(0.1)  # the server has it by now
connection.close()
wait(1)
finish(call())
