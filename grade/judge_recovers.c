#include "grade/evidence.h"
#include "grade/judges.h"

void judge_recovers(const struct probe *probe, const struct probe_evidence *evidence,
                    struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char end[EVIDENCE_WORDS_SIZE];
    char delays[EVIDENCE_WORDS_SIZE];
    char count[64];
    if (judge_first(run, judgement))
        return;
    const struct call *call = run_main_call(run);
    size_t retries = run_retries(run);
    count_words(retries, "retry", count);
    run_end_words(run, end);
    call_delays_words(call, delays);
    bool is_served = run_is_served(run);
    if (is_served && run_reports_success(run))
        judgement_set(judgement, PROBE_RIGHT, "served after %s (%s)", count, delays);
    else if (is_served)
        judgement_set(judgement, PROBE_WRONG, "it was served after %s, and yet failed: %s", count,
                      end);
    else if (run_reports_success(run))
        judgement_set(judgement, PROBE_WRONG,
                      "it was never served, and yet ended with exit code 0 after %s", count);
    else
        judgement_set(judgement, probe->is_lenient ? PROBE_NON_STRICT : PROBE_WRONG,
                      "it gave up after %s (%s), though the next request would have been served",
                      retries == 0 ? "one request, without a retry" : count, end);
}
