#include "base/duration.h"
#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    if (run->flooded || run->end->timed_out || run->end->signal != 0 || run->entry_count == 0) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it never gave up by itself");
        return;
    }

    char text[DURATION_TEXT_SIZE];
    int64_t took_ns = run->end->ended_ns - run->entries[0].arrived_ns;
    judgement_set(judgement, PROBE_INFORMATIONAL, "%s from the first request to the error",
                  duration_text(took_ns, text));
}

extern const struct probe probe_ends_time;
const struct probe probe_ends_time = {
    .id = "ends/time",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement = "How long the caller waits until it is told (a fact, not judged).",
    .source = "danny-avila/LibreChat#12666",
    .sent = "429 without Retry-After, again and again",
    .cure = "Bound the total time of a call by what its caller will wait.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
