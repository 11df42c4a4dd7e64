#include "grade/judges.h"

extern const struct probe probe_survives_stall;
const struct probe probe_survives_stall = {
    .id = "survives/stall",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "A server that says nothing more does not hang it for ever: it has a time-out.",
    .source = "openai-python, openai-node: a time-out of 10 minutes",
    .sent = "silence after the request, then 200",
    .cure = "Set a time-out for the whole request.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"stall\"}, \"times\": 1}]}",
    .is_long = true,
    .patience_ns = PROBE_PATIENCE_SILENT_NS,
    .judge = judge_survives,
};
