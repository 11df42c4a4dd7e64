#include "grade/judges.h"

extern const struct probe probe_ends_400;
const struct probe probe_ends_400 = {
    .id = "ends/400",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A bad request (400) is not retried.",
    .source = "OpenAI, Error codes guide",
    .sent = "400, again and again",
    .cure = "Retry only 408, 409, 429 and 5xx.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"invalid_request_error\"}, \"times\": "
              "\"forever\"}]}",
    .judge = judge_not_retried,
};
