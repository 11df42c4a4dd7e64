#include "grade/judges.h"

extern const struct probe probe_waits_disagreeing;
const struct probe probe_waits_disagreeing = {
    .id = "waits/disagreeing",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement =
        "Where three waits are told it keeps to one of them, and is not earlier than the shortest.",
    .source = "RFC 9110, 10.2.3; openai/openai-python#1102",
    .sent = "429 with retry-after-ms: 3000, Retry-After: 20 and 40 s in the message, then 200",
    .cure = "Read Retry-After and wait that long; wait longer if you like, never shorter.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"message\": \"Rate "
              "limit reached for gpt-4o-mini in organization org-acme on requests per min (RPM): "
              "Limit 3, Used 3, Requested 1. Please try again in 40s. Visit "
              "https://platform.openai.com/account/rate-limits to learn more.\", \"headers\": "
              "{\"retry-after-ms\": \"3000\", \"retry-after\": \"20\"}}, \"times\": 1}]}",
    .asked_ns = INT64_C(3000000000),
    .judge = judge_waits,
};
