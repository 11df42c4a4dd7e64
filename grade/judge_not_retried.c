#include "grade/evidence.h"
#include "grade/judges.h"

void judge_not_retried(const struct probe *probe, const struct probe_evidence *evidence,
                       struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char end[EVIDENCE_WORDS_SIZE];
    char delays[EVIDENCE_WORDS_SIZE];
    if (judge_first(run, judgement))
        return;
    const struct call *call = run_main_call(run);
    run_end_words(run, end);
    if (run_reports_success(run))
        judgement_set(judgement, PROBE_WRONG, "it was refused, and yet ended with exit code 0");
    else if (call->attempt_count > evidence->refusal + 1)
        judgement_set(judgement, probe->is_lenient ? PROBE_NON_STRICT : PROBE_WRONG,
                      "it sent %zu requests, with delays of %s, and then gave up (%s)",
                      call->attempt_count, call_delays_words(call, delays), end);
    else
        judgement_set(judgement, PROBE_RIGHT, "%s, and then it failed (%s)",
                      evidence->refusal == 0 ? "one request" : "no retry after it", end);
}
