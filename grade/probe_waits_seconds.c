#include "grade/judges.h"

extern const struct probe probe_waits_seconds;
const struct probe probe_waits_seconds = {
    .id = "waits/seconds",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "It waits at least as long as Retry-After asks in seconds.",
    .source = "RFC 9110, 10.2.3",
    .sent = "429 with Retry-After: 20, then 200",
    .cure = "Read Retry-After and wait that long; wait longer if you like, never shorter.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"20s\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(20000000000),
    .judge = judge_waits,
};
