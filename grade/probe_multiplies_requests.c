#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char count[64];
    (void)probe;
    const struct call *call = run_main_call(run);
    judgement_set(judgement, PROBE_INFORMATIONAL, "%s%s for one call", run->flooded ? "over " : "",
                  count_words(call != NULL ? call->attempt_count : 0, "request", count));
}

extern const struct probe probe_multiplies_requests;
const struct probe probe_multiplies_requests = {
    .id = "multiplies/requests",
    .group = GROUP_MULTIPLIES,
    .severity = SEVERITY_MINOR,
    .requirement = "How many requests one call makes on the wire (a fact, not judged).",
    .source = "OpenAI, Rate limits guide: unsuccessful requests count against the limit",
    .sent = "429 without Retry-After, again and again",
    .cure = "Fewer attempts, with longer waits.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
