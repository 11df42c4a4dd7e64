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

    const struct call *call = run_main_call(run);
    int64_t tail_ns = run_tail_ns(run);
    int64_t healthy_ns = run_tail_ns(evidence->healthy);
    if (call == NULL || call->attempt_count < 2 || tail_ns < 0 || healthy_ns < 0) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry");
        return;
    }
    char text[DURATION_TEXT_SIZE];
    int64_t last_delay_ns = call->attempts[call->attempt_count - 1].delay_ns;
    /* What it does at its end when all is well is not a wait; nor is what takes the machine's time.
     */
    int64_t extra_ns = tail_ns - healthy_ns;
    int64_t allowed_ns = last_delay_ns / 4 + (evidence->is_virtual ? 10 * NS_PER_MS : NS_PER_S);
    duration_text(tail_ns, text);
    if (extra_ns > allowed_ns)
        judgement_set(judgement, PROBE_WRONG, "it ended %s after its last answer", text);
    else
        judgement_set(judgement, PROBE_RIGHT, "it ended %s after its last answer", text);
}

extern const struct probe probe_ends_no_last_wait;
const struct probe probe_ends_no_last_wait = {
    .id = "ends/no-last-wait",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement = "After the last attempt it ends at once, without a further wait.",
    .source = "a wait after which nothing is tried is of no use",
    .sent = "429 without Retry-After, again and again",
    .cure = "Check whether attempts are left before the wait, not after it.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
