#include "grade/judges.h"

extern const struct probe probe_waits_milliseconds;
const struct probe probe_waits_milliseconds = {
    .id = "waits/milliseconds",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MINOR,
    .requirement = "It waits at least as long as retry-after-ms asks.",
    .source = "openai-python, openai-node, openai-go: retry-after-ms is read first; not in "
              "OpenAI's documentation",
    .sent = "429 with retry-after-ms: 20000 alone, then 200",
    .cure = "Read retry-after-ms before Retry-After.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": "
              "\"20s\", \"retry_after_form\": \"milliseconds\"}, \"times\": 1}]}",
    .asked_ns = INT64_C(20000000000),
    .is_lenient = true,
    .judge = judge_waits,
};
