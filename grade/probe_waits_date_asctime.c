#include "grade/judges.h"

extern const struct probe probe_waits_date_asctime;
const struct probe probe_waits_date_asctime = {
    .id = "waits/date-asctime",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "It reads the date in the obsolete format of asctime.",
    .source = "RFC 9110, 5.6.7: a recipient must accept all three formats",
    .sent = "429 with Retry-After: Sun Nov  6 08:49:37 1994, but 20 s from now, then 200",
    .cure = "Read a Retry-After that is no number as an HTTP date, and wait until then.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"20s\", \"retry_after_form\": \"date_asctime\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(20000000000),
    .slack_ns = INT64_C(1000000000),
    .is_lenient = true,
    .judge = judge_waits,
};
