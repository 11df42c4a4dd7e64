#include "grade/judges.h"

extern const struct probe probe_waits_negative;
const struct probe probe_waits_negative = {
    .id = "waits/negative",
    .group = GROUP_WAITS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A negative Retry-After makes it neither hammer nor hang.",
    .source = "RFC 9110, 10.2.3 has no negative numbers; openai/openai-dotnet#857",
    .sent = "429 with Retry-After: -5, again and again",
    .cure = "Take what is no positive number of seconds and no date in the future as if there were "
            "no header.",
    .server = "{\"script\": [{\"answer\": {\"fault\": \"bad_retry_after\", \"form\": "
              "\"negative\"}, \"times\": \"forever\"}]}",
    .hammers_if_repeated = true,
    .judge = judge_odd_header,
};
