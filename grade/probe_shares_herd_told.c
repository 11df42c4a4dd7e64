#include "grade/judges.h"

extern const struct probe probe_shares_herd_told;
const struct probe probe_shares_herd_told = {
    .id = "shares/herd-told",
    .group = GROUP_SHARES,
    .severity = SEVERITY_MINOR,
    .requirement =
        "Calls that are sent away together with one Retry-After do not come back together.",
    .source = "NousResearch/hermes-agent#109234",
    .sent = "5 at once, all refused with Retry-After: 20, then 200",
    .cure = "Add a random part to what Retry-After asks; never take one away.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"20s\"}, \"times\": 5}]}",
    .programs = 5,
    .asked_ns = INT64_C(20000000000),
    .is_lenient = true,
    .judge = judge_herd,
};
