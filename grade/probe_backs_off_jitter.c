#include "grade/evidence.h"

/* Delay `index` (from 1) of a run; -1 where it has none. */
static int64_t delay_of(const struct probe_run *run, size_t index)
{
    const struct call *call = run_main_call(run);
    return call != NULL && index < call->attempt_count ? call->attempts[index].delay_ns : -1;
}

/* How far the delays of this place are apart between the runs, as a share of the longest. */
static double spread_of(const struct probe_evidence *evidence, size_t index)
{
    int64_t low_ns = -1;
    int64_t high_ns = -1;
    for (size_t i = 0; i < evidence->run_count; i++) {
        int64_t delay_ns = delay_of(&evidence->runs[i], index);
        if (delay_ns < 0)
            continue;
        low_ns = low_ns < 0 || delay_ns < low_ns ? delay_ns : low_ns;
        high_ns = delay_ns > high_ns ? delay_ns : high_ns;
    }
    return high_ns > 0 ? (double)(high_ns - low_ns) / (double)high_ns : 0;
}

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    /* A quarter of jitter, as the official SDKs have it, spreads five runs over less than this with
     * a chance of one in 100,000; the machine's noise in real time is below it for waits of a
     * second. */
    double spread_min = evidence->is_virtual ? 0.01 : 0.05;
    enum { RUNS_MIN = 5 };
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    const struct call *call = run_main_call(&evidence->runs[0]);
    if (call == NULL || call->attempt_count < 2) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it did not retry");
        return;
    }
    double spread = 0;
    for (size_t i = 1; i < call->attempt_count; i++) {
        double one = spread_of(evidence, i);
        spread = one > spread ? one : spread;
    }
    call_delays_words(call, text);
    if (spread > spread_min)
        judgement_set(judgement, PROBE_RIGHT, "over %zu runs a delay differs by up to %.0f %%",
                      evidence->run_count, 100 * spread);
    else if (evidence->run_count < RUNS_MIN && evidence->may_run_more) {
        judgement_set(judgement, PROBE_QUESTIONABLE, "%s", text);
        judgement->wants_more_runs = true;
    } else if (evidence->run_count < RUNS_MIN)
        judgement_set(judgement, PROBE_QUESTIONABLE, "%zu runs are too few to tell: %s",
                      evidence->run_count, text);
    else
        judgement_set(judgement, PROBE_WRONG, "the same delays in each of %zu runs: %s",
                      evidence->run_count, text);
}

extern const struct probe probe_backs_off_jitter;
const struct probe probe_backs_off_jitter = {
    .id = "backs-off/jitter",
    .group = GROUP_BACKS_OFF,
    .severity = SEVERITY_MINOR,
    .requirement = "Delays have a random part that differs from run to run.",
    .source = "OpenAI Cookbook, How to handle rate limits (random exponential backoff); "
              "NousResearch/hermes-agent#109234",
    .sent = "429 without Retry-After, again and again, in several runs",
    .cure = "Draw each delay at random, as from 0 to the backoff (full jitter), with a generator "
            "that is not seeded alike in each process.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .compares_runs = true,
    .asks_nothing = true,
    .judge = judge,
};
