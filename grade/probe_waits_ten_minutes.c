#include "grade/judges.h"

extern const struct probe probe_waits_ten_minutes;
const struct probe probe_waits_ten_minutes = {
    .id = "waits/ten-minutes",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "Asked to wait ten minutes, it waits, or gives up; it does not come early.",
    .source = "RFC 9110, 10.2.3; openai/openai-node#1840",
    .sent = "429 with Retry-After: 600, then 200",
    .cure = "A cap on Retry-After must make the call fail at once, not retry sooner than asked.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"600s\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(600000000000),
    .is_long = true,
    .judge = judge_waits,
};
