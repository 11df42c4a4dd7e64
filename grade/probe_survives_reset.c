#include "grade/judges.h"

extern const struct probe probe_survives_reset;
const struct probe probe_survives_reset = {
    .id = "survives/reset",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "A connection that is reset is retried, or the call fails.",
    .source = "openai-python, openai-node, openai-go: connection errors are retried or raised",
    .sent = "a reset before the answer, then 200",
    .cure = "Treat a lost connection as a failed attempt.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"reset\"}, \"times\": 1}]}",
    .judge = judge_survives,
};
