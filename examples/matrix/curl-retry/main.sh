#!/bin/sh
# One call with curl and its own retries, as many tries as the official SDKs make.
set -eu
exec curl --silent --show-error --fail-with-body --retry 2 \
  --header "Authorization: Bearer $OPENAI_API_KEY" --header 'Content-Type: application/json' \
  --data '{"model": "'"$OPENAI_FINE_TUNED_MODEL"'", "messages": [{"role": "user", "content": "Say hello."}]}' \
  "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions"
