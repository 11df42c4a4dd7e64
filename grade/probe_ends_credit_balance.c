#include "grade/judges.h"

extern const struct probe probe_ends_credit_balance;
const struct probe probe_ends_credit_balance = {
    .id = "ends/credit-balance",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement = "A credit balance that is used up is not retried.",
    .source = "promptfoo/promptfoo#10855",
    .sent = "429 with code credit_balance_exhausted, again and again",
    .cure = "Go by error.type, insufficient_quota, which all of these codes share.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"credit_balance_exhausted\"}, \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge_not_retried,
};
