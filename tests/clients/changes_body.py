"""Says something else in each retry, so that no two attempts ask the same. Caught by
`attempts_per_call` and `calls`: each attempt counts as a call of its own."""

from common import body, call, finish, post

finish(call(attempt=lambda retry: post(body(f"Say this is a test (attempt {retry + 1})."))))
