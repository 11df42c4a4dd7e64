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

/* When the first `count` refusals were out, and when the requests after them came, both in order.
 * False where there were fewer. */
static bool waves_of(const struct probe_run *run, size_t count, int64_t answered[CALLS_MAX],
                     int64_t returned[CALLS_MAX])
{
    size_t refused = 0;
    size_t back = 0;
    for (size_t i = 0; i < run->entry_count && back < count; i++) {
        const struct journal_entry *entry = &run->entries[i];
        if (refused < count && entry->status == 429)
            answered[refused++] = entry->answered_ns;
        else if (refused == count)
            returned[back++] = entry->arrived_ns;
    }
    qsort(answered, refused, sizeof *answered, compare);
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
    int64_t answered[CALLS_MAX];
    int64_t returned[CALLS_MAX];
    if (run->flooded) {
        judge_first(run, judgement);
        return;
    }
    if (!waves_of(run, count, answered, returned)) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "not all of the %zu came back", count);
        return;
    }
    int64_t low_ns = INT64_MAX;
    int64_t high_ns = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t delay_ns = returned[i] - answered[i];
        low_ns = delay_ns < low_ns ? delay_ns : low_ns;
        high_ns = delay_ns > high_ns ? delay_ns : high_ns;
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
