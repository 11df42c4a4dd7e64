#include "grade/judges.h"

extern const struct probe probe_waits_garbage;
const struct probe probe_waits_garbage = {
    .id = "waits/garbage",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A Retry-After that nobody can read makes it neither hammer nor hang.",
    .source = "RFC 9110, 10.2.3",
    .sent = "429 with Retry-After: soon, again and again",
    .cure = "Take what is no positive number of seconds and no date in the future as if there were "
            "no header.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"bad_retry_after\", \"form\": \"garbage\"}, "
              "\"times\": \"forever\"}]}",
    .hammers_if_repeated = true,
    .judge = judge_odd_header,
};
