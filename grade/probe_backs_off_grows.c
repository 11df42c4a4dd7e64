#include "grade/evidence.h"

#include <math.h>

/* How unlikely it must be that the delays do not grow. */
static const double LEVEL = 1e-3;

enum { RUNS_MIN = 5, RUNS_FOR_NO = 20 };

/* The first and the last delays of the runs. */
struct ends {
    size_t runs; /* with two delays or more */
    int64_t first_least_ns, first_most_ns;
    int64_t last_least_ns, last_most_ns;
    int64_t least_ns, most_ns; /* of all delays */
};

static void widen(int64_t ns, int64_t *least_ns, int64_t *most_ns)
{
    *least_ns = ns < *least_ns ? ns : *least_ns;
    *most_ns = ns > *most_ns ? ns : *most_ns;
}

static struct ends ends_of(const struct probe_evidence *evidence)
{
    struct ends ends = {
        .first_least_ns = INT64_MAX, .last_least_ns = INT64_MAX, .least_ns = INT64_MAX};
    for (size_t i = 0; i < evidence->run_count; i++) {
        const struct call *call = run_main_call(&evidence->runs[i]);
        if (call == NULL || call->attempt_count < 3)
            continue;
        ends.runs++;
        widen(call->attempts[1].delay_ns, &ends.first_least_ns, &ends.first_most_ns);
        widen(call->attempts[call->attempt_count - 1].delay_ns, &ends.last_least_ns,
              &ends.last_most_ns);
        for (size_t j = 1; j < call->attempt_count; j++)
            widen(call->attempts[j].delay_ns, &ends.least_ns, &ends.most_ns);
    }
    return ends;
}

/* With which chance delays that do not grow, but are all drawn evenly from one range, look like
 * this. Two tests of that, each with half of the level: that all first ones are shorter than all
 * last ones, with such a gap; and that the first ones stay so far below the longest while the last
 * ones stay so far above the shortest. The range is that from the shortest to the longest that was
 * seen; these two are then no longer drawn, so that one of the first and one of the last ones do
 * not count. */
static double chance_of(const struct ends *ends)
{
    double range = (double)(ends->most_ns - ends->least_ns);
    double runs = (double)ends->runs;
    double gap = (double)(ends->last_least_ns - ends->first_most_ns) / range;
    /* Of the orders of 2n delays, (2n)! / n! / n! when it does not matter which of the n first and
     * n last ones is which, one has the first ones first. */
    double order = exp(2 * lgamma(runs + 1) - lgamma(2 * runs + 1));
    double apart = gap > 0 ? order * pow(1 - gap, 2 * runs - 2) : 1;
    double below = pow((double)(ends->first_most_ns - ends->least_ns) / range, runs - 1);
    double above = pow((double)(ends->most_ns - ends->last_least_ns) / range, runs - 1);
    /* Of two even numbers the product is below p with the chance p (1 - ln p). */
    double product = below * above;
    double both = product > 0 ? product * (1 - log(product)) : 0;
    return 2 * fmin(apart, both);
}

/* Whether first and last delays are the same in each run, and the last longer. */
static bool grows_evenly(const struct ends *ends, int64_t noise_ns)
{
    return ends->runs >= 2 && ends->first_most_ns - ends->first_least_ns <= noise_ns &&
           ends->last_most_ns - ends->last_least_ns <= noise_ns &&
           ends->last_least_ns > ends->first_most_ns + ends->first_most_ns / 10 + noise_ns;
}

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    char text[EVIDENCE_WORDS_SIZE];
    (void)probe;
    const struct call *call = run_main_call(&evidence->runs[0]);
    struct ends ends = ends_of(evidence);
    if (ends.runs == 0) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it made fewer than two retries");
        return;
    }
    call_delays_words(call, text);
    int64_t noise_ns = evidence->is_virtual ? evidence_early_ns(evidence) : ends.most_ns / 20;
    if (ends.most_ns - ends.least_ns <= noise_ns)
        judgement_set(judgement, PROBE_WRONG, "the delays are all alike: %s", text);
    else if (grows_evenly(&ends, noise_ns) ||
             (ends.runs >= RUNS_MIN && ends.last_most_ns > ends.first_most_ns &&
              chance_of(&ends) < LEVEL))
        judgement_set(judgement, PROBE_RIGHT, "the delays grow: %s", text);
    else if (ends.last_most_ns < ends.first_most_ns + ends.first_most_ns / 5 &&
             ends.runs >= RUNS_FOR_NO)
        judgement_set(judgement, PROBE_WRONG,
                      "in %zu runs the last delay was no longer than the first: %s", ends.runs,
                      text);
    else if (evidence->may_run_more) {
        judgement_set(judgement, PROBE_QUESTIONABLE, "%s", text);
        judgement->wants_more_runs = true;
    } else
        judgement_set(judgement, PROBE_QUESTIONABLE,
                      "it is not clear from %zu of its runs whether the delays grow: %s", ends.runs,
                      text);
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
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .compares_runs = true,
    .asks_nothing = true,
    .judge = judge,
};
