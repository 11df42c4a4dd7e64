"""The retry rules of 29 reported bugs, each as it was and mended.

    rules.py litellm-12877              the rule as the issue describes it
    rules.py litellm-12877 --mended     the rule that is right

A rule is named after its issue, as its scenario in scenarios/reported/ is; the README there tells of
each. What is not the matter of an issue is the same in both and right, see common.py.
"""

import argparse
import json
import pathlib
import random
import re
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import common  # noqa: E402
from common import (  # noqa: E402
    call, connect, error_text, finish, headers, is_worth_retrying, own_waits_only, post, wait)

# Longer than anybody waits for a call. Beyond it the error is raised.
PATIENCE_S = 120

FINAL_CODES = ("insufficient_quota", "credit_balance_exhausted")


def exponential(base_s, retries, factor=2):
    return tuple(base_s * factor ** retry for retry in range(retries))


def is_patient(answer):
    """Whether to retry: as common has it, and not what asks for more than our patience."""
    if answer.error.get("code") in FINAL_CODES:
        return False
    return is_worth_retrying(answer) and (answer.retry_after_s or 0) <= PATIENCE_S


def is_retried_by_status(answer):
    """What no waiting mends, too."""
    return answer.status in (0, 408, 409, 429) or answer.status >= 500


def right_call(**more):
    """Half a second, doubled, two retries; Retry-After within our patience."""
    return call(**{"waits_s": exponential(0.5, 2), "retries": is_patient, **more})


def hinted_s(answer):
    """What the message asks for, as "try again in 634ms" or "in 7m12s"; None: nothing."""
    found = re.search(r"try again in ((?:\d+(?:\.\d+)?(?:ms|[hms]))+)", answer.error.get("message", ""))
    if not found:
        return None
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(float(number) * units[unit]
               for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[hms])", found[1]))


# --- the clients ------------------------------------------------------------------------------


def azure_reset_header(mended):
    """Azure's x-rate-limit-reset-tokens, in seconds, in the place of Retry-After."""
    def asked_s(answer):
        reset = answer.headers.get("x-rate-limit-reset-tokens")
        return float(reset) if mended and reset else answer.retry_after_s
    return right_call(asked_s=asked_s)


def stream():
    """One streamed request: the answer, with an error that came as an event in the place of its
    body."""
    connection = connect()
    payload = json.dumps({"model": common.MODEL, "stream": True,
                          "messages": [{"role": "user", "content": "Hello"}]}).encode()
    connection.request("POST", common.PATH, payload, headers())
    response = connection.getresponse()
    text = ""
    for line in response.read().decode().splitlines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[len("data: "):])
        if "error" in event:
            return common.Answer(response.status, response.headers, json.dumps(event).encode())
        for choice in event.get("choices", []):
            text += choice["delta"].get("content") or ""
    return common.Answer(response.status, response.headers, json.dumps(
        {"choices": [{"message": {"content": text}}]}).encode())


def error_in_stream(mended):
    answer = right_call(attempt=lambda retry: stream(),
                        retries=lambda answer: is_patient(answer) or (mended and bool(answer.error)))
    if answer.error:
        sys.exit(error_text(answer))
    return answer


def capped_retry_after(mended):
    """Above 60 s the backoff of at most 8 s took its place."""
    def asked_s(answer):
        asked = answer.retry_after_s
        return asked if mended or asked is None or asked <= 60 else None
    return right_call(asked_s=asked_s)


def final_error_retried(mended, retries=2, base_s=0.5):
    return right_call(waits_s=exponential(base_s, retries),
                      retries=is_patient if mended else is_retried_by_status)


def endless_retry_after(mended):
    """Waits as long as it is asked, be it days."""
    return right_call(retries=is_patient if mended else is_worth_retrying)


def absent_header_is_zero(mended, retries=2):
    return right_call(waits_s=exponential(1, retries),
                      asked_s=lambda answer: answer.retry_after_s or (None if mended else 0))


def negative_shift(mended):
    """0.8 s << (retry - 2), which is nothing for the first."""
    first = 0.8 if mended else 0
    return right_call(waits_s=(first, 0.8, 1.6))


def deaf(mended, waits_s=(0.5, 1)):
    return right_call(waits_s=waits_s,
                      asked_s=(lambda answer: answer.retry_after_s) if mended else own_waits_only)


def reset_headers_believed(mended):
    def asked_s(answer):
        reset_s = float(answer.headers.get("x-ratelimit-reset-tokens", "nan"))
        if mended and not reset_s > 0:
            return None
        return max(0, reset_s)
    return right_call(asked_s=asked_s)


def six_retries(mended):
    if mended:
        return right_call()
    return right_call(waits_s=tuple((1 + random.random()) * 2 ** retry for retry in range(6)))


def first_retry_after_for_all(mended):
    first = []

    def asked_s(answer):
        first.append(answer.retry_after_s)
        return answer.retry_after_s if mended else first[0]
    return right_call(asked_s=asked_s)


def jitter_multiplies(mended):
    jitters = [0.75 * random.random() for _ in range(3)]
    waits_s = [0.5 * 2 ** retry + jitter if mended else 0.5 * 2 ** retry * jitter
               for retry, jitter in enumerate(jitters)]
    return right_call(waits_s=waits_s)


def at_once(mended):
    return right_call(asked_s=lambda answer: answer.retry_after_s if mended else 0)


def nested_retries(mended):
    """A router's retry around the two of the provider's SDK, which sends its own counter."""
    def sdk_call(retries):
        return right_call(
            waits_s=exponential(0.5, retries),
            attempt=lambda retry: post(more_headers={"x-stainless-retry-count": str(retry)}))
    if mended:
        return right_call(attempt=lambda retry: sdk_call(0), waits_s=(1,))
    return right_call(attempt=lambda retry: sdk_call(2), waits_s=(1,))


def one_retry_too_few(mended):
    return right_call(waits_s=exponential(0.5, 3 if mended else 2))


def hint_outrun(mended):
    def asked_s(answer):
        return hinted_s(answer) if mended else 0.1
    return right_call(asked_s=asked_s)


def hint_rounded_down(mended):
    def asked_s(answer):
        hint_s = hinted_s(answer)
        return None if mended else int(hint_s)
    return right_call(waits_s=exponential(0.5, 5) if mended else (0,) * 1000, asked_s=asked_s)


def masked_error(mended):
    answer = final_error_retried(mended)
    if not mended and answer.status != 200:
        sys.exit("RetryError: status 400")
    return answer


def herd(mended):
    """Twenty threads; each gets the same Retry-After."""
    answers = []

    def one(number):
        drawn = random.Random(number)

        def asked_s(answer):
            asked = answer.retry_after_s
            return asked * (1 + drawn.random()) if mended and asked else asked
        answers.append(right_call(
            waits_s=exponential(0.5, 6), asked_s=asked_s,
            attempt=lambda retry: post(common.body(f"Call {number}"), {"x-call-id": str(number)})))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next((answer for answer in answers if answer.status != 200), answers[0])


def only_json(mended):
    """Parses the body before it looks at the status."""
    if mended:
        return right_call()
    answer = post()
    json.loads(answer.body)
    return answer


def error_with_200(mended):
    def retries(answer):
        return is_patient(answer) or (mended and bool(answer.error))
    return right_call(retries=retries)


def overload_with_400(mended):
    def retries(answer):
        return is_patient(answer) or (mended and answer.error.get("code") == "server_is_overloaded")
    return right_call(retries=retries)


def crash_of_session(mended):
    """A session is a loop that outlives the error of one call."""
    while True:
        answer = post()
        if answer.status != 429:
            return answer
        if not mended:
            raise RuntimeError(error_text(answer))
        print(error_text(answer), file=sys.stderr)
        wait(answer.retry_after_s)


RULES = {
    "openai-python-937": azure_reset_header,
    "openai-python-2699": error_in_stream,
    "openai-python-3555": capped_retry_after,
    "openai-python-3507": final_error_retried,
    "openai-node-1840": endless_retry_after,
    "openai-node-1477": absent_header_is_zero,
    "openai-dotnet-404": endless_retry_after,
    "openai-dotnet-857": negative_shift,
    "azure-sdk-for-net-44222": deaf,
    "azure-sdk-for-net-50949": endless_retry_after,
    "openai-dotnet-838": reset_headers_believed,
    "langchainjs-1929": lambda mended: final_error_retried(mended, retries=6, base_s=1),
    "librechat-12666": six_retries,
    "litellm-20722": first_retry_after_for_all,
    "litellm-12877": jitter_multiplies,
    "litellm-7669": at_once,
    "litellm-7130": nested_retries,
    "litellm-27823": lambda mended: absent_header_is_zero(mended, retries=9),
    "llama-index-13878": one_retry_too_few,
    "vercel-ai-7247": lambda mended: deaf(mended, waits_s=(2, 4)),
    "vercel-ai-2637": hint_outrun,
    "promptfoo-10855": lambda mended: final_error_retried(mended, retries=10, base_s=1.2),
    "inspect-ai-5340": masked_error,
    "pi-3671": endless_retry_after,
    "chatdev-171": hint_rounded_down,
    "hermes-agent-109234": herd,
    "job-ops-555": lambda mended: deaf(mended, waits_s=(1, 2, 3, 4)),
    "lobehub-2795": only_json,
    "obsidian-yolo-297": error_with_200,
    "maki-777": overload_with_400,
    "codex-797": crash_of_session,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule", choices=RULES)
    parser.add_argument("--mended", action="store_true")
    arguments = parser.parse_args()
    finish(RULES[arguments.rule](arguments.mended))


if __name__ == "__main__":
    main()
