#include "grade/judges.h"

extern const struct probe probe_waits_date_rfc850;
const struct probe probe_waits_date_rfc850 = {
    .id = "waits/date-rfc850",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "It reads the date in the obsolete format of RFC 850.",
    .source = "RFC 9110, 5.6.7: a recipient must accept all three formats",
    .sent = "429 with Retry-After: Sunday, 06-Nov-94 08:49:37 GMT, but 20 s from now, then 200",
    .cure = "Read a Retry-After that is no number as an HTTP date, and wait until then.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"20s\", \"retry_after_form\": \"date_rfc850\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(20000000000),
    .slack_ns = INT64_C(1000000000),
    .is_lenient = true,
    .judge = judge_waits,
};
