#include "grade/judges.h"

extern const struct probe probe_waits_past_date;
const struct probe probe_waits_past_date = {
    .id = "waits/past-date",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A date in the past makes it neither hammer nor hang.",
    .source = "RFC 9110, 10.2.3",
    .sent = "429 with Retry-After: Sat, 01 Jan 2000 00:00:00 GMT, again and again",
    .cure = "Take what is no positive number of seconds and no date in the future as if there were "
            "no header.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"bad_retry_after\", \"form\": "
              "\"past_date\"}, \"times\": \"forever\"}]}",
    .hammers_if_repeated = true,
    .judge = judge_odd_header,
};
