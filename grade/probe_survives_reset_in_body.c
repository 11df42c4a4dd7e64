#include "grade/judges.h"

extern const struct probe probe_survives_reset_in_body;
const struct probe probe_survives_reset_in_body = {
    .id = "survives/reset-in-body",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "A connection that is reset in the answer is retried, or the call fails.",
    .source = "openai-python, openai-node, openai-go: connection errors are retried or raised",
    .sent = "a reset in the body, then 200",
    .cure = "Treat an answer that breaks off as a failed attempt.",
    .server =
        "{\"script\": [{\"answer\": {\"fault\": \"reset\", \"at\": \"in_body\"}, \"times\": 1}]}",
    .judge = judge_survives,
};
