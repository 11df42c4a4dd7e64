#include "grade/judges.h"

extern const struct probe probe_ends_404;
const struct probe probe_ends_404 = {
    .id = "ends/404",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A model that is not there (404) is not retried.",
    .source = "OpenAI, Error codes guide",
    .sent = "404, again and again",
    .cure = "Retry only 408, 409, 429 and 5xx.",
    .server =
        "{\"script\": [{\"answer\": {\"error\": \"model_not_found\"}, \"times\": \"forever\"}]}",
    .judge = judge_not_retried,
};
