#include "grade/judges.h"

extern const struct probe probe_ends_401;
const struct probe probe_ends_401 = {
    .id = "ends/401",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A wrong key (401) is not retried.",
    .source = "OpenAI, Error codes guide",
    .sent = "401, again and again",
    .cure = "Retry only 408, 409, 429 and 5xx.",
    .server =
        "{\"script\": [{\"answer\": {\"error\": \"invalid_api_key\"}, \"times\": \"forever\"}]}",
    .judge = judge_not_retried,
};
