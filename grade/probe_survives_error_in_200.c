#include "grade/judges.h"

extern const struct probe probe_survives_error_in_200;
const struct probe probe_survives_error_in_200 = {
    .id = "survives/error-in-200",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MINOR,
    .requirement = "An error in a body with status 200 is not taken for an answer.",
    .source = "Lapis0x0/obsidian-yolo#297",
    .sent = "200 with the body of a 429, then 200",
    .cure = "Look for \"error\" in the body, and for what the answer must have.",
    .server = "{\"script\": [{\"answer\": {\"status\": 200, \"code\": \"rate_limit_exceeded\", "
              "\"body\": \"{\\\"error\\\":{\\\"message\\\":\\\"Rate limit "
              "reached\\\",\\\"type\\\":\\\"requests\\\",\\\"param\\\":null,\\\"code\\\":\\\"rate_"
              "limit_exceeded\\\"}}\"}, \"times\": 1}]}",
    .judge = judge_survives,
};
