#include "grade/evidence.h"

#include <string.h>

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    size_t with = 0;
    bool differs = false;
    for (size_t i = 0; i < run->entry_count; i++) {
        with += run->entries[i].idempotency_key[0] != '\0';
        differs |= strcmp(run->entries[i].idempotency_key, run->entries[0].idempotency_key) != 0;
    }
    if (run->entry_count == 0 || with == 0)
        judgement_set(judgement, PROBE_INFORMATIONAL, "it sends none");
    else if (evidence->healthy->entry_count == 1 && differs)
        judgement_set(judgement, PROBE_WRONG, "the key differs between the attempts of one call");
    else
        judgement_set(judgement, PROBE_INFORMATIONAL, "%zu of %zu requests carry one", with,
                      run->entry_count);
}

extern const struct probe probe_repeats_safely_idempotency_key;
const struct probe probe_repeats_safely_idempotency_key = {
    .id = "repeats-safely/idempotency-key",
    .group = GROUP_REPEATS_SAFELY,
    .severity = SEVERITY_MINOR,
    .requirement = "Whether the attempts of a call carry one Idempotency-Key (a fact, not judged, "
                   "unless they differ).",
    .source = "draft-ietf-httpapi-idempotency-key-header",
    .sent = "429 without Retry-After, again and again",
    .cure = "Draw the key once for each call, before the loop.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
