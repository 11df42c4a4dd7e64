#include "grade/judges.h"

extern const struct probe probe_recovers_500;
const struct probe probe_recovers_500 = {
    .id = "recovers/500",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A call that fails once with 500 and is then served succeeds.",
    .source = "OpenAI, Error codes guide (500: retry your request after a brief wait)",
    .sent = "one 500, then 200",
    .cure = "Retry 500 as 429 is retried.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": 1}]}",
    .failures = 1,
    .asks_nothing = true,
    .judge = judge_recovers,
};
