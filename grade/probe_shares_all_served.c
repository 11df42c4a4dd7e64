#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char end[EVIDENCE_WORDS_SIZE];
    size_t refused = 0;
    size_t good = 0;
    (void)probe;
    for (size_t i = 0; i < run->entry_count; i++) {
        refused += run->entries[i].status == 429;
        good += entry_is_good(&run->entries[i]);
    }
    size_t calls = evidence->programs > 1 ? evidence->programs * evidence->healthy->entry_count
                                          : evidence->healthy->entry_count;
    run_end_words(run, end);
    if (run->flooded || run->end->timed_out)
        judgement_set(judgement, PROBE_WRONG,
                      "they did not come to an end: %zu requests, %zu served", run->entry_count,
                      good);
    else if (good >= calls && run_reports_success(run) && refused == 0)
        judgement_set(judgement, evidence->programs > 1 ? PROBE_NOT_APPLICABLE : PROBE_RIGHT,
                      "all %zu calls were served, and none was refused", calls);
    else if (good >= calls && run_reports_success(run))
        judgement_set(judgement, PROBE_RIGHT, "all %zu calls were served, after %zu refusals",
                      calls, refused);
    else
        judgement_set(judgement, PROBE_WRONG, "%zu of %zu calls were served, %zu refusals (%s)",
                      good < calls ? good : calls, calls, refused, end);
}

extern const struct probe probe_shares_all_served;
const struct probe probe_shares_all_served = {
    .id = "shares/all-served",
    .group = GROUP_SHARES,
    .severity = SEVERITY_MAJOR,
    .requirement = "Four calls at once under a limit of two in flight are all served.",
    .source = "OpenAI, Rate limits guide",
    .sent = "4 at once, 2 admitted at a time, 20 ms each",
    .cure = "Retry 429, with jitter, or let no more calls go at once than the limit admits.",
    .server = "{\"latency\": \"20ms\", \"rules\": {\"per\": \"organization\"}, \"quotas\": {\"*\": "
              "{\"concurrent_requests\": 2}}}",
    .programs = 4,
    .asks_nothing = true,
    .judge = judge,
};
