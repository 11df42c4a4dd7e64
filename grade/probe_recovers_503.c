#include "grade/judges.h"

extern const struct probe probe_recovers_503;
const struct probe probe_recovers_503 = {
    .id = "recovers/503",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A call that fails once with 503 and is then served succeeds.",
    .source = "OpenAI, Error codes guide (503: please retry your requests after a brief wait)",
    .sent = "one 503, then 200",
    .cure = "Retry 503 as 429 is retried.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"server_is_overloaded\"}, \"times\": 1}]}",
    .failures = 1,
    .asks_nothing = true,
    .judge = judge_recovers,
};
