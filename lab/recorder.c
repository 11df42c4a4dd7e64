#include "lab/recorder.h"

#include "base/duration.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int64_t bin_end(const struct recorder *recorder, size_t bin)
{
    if (bin >= MEASURES_BINS)
        return INT64_MAX;
    double share = (double)(bin + 1) / MEASURES_BINS;
    return bin + 1 == MEASURES_BINS ? recorder->settings.duration_ns
                                    : (int64_t)((double)recorder->settings.duration_ns * share);
}

static int64_t sample_at(const struct recorder *recorder, int64_t sample)
{
    if (sample >= MEASURES_SAMPLES)
        return INT64_MAX;
    double share = ((double)sample + 0.5) / MEASURES_SAMPLES;
    return (int64_t)((double)recorder->settings.duration_ns * share);
}

struct recorder_settings recorder_settings_of(const struct experiment *experiment,
                                              const struct quota_pool *pool)
{
    return (struct recorder_settings){
        .duration_ns = experiment->duration_ns,
        .herd_window_ns = experiment->herd_window_ns,
        .tokens_mean = experiment->request_tokens.mean,
        .experiment = experiment,
        .pool = pool,
    };
}

void recorder_init(struct recorder *recorder, const struct recorder_settings *settings)
{
    assert(settings->duration_ns > 0 && settings->herd_window_ns > 1);
    memset(recorder, 0, sizeof *recorder);
    recorder->settings = *settings;
    recorder->herd_half = -1;
    recorder->herd_at_ns = -1;
    recorder->bin_ends_ns = bin_end(recorder, 0);
    recorder->sample_at_ns = sample_at(recorder, 0);
}

/* How many requests the quota would admit at once. */
static double room(const struct recorder *recorder, int64_t now_ns)
{
    const struct quota_pool *pool = recorder->settings.pool;
    double least = INFINITY;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        enum quota_dimension dimension = (enum quota_dimension)i;
        if (pool->limits->limit[i] == QUOTA_UNLIMITED)
            continue;
        double remaining = (double)quota_remaining(pool, dimension, now_ns);
        if (quota_dimension_counts_tokens(dimension) && recorder->settings.tokens_mean > 0)
            remaining = floor(remaining / recorder->settings.tokens_mean);
        if (remaining < least)
            least = remaining;
    }
    return least;
}

static void take_samples(struct recorder *recorder, int64_t now_ns)
{
    double sample_s = (double)recorder->settings.duration_ns / (double)NS_PER_S / MEASURES_SAMPLES;
    while (now_ns > recorder->sample_at_ns) {
        if (recorder->settings.pool != NULL && recorder->waiting > 0) {
            double waiting = (double)recorder->waiting;
            double most = room(recorder, recorder->sample_at_ns);
            recorder->wasted_s += (waiting < most ? waiting : most) * sample_s;
        }
        recorder->sample_at_ns = sample_at(recorder, ++recorder->samples_taken);
    }
}

/* Before anything changes at now_ns. */
static void move_to(struct recorder *recorder, int64_t now_ns)
{
    if (now_ns > recorder->sample_at_ns)
        take_samples(recorder, now_ns);
    while (now_ns >= recorder->bin_ends_ns)
        recorder->bin_ends_ns = bin_end(recorder, ++recorder->bin);
}

static struct measure_bin *bin_now(struct recorder *recorder)
{
    return recorder->bin < MEASURES_BINS ? &recorder->bins[recorder->bin] : NULL;
}

void recorder_call_begins(struct recorder *recorder, int64_t now_ns)
{
    move_to(recorder, now_ns);
    recorder->calls_begun++;
    struct measure_bin *bin = bin_now(recorder);
    if (bin != NULL)
        bin->begun++;
}

void recorder_wait_begins(struct recorder *recorder, int64_t now_ns)
{
    move_to(recorder, now_ns);
    recorder->waiting++;
}

void recorder_wait_ends(struct recorder *recorder, int64_t since_ns, int64_t now_ns)
{
    move_to(recorder, now_ns);
    assert(recorder->waiting > 0);
    recorder->waiting--;
    recorder->waited_s += (double)(now_ns - since_ns) * 1e-9;
}

/* Windows overlap by half, so that a herd on the border of two is seen. */
static void count_herd(struct recorder *recorder, int64_t now_ns)
{
    int64_t half = now_ns / (recorder->settings.herd_window_ns / 2);
    if (half != recorder->herd_half) {
        recorder->herd_before = half == recorder->herd_half + 1 ? recorder->herd_now : 0;
        recorder->herd_now = 0;
        recorder->herd_half = half;
    }
    recorder->herd_now++;
    if (recorder->herd_before + recorder->herd_now > recorder->herd_most) {
        recorder->herd_most = recorder->herd_before + recorder->herd_now;
        recorder->herd_at_ns = now_ns;
    }
}

void recorder_arrives(struct recorder *recorder, int64_t now_ns, bool is_retry, bool is_throttled)
{
    move_to(recorder, now_ns);
    recorder->attempts++;
    recorder->throttled += is_throttled;
    struct measure_bin *bin = bin_now(recorder);
    if (bin == NULL)
        return;
    bin->attempts++;
    bin->throttled += is_throttled;
    if (is_retry)
        count_herd(recorder, now_ns);
}

void recorder_served(struct recorder *recorder, int64_t now_ns, int64_t tokens)
{
    move_to(recorder, now_ns);
    struct measure_bin *bin = bin_now(recorder);
    if (bin == NULL)
        return;
    bin->served++;
    bin->tokens += (uint64_t)tokens;
}

void recorder_call_ends(struct recorder *recorder, int64_t begun_ns, int64_t now_ns, int attempts,
                        bool is_served)
{
    move_to(recorder, now_ns);
    recorder->attempts_ended += (uint64_t)attempts;
    if (is_served) {
        recorder->calls_served++;
        histogram_add(&recorder->completion_ns, now_ns - begun_ns);
    } else {
        recorder->calls_lost++;
    }
}

/* Jain, Chiu and Hawe (1984): 1 when all have the same, 1/n when one has all. */
static double fairness(const uint32_t *served, size_t count)
{
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double x = served[i];
        sum += x;
        squares += x * x;
    }
    return squares > 0 ? sum * sum / ((double)count * squares) : NAN;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static double quantile_s(const struct recorder *recorder, double share)
{
    int64_t ns = histogram_quantile(&recorder->completion_ns, share);
    return ns < 0 ? NAN : (double)ns / (double)NS_PER_S;
}

/* Where tokens bind, the tokens tell: whoever serves small requests only serves more of them than
 * there can be of mean size.
 *
 * The bound is that of the time that was measured: a run that was stopped early has had the whole
 * burst of a full pool, too, and its rate is higher than any of the whole duration can be. */
static double quota_share(const struct experiment *experiment, int64_t measured_ns,
                          const double *measures)
{
    struct experiment_bound bound = experiment_bound(experiment, measured_ns);
    if (bound.limit == QUOTA_DIMENSION_COUNT)
        return NAN;
    if (quota_dimension_counts_tokens(bound.limit))
        return ratio(measures[MEASURE_GOODPUT_TOKENS], bound.tokens_per_s);
    return ratio(measures[MEASURE_GOODPUT_REQUESTS], bound.requests_per_s);
}

void recorder_finish(struct recorder *recorder, int64_t now_ns, bool is_complete,
                     const uint32_t *served_by_worker, size_t worker_count,
                     struct run_result *result)
{
    move_to(recorder, now_ns);
    int64_t duration_ns = recorder->settings.duration_ns;
    struct measure_bin within = {0};
    for (size_t i = 0; i < MEASURES_BINS; i++) {
        const struct measure_bin *bin = &recorder->bins[i];
        within.begun += bin->begun;
        within.attempts += bin->attempts;
        within.served += bin->served;
        within.throttled += bin->throttled;
        within.tokens += bin->tokens;
    }
    *result = (struct run_result){
        .is_done = true,
        .is_complete = is_complete,
        .measured_ns = now_ns < duration_ns ? now_ns : duration_ns,
        .calls_begun = recorder->calls_begun,
        .calls_served = recorder->calls_served,
        .calls_lost = recorder->calls_lost,
        .calls_open = recorder->calls_begun - recorder->calls_served - recorder->calls_lost,
        .attempts = recorder->attempts,
        .throttled = recorder->throttled,
        .herd_at_ns = recorder->herd_at_ns,
    };
    memcpy(result->bins, recorder->bins, sizeof result->bins);
    /* A run that is over before its duration (a trace of three calls, say) was still that long. */
    if (is_complete)
        result->measured_ns = duration_ns;
    double measured_s = (double)result->measured_ns / (double)NS_PER_S;
    double ended = (double)(recorder->calls_served + recorder->calls_lost);
    double *measures = result->measures;
    measures[MEASURE_OFFERED] = ratio((double)within.begun, measured_s);
    measures[MEASURE_ATTEMPTS] = ratio((double)within.attempts, measured_s);
    measures[MEASURE_GOODPUT_REQUESTS] = ratio((double)within.served, measured_s);
    measures[MEASURE_GOODPUT_TOKENS] = ratio((double)within.tokens, measured_s);
    measures[MEASURE_QUOTA_SHARE] =
        quota_share(recorder->settings.experiment, result->measured_ns, measures);
    measures[MEASURE_THROTTLED_SHARE] = ratio((double)within.throttled, (double)within.attempts);
    measures[MEASURE_ATTEMPTS_PER_SUCCESS] =
        ratio((double)recorder->attempts_ended, (double)recorder->calls_served);
    measures[MEASURE_CALLS_LOST] = ratio((double)recorder->calls_lost, ended);
    measures[MEASURE_CALLS_OPEN] = (double)result->calls_open;
    measures[MEASURE_COMPLETION_P50] = quantile_s(recorder, 0.50);
    measures[MEASURE_COMPLETION_P90] = quantile_s(recorder, 0.90);
    measures[MEASURE_COMPLETION_P99] = quantile_s(recorder, 0.99);
    measures[MEASURE_COMPLETION_MAX] = quantile_s(recorder, 1);
    measures[MEASURE_WAITED] = ratio(recorder->waited_s, ended);
    measures[MEASURE_WASTED] =
        recorder->settings.pool == NULL ? NAN : ratio(recorder->wasted_s, ended);
    measures[MEASURE_HERD] = (double)recorder->herd_most;
    measures[MEASURE_FAIRNESS] =
        served_by_worker == NULL ? NAN : fairness(served_by_worker, worker_count);
    measures[MEASURE_LATE] = NAN;
}
