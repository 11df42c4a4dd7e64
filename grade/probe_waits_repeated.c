#include "grade/judges.h"

extern const struct probe probe_waits_repeated;
const struct probe probe_waits_repeated = {
    .id = "waits/repeated",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "Two Retry-After headers that disagree make it neither hammer nor hang.",
    .source = "RFC 9110, 5.3: a field that is no list is sent once",
    .sent = "429 with Retry-After: 1 and Retry-After: 20, again and again",
    .cure = "Take what is no positive number of seconds and no date in the future as if there were "
            "no header.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"bad_retry_after\", \"form\": "
              "\"repeated\"}, \"times\": \"forever\"}]}",
    .hammers_if_repeated = true,
    .judge = judge_odd_header,
};
