#include "grade/judges.h"

extern const struct probe probe_recovers_string_error;
const struct probe probe_recovers_string_error = {
    .id = "recovers/string-error",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MINOR,
    .requirement = "A 429 whose body has another form than documented is retried.",
    .source = "waylaidwanderer/node-chatgpt-api#506",
    .sent =
        "429 whose body is {\"error\": \"slow down\"}, a string where an object is due, then 200",
    .cure = "Decide by the status, 429, before the body is read; a body of any other form must not "
            "keep a retry away.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"slow_down_2023\"}, \"times\": 1}]}",
    .failures = 1,
    .asks_nothing = true,
    .judge = judge_recovers,
};
