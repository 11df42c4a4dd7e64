#include "grade/evidence.h"
#include "grade/judges.h"
#include "harness/report_words.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a;
    int64_t second = *(const int64_t *)b;
    return (first > second) - (first < second);
}

enum { CALLS_MAX = 16 };

/* The delays after the refusal, one a call. False where calls cannot be told apart, or one did not
 * come back. */
static bool delays_of_calls(const struct probe_run *run, size_t count, size_t refusal,
                            int64_t delays_ns[CALLS_MAX])
{
    if (run->call_count != count || run_is_ambiguous(run))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct call *call = &run->calls[i];
        if (call->attempt_count < refusal + 2)
            return false;
        delays_ns[i] = call->attempts[refusal + 1].delay_ns;
    }
    return true;
}

/* The same where calls are not told apart: from when the first `count` refusals were out to when
 * the requests after them came, both in order. False where there were fewer. */
static bool delays_of_waves(const struct probe_run *run, size_t count, int64_t delays_ns[CALLS_MAX])
{
    int64_t answered[CALLS_MAX];
    size_t refused = 0;
    size_t back = 0;
    for (size_t i = 0; i < run->entry_count && back < count; i++) {
        const struct journal_entry *entry = &run->entries[i];
        if (refused < count && entry->status == 429)
            answered[refused++] = entry->answered_ns;
        else if (refused == count)
            delays_ns[back++] = entry->arrived_ns;
        if (refused == count && back == 0)
            qsort(answered, refused, sizeof *answered, compare);
    }
    for (size_t i = 0; i < back; i++)
        delays_ns[i] -= answered[i];
    return refused == count && back == count;
}

void judge_herd(const struct probe *probe, const struct probe_evidence *evidence,
                struct judgement *judgement)
{
    /* Five delays that are drawn from a range of a quarter, as the official SDKs do, lie within a
     * 200th of one another with a chance of one in a million. To what Retry-After asks a client
     * adds less of its own. Those without jitter come at one moment, but for the machine's noise.
     */
    int64_t share = probe->asked_ns > 0 ? 1000 : evidence->is_virtual ? 200 : 50;
    const struct probe_run *run = &evidence->runs[0];
    size_t count = probe->programs;
    int64_t delays_ns[CALLS_MAX];
    if (run->flooded) {
        judge_first(run, judgement);
        return;
    }
    if (!delays_of_calls(run, count, evidence->refusal, delays_ns) &&
        (evidence->refusal > 0 || !delays_of_waves(run, count, delays_ns))) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "not all of the %zu came back", count);
        return;
    }
    int64_t low_ns = INT64_MAX;
    int64_t high_ns = 0;
    for (size_t i = 0; i < count; i++) {
        low_ns = delays_ns[i] < low_ns ? delays_ns[i] : low_ns;
        high_ns = delays_ns[i] > high_ns ? delays_ns[i] : high_ns;
    }
    char low[REPORT_WORDS_SIZE];
    char high[REPORT_WORDS_SIZE];
    report_short_duration(low_ns, low);
    report_short_duration(high_ns, high);
    if (high_ns - low_ns <= high_ns / share + evidence_instant_ns(evidence))
        judgement_set(judgement, probe->is_lenient ? PROBE_NON_STRICT : PROBE_WRONG,
                      "all %zu came back together, %s after they were refused", count, low);
    else
        judgement_set(judgement, PROBE_RIGHT, "%zu came back spread out, %s to %s later", count,
                      low, high);
}
