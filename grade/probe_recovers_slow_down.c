#include "grade/judges.h"

extern const struct probe probe_recovers_slow_down;
const struct probe probe_recovers_slow_down = {
    .id = "recovers/slow-down",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MINOR,
    .requirement = "A 429 that says slow_down is retried.",
    .source = "OpenAI, Error codes guide",
    .sent = "429 with code slow_down and Retry-After: 2, then 200",
    .cure = "Decide by the status, 429, before the body is read; a body of any other form must not "
            "keep a retry away.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"slow_down\", \"retry_after\": \"2s\"}, "
              "\"times\": 1}]}",
    .failures = 1,
    .judge = judge_recovers,
};
