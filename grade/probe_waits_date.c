#include "grade/judges.h"

extern const struct probe probe_waits_date;
const struct probe probe_waits_date = {
    .id = "waits/date",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "It waits until the HTTP date that Retry-After names.",
    .source = "RFC 9110, 10.2.3: an HTTP date or seconds",
    .sent = "429 with Retry-After: a date 20 s from now, then 200",
    .cure = "Read a Retry-After that is no number as an HTTP date, and wait until then.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"20s\", \"retry_after_form\": \"date\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(20000000000),
    .slack_ns = INT64_C(1000000000),
    .judge = judge_waits,
};
