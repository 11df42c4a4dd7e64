#include "grade/evidence.h"
#include "grade/judges.h"
#include "harness/report_words.h"

void judge_survives(const struct probe *probe, const struct probe_evidence *evidence,
                    struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char text[EVIDENCE_WORDS_SIZE];
    char count[64];
    if (judge_first(run, judgement))
        return;
    bool is_served = run_is_served(run);
    size_t retries = run_retries(run);
    if (is_served && run_reports_success(run))
        judgement_set(judgement, PROBE_RIGHT, "it tried again and was served after %s",
                      count_words(retries, "retry", count));
    else if (is_served)
        judgement_set(judgement, PROBE_WRONG, "it was served in the end, and yet failed (%s)",
                      run_end_words(run, text));
    else if (run_reports_success(run))
        judgement_set(judgement, probe->is_lenient ? PROBE_NON_STRICT : PROBE_WRONG,
                      "it took what came for an answer: exit code 0 after %s",
                      count_words(run->entry_count, "request", count));
    else
        judgement_set(judgement, PROBE_RIGHT, "it failed and said so (%s) after %s",
                      run_end_words(run, text), count_words(run->entry_count, "request", count));
}
