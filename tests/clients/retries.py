"""A program as people write it with the standard library: five attempts, Retry-After, jitter."""

import json
import os
import random
import sys
import time
import urllib.error
import urllib.request

request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps({"model": "gpt-4o-mini",
                "messages": [{"role": "user", "content": "Say hello."}]}).encode(),
    {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"})

for attempt in range(5):
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(json.load(answer)["choices"][0]["message"]["content"])
        sys.exit(0)
    except urllib.error.HTTPError as error:
        print(error, error.read().decode(errors="replace"), file=sys.stderr)
        if error.code != 429 and error.code < 500 or attempt == 4:
            sys.exit(1)
        asked = error.headers.get("retry-after", "")
        wait = float(asked) if asked.isdigit() else 0
    except OSError as error:
        print(error, file=sys.stderr)
        wait = 0
    time.sleep(max(wait, random.uniform(0.5, 1) * 2 ** attempt))
sys.exit(1)
