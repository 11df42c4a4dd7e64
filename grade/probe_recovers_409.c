#include "grade/judges.h"

extern const struct probe probe_recovers_409;
const struct probe probe_recovers_409 = {
    .id = "recovers/409",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MINOR,
    .requirement = "A call that fails once with 409 and is then served succeeds.",
    .source = "openai-python, openai-node, openai-go, openai-java: 409 is retried; others do not",
    .sent = "one 409, then 200",
    .cure = "Retry 409 as 429 is retried.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"server_error\", \"status\": 409}, "
              "\"times\": 1}]}",
    .failures = 1,
    .is_lenient = true,
    .asks_nothing = true,
    .judge = judge_recovers,
};
