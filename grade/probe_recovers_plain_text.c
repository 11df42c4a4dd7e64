#include "grade/judges.h"

extern const struct probe probe_recovers_plain_text;
const struct probe probe_recovers_plain_text = {
    .id = "recovers/plain-text",
    .group = GROUP_RECOVERS,
    .severity = SEVERITY_MINOR,
    .requirement = "A 429 without a JSON body is retried.",
    .source = "lobehub/lobehub#2795",
    .sent = "429 of the edge: text/plain, no JSON, Retry-After: 2, then 200",
    .cure = "Decide by the status, 429, before the body is read; a body of any other form must not "
            "keep a retry away.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"cloudflare_1015\", \"retry_after\": "
              "\"2s\"}, \"times\": 1}]}",
    .failures = 1,
    .judge = judge_recovers,
};
