#include "grade/evidence.h"

#include <math.h>

/* Of how unlikely a growth must be if the delays did not grow, to be believed. */
static const double LEVEL = 1e-4;

/* The longest first and the longest last delay of the runs: of jittered delays the longest tells
 * the range best. If both were drawn evenly from one range that begins at 0, the longest of n would
 * exceed `ratio` times the other with a chance of less than ratio^-n; of a narrower range with
 * less. */
struct ends {
    size_t runs; /* with two delays or more */
    int64_t first_ns;
    int64_t last_ns;
    int64_t shortest_ns;
    int64_t longest_ns;
};

static struct ends ends_of(const struct probe_evidence *evidence)
{
    struct ends ends = {.shortest_ns = INT64_MAX};
    for (size_t i = 0; i < evidence->run_count; i++) {
        const struct call *call = run_main_call(&evidence->runs[i]);
        if (call == NULL || call->attempt_count < 3)
            continue;
        int64_t first_ns = call->attempts[1].delay_ns;
        int64_t last_ns = call->attempts[call->attempt_count - 1].delay_ns;
        ends.runs++;
        ends.first_ns = first_ns > ends.first_ns ? first_ns : ends.first_ns;
        ends.last_ns = last_ns > ends.last_ns ? last_ns : ends.last_ns;
        for (size_t j = 1; j < call->attempt_count; j++) {
            int64_t delay_ns = call->attempts[j].delay_ns;
            ends.shortest_ns = delay_ns < ends.shortest_ns ? delay_ns : ends.shortest_ns;
            ends.longest_ns = delay_ns > ends.longest_ns ? delay_ns : ends.longest_ns;
        }
    }
    return ends;
}

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    enum { RUNS_FOR_NO = 15 };
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    const struct call *call = run_main_call(&evidence->runs[0]);
    struct ends ends = ends_of(evidence);
    if (ends.runs == 0) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it made fewer than two retries");
        return;
    }
    call_delays_words(call, text);
    int64_t noise_ns = evidence->is_virtual ? evidence_early_ns(evidence) : ends.longest_ns / 10;
    double ratio = (double)ends.last_ns / (double)(ends.first_ns > 0 ? ends.first_ns : 1);
    if (ends.longest_ns - ends.shortest_ns <= noise_ns + ends.longest_ns / 50)
        judgement_set(judgement, PROBE_WRONG, "the delays are all alike: %s", text);
    else if (ratio > 1.2 && pow(ratio, -(double)ends.runs) < LEVEL)
        judgement_set(judgement, PROBE_RIGHT, "the delays grow: %s", text);
    else if (ratio > 1.2 && (double)ends.last_ns - (double)ends.first_ns > 0 &&
             ends.shortest_ns > (ends.first_ns / 10) * 7 && ends.last_ns > ends.first_ns * 14 / 10)
        judgement_set(judgement, PROBE_RIGHT, "the delays grow: %s", text);
    else if (evidence->may_run_more) {
        judgement_set(judgement, PROBE_QUESTIONABLE, "%s", text);
        judgement->wants_more_runs = true;
    } else if (ratio < 1.2 && ends.runs >= RUNS_FOR_NO)
        judgement_set(judgement, PROBE_WRONG,
                      "in %zu runs the last delay was no longer than the first: %s", ends.runs,
                      text);
    else
        judgement_set(judgement, PROBE_QUESTIONABLE,
                      "%zu runs do not show whether the delays grow: %s", ends.runs, text);
}

extern const struct probe probe_backs_off_grows;
const struct probe probe_backs_off_grows = {
    .id = "backs-off/grows",
    .group = GROUP_BACKS_OFF,
    .severity = SEVERITY_MINOR,
    .requirement = "Without Retry-After the delays grow.",
    .source = "OpenAI, Rate limits guide (exponential backoff)",
    .sent = "429 without Retry-After, again and again, in several runs",
    .cure = "Double the delay after each attempt, up to a cap.",
    .server = "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}, \"times\": "
              "\"forever\"}]}",
    .compares_runs = true,
    .judge = judge,
};
