#include "grade/judges.h"

extern const struct probe probe_recovers_one_429;
const struct probe probe_recovers_one_429 = {
    .id = "recovers/one-429",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_CRITICAL,
    .requirement = "A call that is refused once with 429 and then served succeeds.",
    .source = "OpenAI, Rate limits guide (retry with exponential backoff)",
    .sent = "one 429 with a wait in its message alone, then 200",
    .cure = "Retry 429 in a loop with growing, jittered waits, or turn the SDK's own retries on.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}, \"times\": 1}]}",
    .failures = 1,
    .judge = judge_recovers,
};
