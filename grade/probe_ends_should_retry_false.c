#include "grade/judges.h"

extern const struct probe probe_ends_should_retry_false;
const struct probe probe_ends_should_retry_false = {
    .id = "ends/should-retry-false",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement = "x-should-retry: false is obeyed.",
    .source = "openai-python, openai-node, openai-go, openai-java, openai-ruby obey it; others do "
              "not know it",
    .sent = "429 with x-should-retry: false, again and again",
    .cure = "Give up where the server says so.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"headers\": "
              "{\"x-should-retry\": \"false\"}}, \"times\": \"forever\"}]}",
    .is_lenient = true,
    .judge = judge_not_retried,
};
