#include "grade/judges.h"

extern const struct probe probe_survives_stream_error;
const struct probe probe_survives_stream_error = {
    .id = "survives/stream-error",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "An error in the middle of a stream is not taken for the end of an answer.",
    .source = "openai/openai-python#2699",
    .sent = "a stream with an error event in the middle, then 200",
    .cure = "Look at each event for \"error\", and fail by it.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"stream_error\"}, \"times\": 1}]}",
    .needs_stream = true,
    .judge = judge_survives,
};
