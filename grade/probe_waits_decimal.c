#include "grade/judges.h"

extern const struct probe probe_waits_decimal;
const struct probe probe_waits_decimal = {
    .id = "waits/decimal",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "A Retry-After with a fraction does not make it come earlier.",
    .source = "RFC 9110 has whole seconds only; openai-python and openai-node read fractions",
    .sent = "429 with Retry-After: 4.5, then 200",
    .cure = "Read it as a decimal number, and round up.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"headers\": "
              "{\"retry-after\": \"4.5\"}}, \"times\": 1}]}",
    .asked_ns = INT64_C(4500000000),
    .is_lenient = true,
    .judge = judge_waits,
};
