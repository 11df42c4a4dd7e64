#include "grade/judges.h"

extern const struct probe probe_survives_stream_cut;
const struct probe probe_survives_stream_cut = {
    .id = "survives/stream-cut",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MINOR,
    .requirement = "A stream that ends without its last event is not taken for a whole answer.",
    .source = "official SDKs do not look for [DONE]",
    .sent = "a stream without [DONE], then 200",
    .cure = "Ask for [DONE], response.completed or a finish_reason.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"stream_cut\"}, \"times\": 1}]}",
    .needs_stream = true,
    .is_lenient = true,
    .judge = judge_survives,
};
