#include "grade/judges.h"

extern const struct probe probe_recovers_concurrency;
const struct probe probe_recovers_concurrency = {
    .id = "recovers/concurrency",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A 429 of the limit of concurrent requests is retried.",
    .source = "OpenAI, Rate limits guide",
    .sent = "429 of the limit of requests in flight, then 200",
    .cure = "Decide by the status, 429, before the body is read; a body of any other form must not "
            "keep a retry away.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"concurrency_exceeded\"}, \"times\": 1}]}",
    .failures = 1,
    .asks_nothing = true,
    .judge = judge_recovers,
};
