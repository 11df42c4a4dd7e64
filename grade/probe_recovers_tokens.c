#include "grade/judges.h"

extern const struct probe probe_recovers_tokens;
const struct probe probe_recovers_tokens = {
    .id = "recovers/tokens",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A 429 of the limit of tokens is retried as one of the limit of requests.",
    .source = "OpenAI, Rate limits guide",
    .sent = "429 of the limit of tokens a minute, with Retry-After: 2, then 200",
    .cure = "Decide by the status, 429, before the body is read; a body of any other form must not "
            "keep a retry away.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"tokens_exceeded\", \"retry_after\": "
              "\"2s\"}, \"times\": 1}]}",
    .failures = 1,
    .judge = judge_recovers,
};
