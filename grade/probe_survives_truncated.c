#include "grade/judges.h"

extern const struct probe probe_survives_truncated;
const struct probe probe_survives_truncated = {
    .id = "survives/truncated",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "Half an answer is not taken for one.",
    .source = "RFC 9112, 8: a message that is cut off is incomplete",
    .sent = "half of the body, then the end of the connection, then 200",
    .cure = "Check that the body is whole: Content-Length, or the last chunk.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"truncate\"}, \"times\": 1}]}",
    .judge = judge_survives,
};
