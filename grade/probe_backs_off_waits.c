#include "grade/evidence.h"

/* Retries, and how many of them came at once, of all runs. */
struct retries {
    size_t all, instant;
    size_t runs, instant_runs; /* with a retry; with one that came at once */
};

static struct retries count_retries(const struct probe_evidence *evidence)
{
    struct retries retries = {0};
    for (size_t i = 0; i < evidence->run_count; i++) {
        const struct call *call = run_main_call(&evidence->runs[i]);
        if (call == NULL || call->attempt_count < 2 || run_is_ambiguous(&evidence->runs[i]))
            continue;
        size_t instant = 0;
        for (size_t j = 1; j < call->attempt_count; j++)
            instant += call->attempts[j].delay_ns < evidence_instant_ns(evidence);
        retries.all += call->attempt_count - 1;
        retries.instant += instant;
        retries.runs++;
        retries.instant_runs += instant > 0;
    }
    return retries;
}

/* A delay that is drawn from 0 on (full jitter) comes out as none now and then: who waits is not
 * called wrong for a few. */
static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    enum { FEW = 10 }; /* one in so many */
    const struct probe_run *run = &evidence->runs[0];
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    const struct call *call = run_main_call(run);
    if (call == NULL || run_is_ambiguous(run)) {
        judge_first(run, judgement);
        return;
    }
    struct retries retries = count_retries(evidence);
    call_delays_words(call, text);
    if (call->attempt_count < 2)
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry");
    else if (retries.instant == retries.all)
        judgement_set(judgement, PROBE_WRONG, "%zu requests without a wait between them",
                      call->attempt_count);
    else if (retries.instant * FEW <= retries.all)
        judgement_set(judgement, PROBE_RIGHT, "it waited %s", text);
    else if (retries.instant_runs == retries.runs && (retries.runs > 1 || !evidence->may_run_more))
        judgement_set(judgement, PROBE_NON_STRICT, "%zu of %zu retries come at once: %s",
                      retries.instant, retries.all, text);
    else {
        judgement_set(judgement, PROBE_QUESTIONABLE, "in %zu of %zu runs retries come at once: %s",
                      retries.instant_runs, retries.runs, text);
        judgement->wants_more_runs = evidence->may_run_more;
    }
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
    .compares_runs = true,
    .asks_nothing = true,
    .judge = judge,
};
