#include "grade/judges.h"

extern const struct probe probe_recovers_two_429s;
const struct probe probe_recovers_two_429s = {
    .id = "recovers/two-429s",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A call that is refused twice with 429 and then served succeeds.",
    .source = "OpenAI, Rate limits guide (retry with exponential backoff)",
    .sent = "two 429s with a wait in their message alone, then 200",
    .cure = "Retry 429 in a loop with growing, jittered waits, or turn the SDK's own retries on.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}, \"times\": 2}]}",
    .failures = 2,
    .judge = judge_recovers,
};
