#include "grade/judges.h"

extern const struct probe probe_ends_insufficient_quota;
const struct probe probe_ends_insufficient_quota = {
    .id = "ends/insufficient-quota",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement = "A quota that is used up is not retried: no wait mends it.",
    .source = "OpenAI, Error codes guide; openai/openai-python#3507, langchain-ai/langchainjs#1929",
    .sent = "429 with code insufficient_quota, again and again",
    .cure = "Look at error.code and error.type before a retry: insufficient_quota and the "
            "spend-limit codes end the call.",
    .server =
        "{\"script\": [{\"answer\": {\"error\": \"insufficient_quota\"}, \"times\": \"forever\"}]}",
    .asks_nothing = true,
    .judge = judge_not_retried,
};
