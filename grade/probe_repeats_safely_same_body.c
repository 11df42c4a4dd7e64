#include "grade/evidence.h"

#include <string.h>

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    /* Calls are put together by equal bodies where nothing else tells, so this looks at the entries
     * themselves: a program that makes one call sends one body. */
    size_t healthy = evidence->healthy->entry_count;
    if (healthy != 1 || run->entry_count < 2) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE,
                      healthy != 1 ? "it makes several calls at each start" : "it did not retry");
        return;
    }
    size_t bodies = 1;
    bool is_other_model = false;
    for (size_t i = 1; i < run->entry_count; i++) {
        bodies += run->entries[i].body_digest != run->entries[i - 1].body_digest;
        is_other_model |= strcmp(run->entries[i].model, run->entries[0].model) != 0;
    }
    if (bodies == 1)
        judgement_set(judgement, PROBE_RIGHT, "%zu requests with one body", run->entry_count);
    else if (is_other_model)
        judgement_set(judgement, PROBE_NON_STRICT, "it goes on with another model, %s",
                      run->entries[run->entry_count - 1].model);
    else
        judgement_set(judgement, PROBE_WRONG, "the body changed %zu times in %zu requests",
                      bodies - 1, run->entry_count);
}

extern const struct probe probe_repeats_safely_same_body;
const struct probe probe_repeats_safely_same_body = {
    .id = "repeats-safely/same-body",
    .group = GROUP_REPEATS_SAFELY,
    .severity = SEVERITY_MAJOR,
    .requirement = "Every attempt of a call has the same body.",
    .source = "RFC 9110, 9.2.2: a retry repeats the request",
    .sent = "429 without Retry-After, again and again",
    .cure = "Build the request once, before the loop.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
