#include "grade/judges.h"

extern const struct probe probe_survives_overload_in_400;
const struct probe probe_survives_overload_in_400 = {
    .id = "survives/overload-in-400",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MINOR,
    .requirement = "An overload that comes as 400 is no good answer.",
    .source = "tontinton/maki#777",
    .sent = "400 with code server_is_overloaded, then 200",
    .cure = "Fail with the whole error; a retry is a courtesy.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"server_is_overloaded\", \"status\": 400}, "
              "\"times\": 1}]}",
    .judge = judge_survives,
};
