#include "grade/evidence.h"

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    const struct call *call = run_main_call(run);
    if (call == NULL) {
        judge_first(run, judgement);
        return;
    }
    if (run_is_ambiguous(run)) {
        judge_first(run, judgement);
        return;
    }
    size_t instant = 0;
    for (size_t i = 1; i < call->attempt_count; i++)
        instant += call->attempts[i].delay_ns < evidence_instant_ns(evidence);
    call_delays_words(call, text);
    if (call->attempt_count < 2)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry");
    else if (instant == call->attempt_count - 1)
        judgement_set(judgement, PROBE_WRONG, "%zu requests without a wait between them",
                      call->attempt_count);
    else if (instant > 0)
        judgement_set(judgement, PROBE_NON_STRICT, "%zu of its %zu retries come at once: %s",
                      instant, call->attempt_count - 1, text);
    else
        judgement_set(judgement, PROBE_RIGHT, "it waited %s", text);
}

extern const struct probe probe_backs_off_waits;
const struct probe probe_backs_off_waits = {
    .id = "backs-off/waits",
    .group = GROUP_BACKS_OFF,
    .severity = SEVERITY_MAJOR,
    .requirement = "Without Retry-After it waits by itself before a retry.",
    .source = "OpenAI, Rate limits guide (exponential backoff)",
    .sent = "429 without Retry-After, again and again",
    .cure = "Wait before each retry: half a second or a second, doubled each time.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
