"""What a right client does, in small pieces. A wrong one leaves a piece out or puts one in.

Standard library only. From the environment, as the official SDKs have it: OPENAI_BASE_URL,
OPENAI_API_KEY, OPENAI_FINE_TUNED_MODEL.
"""

import email.utils
import http.client
import json
import os
import sys
import time
import urllib.parse

MODEL = os.environ.get("OPENAI_FINE_TUNED_MODEL", "ft:gpt-4o-mini:acme::7p4lURel")
BASE_URL = urllib.parse.urlsplit(os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8429/v1"))
PATH = BASE_URL.path.rstrip("/") + "/chat/completions"
TIMEOUT_S = 600  # as the official SDKs


class Answer:
    """Status, headers and whole body of an answer; status 0: the connection broke."""

    def __init__(self, status, headers=None, body=b""):
        self.status = status
        self.headers = headers if headers is not None else {}
        self.body = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def error(self):
        error = self.json.get("error") if isinstance(self.json, dict) else None
        return error if isinstance(error, dict) else {}

    @property
    def content(self):
        return self.json["choices"][0]["message"]["content"]

    @property
    def is_quota_gone(self):
        return "insufficient_quota" in (self.error.get("code"), self.error.get("type"))

    @property
    def retry_after_s(self):
        """What Retry-After asks, in its three forms; None when it asks nothing."""
        if self.headers.get("retry-after-ms"):
            return float(self.headers["retry-after-ms"]) / 1000
        asked = self.headers.get("retry-after")
        if not asked:
            return None
        try:
            return float(asked)
        except ValueError:
            at, sent = (email.utils.parsedate_to_datetime(text)
                        for text in (asked, self.headers["date"]))
            return max(0.0, (at - sent).total_seconds())


def body(content="Say this is a test."):
    """The request's body, the same bytes each time."""
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": content}]}).encode()


def headers(**more):
    key = os.environ.get("OPENAI_API_KEY", "sk-test")
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **more}


def connect():
    return http.client.HTTPConnection(BASE_URL.hostname, BASE_URL.port, timeout=TIMEOUT_S)


def post(payload=None, more_headers=None):
    """One request on a connection of its own; reads the whole answer."""
    connection = connect()
    try:
        connection.request("POST", PATH, payload or body(), headers(**(more_headers or {})))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException):
        return Answer(0)
    finally:
        connection.close()


def is_worth_retrying(answer):
    if answer.status == 429:
        return not answer.is_quota_gone
    return answer.status in (0, 408, 409) or answer.status >= 500


def wait(seconds):
    """Not a moment less than `seconds` of monotonic time."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(left)


def call(waits_s=(1, 2), attempt=lambda retry: post(), retries=is_worth_retrying,
         asked_s=lambda answer: answer.retry_after_s):
    """The right loop: one attempt, and one more after each of the waits, until an answer is not
    worth retrying. Retry-After overrides the wait. Returns the last answer."""
    answer = attempt(0)
    for retry, wait_s in enumerate(waits_s, start=1):
        if not retries(answer):
            break
        asked = asked_s(answer)
        wait(wait_s if asked is None else asked)
        answer = attempt(retry)
    return answer


def own_waits_only(answer):
    """For call(asked_s=...): deaf to Retry-After."""
    return None


def error_text(answer):
    """The last error whole, in the words of the official SDK."""
    if answer.status == 0:
        return "openai.APIConnectionError: Connection error."
    name = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError",
            429: "RateLimitError"}.get(
                answer.status, "InternalServerError" if answer.status >= 500 else "APIStatusError")
    seen = answer.json if answer.json is not None else answer.body.decode("utf-8", "replace")
    return f"openai.{name}: Error code: {answer.status} - {seen}"


def finish(answer):
    """The right end: the content on stdout and exit 0, or the error on stderr and exit 1."""
    if answer.status == 200:
        print(answer.content)
        sys.exit(0)
    print(error_text(answer), file=sys.stderr)
    sys.exit(1)
