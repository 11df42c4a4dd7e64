#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char count[64];
    (void)probe;
    if (judge_first(run, judgement))
        return;
    judgement_set(judgement, PROBE_RIGHT, "it ended after %s",
                  count_words(run->entry_count, "request", count));
}

extern const struct probe probe_ends_bounded;
const struct probe probe_ends_bounded = {
    .id = "ends/bounded",
    .group = GROUP_ENDS,
    .severity = SEVERITY_CRITICAL,
    .requirement = "The attempts of a call are bounded.",
    .source = "OpenAI, Rate limits guide: unsuccessful requests count against the limit",
    .sent = "429 without Retry-After, again and again",
    .cure = "Stop after a number of attempts or a total time.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
