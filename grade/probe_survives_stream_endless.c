#include "grade/judges.h"

extern const struct probe probe_survives_stream_endless;
const struct probe probe_survives_stream_endless = {
    .id = "survives/stream-endless",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "A stream that stops in the middle does not hang it for ever.",
    .source = "openai-python, openai-node: a time-out of 10 minutes",
    .sent = "a stream that stops in the middle, with the connection open, then 200",
    .cure = "Set a time-out between two events.",
    .server =
        "{\"script\": [{\"answer\": {\"fault\": \"stall\", \"at\": \"in_body\"}, \"times\": 1}]}",
    .needs_stream = true,
    .is_long = true,
    .patience_ns = PROBE_PATIENCE_SILENT_NS,
    .judge = judge_survives,
};
