"""One attempt of a call, with the standard library alone."""

import json
import os
import urllib.error
import urllib.request


def attempt(call="only"):
    """None when it succeeded, else the seconds to wait."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": call}]})
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions", data=body.encode(),
        headers={"Authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "sk-test"),
                 "Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request).read()
        return None
    except urllib.error.HTTPError as error:
        error.read()
        return float(error.headers["Retry-After"])
