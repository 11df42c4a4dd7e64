#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    size_t with = 0;
    for (size_t i = 0; i < run->entry_count; i++)
        with += run->entries[i].retry_count >= 0;
    judgement_set(judgement, PROBE_INFORMATIONAL,
                  with == 0 ? "it does not number its attempts" : "it numbers its attempts");
}

extern const struct probe probe_repeats_safely_retry_count;
const struct probe probe_repeats_safely_retry_count = {
    .id = "repeats-safely/retry-count",
    .group = GROUP_REPEATS_SAFELY,
    .severity = SEVERITY_MINOR,
    .requirement = "Whether attempts are numbered in x-stainless-retry-count (a fact, not judged).",
    .source = "openai-python, openai-node, openai-go, openai-java send it",
    .sent = "429 without Retry-After, again and again",
    .cure = "Nothing: it helps those who read logs.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
