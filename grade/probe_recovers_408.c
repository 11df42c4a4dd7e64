#include "grade/judges.h"

extern const struct probe probe_recovers_408;
const struct probe probe_recovers_408 = {
    .id = "recovers/408",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MINOR,
    .requirement = "A call that fails once with 408 and is then served succeeds.",
    .source = "openai-python, openai-node, openai-go, openai-java: 408 is retried; others do not",
    .sent = "one 408, then 200",
    .cure = "Retry 408 as 429 is retried.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"server_error\", \"status\": 408}, "
              "\"times\": 1}]}",
    .failures = 1,
    .is_lenient = true,
    .asks_nothing = true,
    .judge = judge_recovers,
};
