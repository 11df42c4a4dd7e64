#include "grade/judges.h"

extern const struct probe probe_waits_ninety_seconds;
const struct probe probe_waits_ninety_seconds = {
    .id = "waits/ninety-seconds",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "Asked to wait 90 s, more than the cap of many clients, it waits, or gives up; "
                   "it does not come early.",
    .source = "RFC 9110, 10.2.3; openai/openai-python#3555",
    .sent = "429 with Retry-After: 90, then 200",
    .cure = "A cap on Retry-After must make the call fail at once, not retry sooner than asked.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"90s\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(90000000000),
    .is_long = true,
    .judge = judge_waits,
};
