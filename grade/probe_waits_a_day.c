#include "grade/judges.h"

extern const struct probe probe_waits_a_day;
const struct probe probe_waits_a_day = {
    .id = "waits/a-day",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement =
        "Asked to wait a day, it gives up; it does not come early, and does not sleep for a day.",
    .source = "RFC 9110, 10.2.3; earendil-works/pi#3671, openai/openai-dotnet#404",
    .sent = "429 with Retry-After: 86400, then 200",
    .cure =
        "Give up when asked to wait longer than a caller will, and raise the error with its wait.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"24h\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(86400000000000),
    .is_long = true,
    .judge = judge_waits,
};
