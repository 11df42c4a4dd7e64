#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    bool is_refused = false;
    int most = 0;
    (void)probe;
    for (size_t i = 0; i < run->entry_count; i++) {
        const struct journal_entry *entry = &run->entries[i];
        if (is_refused && entry->in_flight > most)
            most = entry->in_flight;
        is_refused |= entry->status == 429;
    }
    if (!is_refused)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "none was refused");
    else
        judgement_set(judgement, PROBE_INFORMATIONAL,
                      "at most %d in flight after the first 429, where 2 are admitted", most);
}

extern const struct probe probe_shares_in_flight;
const struct probe probe_shares_in_flight = {
    .id = "shares/in-flight",
    .group = GROUP_SHARES,
    .severity = SEVERITY_MINOR,
    .requirement = "How many requests are in flight after the first 429 (a fact, not judged).",
    .source = "OpenAI, Rate limits guide",
    .sent = "4 at once, 2 admitted at a time, 20 ms each",
    .cure = "Lower the number of workers when a 429 comes.",
    .server = "{\"latency\": \"20ms\", \"rules\": {\"per\": \"organization\"}, \"quotas\": {\"*\": "
              "{\"concurrent_requests\": 2}}}",
    .programs = 4,
    .asks_nothing = true,
    .judge = judge,
};
