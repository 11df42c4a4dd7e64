#include "grade/judges.h"

extern const struct probe probe_survives_broken_json;
const struct probe probe_survives_broken_json = {
    .id = "survives/broken-json",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "A body that is no JSON is not taken for an answer.",
    .source = "openai-python, openai-node, openai-go: connection errors are retried or raised",
    .sent = "200 with half of a JSON text, then 200",
    .cure = "Let a body that does not parse be an error, and fail by it.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"invalid_json\"}, \"times\": 1}]}",
    .judge = judge_survives,
};
