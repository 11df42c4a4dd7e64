"""A client whose every habit is an option: right without any, wrong in one way with one.

Each row of HABITS is a probe of `toomany grade` turned round: what a program does that it catches.
Standard library only, and quick to start: python3 -S -E synthetic.py [HABIT[=VALUE]]...
"""

import http.client
import json
import os
import random
import sys
import time
from calendar import timegm
from email.utils import parsedate
from hashlib import md5

HABITS = {
    "stream": "asks for a stream",
    "attempts": "so many of a call; 0 without end",
    "base": "seconds of the first delay",
    "factor": "its growth",
    "cap": "the longest delay",
    "budget": "makes no retry when so many seconds have passed",
    "jitter": "none, full, equal, quarter, or seeded: the same in each process",
    "no-retry": "of these statuses, with commas between, or of codes",
    "reads-body-first": "retries only what is an error object",
    "deaf": "ignores Retry-After: all of it, or its form seconds, milliseconds, date or obsolete",
    "first-wait": "keeps to the first Retry-After",
    "early-above": "backs off by itself above so many seconds of Retry-After",
    "sleeps-long": "waits whatever it is asked, for days",
    "overflow": "holds waits in 32 bits of ms, and comes at once beyond them",
    "whole-seconds": "cuts a fraction of Retry-After off",
    "shortest": "takes half of the shortest wait where several are said",
    "odd-is-zero": "comes at once where Retry-After is odd",
    "told-alike": "adds no jitter to Retry-After",
    "obeys-zero": "comes at once where Retry-After is 0",
    "deaf-to-should-retry": "does not know x-should-retry",
    "retries-all": "retries every status that is not good",
    "retries-quota": "retries insufficient_quota and its kin",
    "retries-type-only": "knows a quota that is used up only by its code, insufficient_quota",
    "exits-zero": "says that it succeeded whatever came",
    "silent": "prints no error",
    "own-words": "prints an error of its own, and nothing of the server's",
    "status-only": "prints the status and nothing else",
    "request-id": "prints the request id",
    "sleeps-last": "waits once more after its last attempt",
    "outer": "a loop of so many around its own retries, which count themselves",
    "counts": "numbers its attempts in x-stainless-retry-count",
    "new-body": "changes the body with each attempt",
    "keys": "one: an Idempotency-Key for the call; new: one for each attempt",
    "no-timeout": "waits for an answer for ever",
    "crashes-on-reset": "dies of a signal when a connection breaks",
    "half-is-good": "takes what came before a connection broke for the answer",
    "any-200-is-good": "takes any body with status 200 for an answer",
    "error-object-is-good": "takes a body with status 200 for an answer though it says error",
    "html-is-good": "does not look at the status where the body is no JSON",
    "400-is-good": "takes 400 for an answer",
    "stream-error-is-good": "takes an error in a stream for its end",
    "asks-for-done": "takes a stream without [DONE] for broken",
    "calls": "so many, one after the other",
}

TIMEOUT_S = 60
GIVES_UP_ABOVE_S = 120

given = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
unknown = given.keys() - HABITS.keys()
if unknown:
    sys.exit(f"there is no habit {', '.join(sorted(unknown))}")


def has(habit):
    return habit in given


def number(habit, default):
    return float(given.get(habit) or default)


ATTEMPTS = int(number("attempts", 4))
rng = random.Random(1) if given.get("jitter") == "seeded" else random.SystemRandom()


class Answer:
    def __init__(self, status=0, headers=None, body=b"", broken=True):
        self.status, self.headers, self.body, self.broken = status, headers or {}, body, broken
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def error(self):
        error = self.json.get("error") if isinstance(self.json, dict) else None
        return error if isinstance(error, dict) else {}

    def content(self):
        """What the model said; None where this is no answer."""
        if self.broken:
            return self.body.decode(errors="replace") if has("half-is-good") and self.body else None
        if self.status == 400 and has("400-is-good"):
            return "fine"
        if self.json is None and self.status != 200:
            return "fine" if has("html-is-good") else None
        if self.status != 200:
            return None
        if has("any-200-is-good") or (has("error-object-is-good") and self.error):
            return "fine"
        if has("stream"):
            return self.streamed()
        try:
            return self.json["choices"][0]["message"]["content"]
        except (KeyError, TypeError):
            return None

    def streamed(self):
        text, done = "", False
        for line in self.body.decode().splitlines():
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                done = True
                continue
            event = json.loads(line[6:])
            if "error" in event:
                if has("stream-error-is-good"):
                    return text
                self.broken = True
                return None
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
        return text if done or not has("asks-for-done") else None


def post(attempt, key):
    host, _, path = os.environ["OPENAI_BASE_URL"].partition("//")[2].partition("/")
    message = "Say hello." + (f" ({attempt})" if has("new-body") else "")
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": message}]}
    if has("stream"):
        request["stream"] = True
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"],
               "Content-Type": "application/json"}
    if has("counts") or has("outer"):
        headers["x-stainless-retry-count"] = str(attempt)
    if has("keys"):
        headers["Idempotency-Key"] = key if given["keys"] == "one" else f"{key}-{attempt}"
    connection = http.client.HTTPConnection(host, timeout=None if has("no-timeout") else TIMEOUT_S)
    status, got, body = 0, {}, b""
    try:
        connection.request("POST", f"/{path}/chat/completions", json.dumps(request), headers)
        response = connection.getresponse()
        status, got = response.status, dict((k.lower(), v) for k, v in response.getheaders())
        body = response.read()
        return Answer(status, got, body, broken=False)
    except http.client.IncompleteRead as error:
        return Answer(status, got, error.partial)
    except (OSError, http.client.HTTPException):
        if has("crashes-on-reset"):
            os.abort()
        return Answer(status, got, b"a part" if status == 200 else b"")
    finally:
        connection.close()


def is_worth_retrying(answer):
    if has("retries-all"):
        return True
    if answer.broken:
        return True
    left_out = (given.get("no-retry") or "").split(",")
    if str(answer.status) in left_out or answer.error.get("code") in left_out:
        return False
    if answer.error.get("type") in left_out or "*" in left_out:
        return False
    if has("reads-body-first") and not answer.error:
        return False
    if answer.headers.get("x-should-retry") == "false" and not has("deaf-to-should-retry"):
        return False
    quota = answer.error.get("code") == "insufficient_quota" or (
        answer.error.get("type") == "insufficient_quota" and not has("retries-type-only"))
    if quota and not has("retries-quota"):
        return False
    return answer.status in (408, 409, 429) or answer.status >= 500


def date_of(text, now):
    parsed = parsedate(text)
    if parsed is None or ":" not in text:
        return None
    obsolete = "-" in text or not text.endswith("GMT")
    if obsolete and given.get("deaf") == "obsolete":
        return None
    return timegm(parsed) - now


def asked_s(answer):
    """What it is asked to wait; None where it is asked nothing that can be obeyed."""
    deaf = given.get("deaf")
    ms, seconds = answer.headers.get("retry-after-ms"), answer.headers.get("retry-after")
    waits = []
    if ms and deaf not in ("", "milliseconds"):
        waits.append(float(ms) / 1000)
    if seconds and deaf != "":
        try:
            wait = float(seconds)
            if deaf != "seconds":
                waits.append(int(wait) if has("whole-seconds") else wait)
        except ValueError:
            wait = None if deaf == "date" else date_of(seconds, time.time())
            if wait is not None:
                waits.append(wait)
            elif deaf != "date" and has("odd-is-zero"):
                waits.append(0)
    if not waits:
        return None
    wait = min(waits) / 2 if has("shortest") and len(waits) > 1 else waits[0]
    if wait == 0 and has("obeys-zero"):
        return 0
    if wait <= 0 or wait > 1e9:
        return 0 if has("odd-is-zero") else None
    return wait


def backoff_s(retry):
    delay = min(number("cap", 8), number("base", 0.5) * number("factor", 2) ** retry)
    share = {"none": 1, "full": rng.random(), "quarter": 1 - rng.random() / 4}.get(
        given.get("jitter"), 0.5 + rng.random() / 2)
    return delay * share


class GivesUp(Exception):
    pass


class Call:
    first_s = None

    def __init__(self):
        self.gives_up_at_s = time.monotonic() + number("budget", 1e9)

    def wait(self, answer, retry):
        if time.monotonic() > self.gives_up_at_s:
            raise GivesUp
        asked = asked_s(answer)
        if has("first-wait"):
            self.first_s = asked if self.first_s is None else self.first_s
            asked = self.first_s
        if asked is not None and asked > number("early-above", 1e12):
            asked = None
        if asked is not None and has("overflow") and asked * 1000 >= 2**31:
            asked = 0
        if asked is not None and asked > GIVES_UP_ABOVE_S and not has("sleeps-long"):
            raise GivesUp
        if asked is None:
            time.sleep(backoff_s(retry))
        else:
            time.sleep(asked if has("told-alike") else asked * (1 + rng.random() / 10))

    def layer(self, key):
        attempt = 0
        while True:
            answer = post(attempt, key)
            attempt += 1
            if answer.content() is not None or not is_worth_retrying(answer):
                return answer
            if attempt == ATTEMPTS:
                if has("sleeps-last"):
                    time.sleep(8)
                return answer
            try:
                self.wait(answer, attempt - 1)
            except GivesUp:
                return answer

    def make(self):
        key = md5(os.urandom(8)).hexdigest()
        answer = None
        for _ in range(int(number("outer", 1))):
            answer = self.layer(key)
            if answer.content() is not None:
                break
            if not is_worth_retrying(answer):
                break
            if has("outer"):
                time.sleep(2)
        return answer


def tell(answer):
    if has("silent"):
        return
    if has("own-words"):
        print("it did not work", file=sys.stderr)
        return
    print(f"Error code: {answer.status}", end=" ", file=sys.stderr)
    if not has("status-only"):
        print(answer.body.decode(errors="replace"), end=" ", file=sys.stderr)
    print(answer.headers.get("x-request-id", "") if has("request-id") else "", file=sys.stderr)


for _ in range(int(number("calls", 1))):
    last = Call().make()
    said = last.content()
    if said is None:
        tell(last)
        sys.exit(0 if has("exits-zero") else 1)
    print(said)
sys.exit(0)
