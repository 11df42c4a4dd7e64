#include "grade/evidence.h"
#include "grade/judges.h"

/* One retry at once, and another: a loop without a wait. A single one may be a first retry that is
 * meant to be immediate. */
static bool hammers(const struct call *call, int64_t instant_ns)
{
    size_t instant = 0;
    for (size_t i = 1; i < call->attempt_count; i++)
        instant += call->attempts[i].delay_ns < instant_ns;
    return instant >= 2 && instant + 1 >= call->attempt_count - 1;
}

void judge_odd_header(const struct probe *probe, const struct probe_evidence *evidence,
                      struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    if (judge_first(run, judgement))
        return;
    const struct call *call = run_main_call(run);
    if (run_reports_success(run))
        judgement_set(judgement, PROBE_WRONG,
                      "it was never served, and yet ended with exit code 0");
    else if (call->attempt_count < 2)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry (%s)",
                      run_end_words(run, text));
    else if (hammers(call, evidence_instant_ns(evidence)))
        judgement_set(judgement, PROBE_WRONG, "it hammers: %zu requests with delays of %s",
                      call->attempt_count, call_delays_words(call, text));
    else
        judgement_set(judgement, PROBE_RIGHT, "it kept to waits of its own: %s",
                      call_delays_words(call, text));
}
