#include "grade/judges.h"

extern const struct probe probe_shares_herd;
const struct probe probe_shares_herd = {
    .id = "shares/herd",
    .group = GROUP_SHARES,
    .severity = SEVERITY_MAJOR,
    .requirement = "Calls that are refused at the same moment do not come back at the same moment.",
    .source = "OpenAI Cookbook, How to handle rate limits (random exponential backoff); "
              "DaKheera47/job-ops#555",
    .sent = "5 at once, all refused without Retry-After, then 200",
    .cure = "Draw the delay at random (jitter).",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": 5}]}",
    .programs = 5,
    .asks_nothing = true,
    .judge = judge_herd,
};
