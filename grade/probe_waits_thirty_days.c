#include "grade/judges.h"

extern const struct probe probe_waits_thirty_days;
const struct probe probe_waits_thirty_days = {
    .id = "waits/thirty-days",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "Asked to wait thirty days, more than 2^31 ms, its timer does not overflow into "
                   "an early retry.",
    .source = "RFC 9110, 10.2.3; Node.js: a timer beyond 2^31-1 ms fires after 1 ms",
    .sent = "429 with Retry-After: 2592000, then 200",
    .cure = "Bound the wait before it reaches a timer of 32 bits.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"720h\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(2592000000000000),
    .is_long = true,
    .judge = judge_waits,
};
