#include "grade/judges.h"

extern const struct probe probe_ends_403;
const struct probe probe_ends_403 = {
    .id = "ends/403",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MAJOR,
    .requirement = "A forbidden request (403) is not retried.",
    .source = "OpenAI, Error codes guide",
    .sent = "403, again and again",
    .cure = "Retry only 408, 409, 429 and 5xx.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"invalid_request_error\", \"status\": 403, "
              "\"message\": \"Country, region, or territory not supported\", \"type\": "
              "\"request_forbidden\", \"code\": \"unsupported_country_region_territory\"}, "
              "\"times\": \"forever\"}]}",
    .judge = judge_not_retried,
};
