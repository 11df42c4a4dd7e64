#include "lab/measures.h"

#include <assert.h>
#include <math.h>

static const struct measure_description descriptions[MEASURE_COUNT] = {
    [MEASURE_OFFERED] = {"offered_per_s", "offered", "calls/s", "Calls begun per second.", false},
    [MEASURE_ATTEMPTS] = {"attempts_per_s", "attempts", "requests/s", "Requests sent per second.",
                          false},
    [MEASURE_GOODPUT_REQUESTS] = {"goodput_requests_per_s", "goodput", "requests/s",
                                  "Requests served with 200 per second.", false},
    [MEASURE_GOODPUT_TOKENS] = {"goodput_tokens_per_s", "goodput in tokens", "tokens/s",
                                "Tokens of the served requests per second.", false},
    [MEASURE_QUOTA_SHARE] = {"quota_share", "of the quota", "",
                             "Goodput, of what binds, relative to the most that the quota allows.",
                             true},
    [MEASURE_THROTTLED_SHARE] = {"throttled_share", "throttled", "",
                                 "Share of the requests sent that a limit refused.", true},
    [MEASURE_ATTEMPTS_PER_SUCCESS] = {"attempts_per_success", "attempts per success", "",
                                      "Attempts of all ended calls for each that was served.",
                                      false},
    [MEASURE_CALLS_LOST] = {"calls_lost", "lost", "",
                            "Share of the ended calls that were given up.", true},
    [MEASURE_CALLS_OPEN] = {"calls_open", "open", "calls",
                            "Calls that had not ended when the run did.", false},
    [MEASURE_COMPLETION_P50] = {"completion_p50_s", "p50", "s",
                                "Median time from the begin of a call to its 200.", false},
    [MEASURE_COMPLETION_P90] = {"completion_p90_s", "p90", "s",
                                "Time in which 90 % of the served calls were complete.", false},
    [MEASURE_COMPLETION_P99] = {"completion_p99_s", "p99", "s",
                                "Time in which 99 % of the served calls were complete.", false},
    [MEASURE_COMPLETION_MAX] = {"completion_max_s", "max", "s",
                                "Longest time of a call that was served.", false},
    [MEASURE_WAITED] = {"waited_s", "waited", "s",
                        "Mean time a call waited for its retries and at the gate.", false},
    [MEASURE_WASTED] = {"wasted_s", "wasted", "s",
                        "The part of it in which the quota had room for the call.", false},
    [MEASURE_HERD] = {"herd", "herd", "retries",
                      "Most retries that arrived within one herd_window.", false},
    [MEASURE_FAIRNESS] = {"fairness", "fairness", "",
                          "Jain's index of the calls served to each worker; 1: all the same.",
                          false},
    [MEASURE_LATE] = {"late_s", "late", "s",
                      "Mean time that this machine was late with what was due; none if simulated.",
                      false},
};

const struct measure_description *measure_describe(enum measure measure)
{
    assert(measure >= 0 && measure < MEASURE_COUNT);
    return &descriptions[measure];
}

/* 0.975 quantile of Student's t. */
static double student(int freedom)
{
    static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                   2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                   2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                   2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
    assert(freedom >= 1);
    if ((size_t)freedom <= sizeof table / sizeof table[0])
        return table[freedom - 1];
    return 1.95996 + 2.4 / freedom;
}

/* `values` without NAN. */
static struct estimate estimate_of(const double *values, int count)
{
    if (count == 0)
        return (struct estimate){.mean = NAN, .low = NAN, .high = NAN};
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    double mean = sum / count;
    struct estimate estimate = {.mean = mean, .low = mean, .high = mean};
    if (count < 2)
        return estimate;
    double squares = 0;
    for (int i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    double half = student(count - 1) * sqrt(squares / (count - 1) / count);
    estimate.low = mean - half;
    estimate.high = mean + half;
    estimate.has_interval = true;
    return estimate;
}

static struct measure_bin sum_bins(const struct measure_bin *bins, int count)
{
    struct measure_bin sum = {0};
    for (int i = 0; i < count; i++) {
        sum.begun += bins[i].begun;
        sum.attempts += bins[i].attempts;
        sum.served += bins[i].served;
        sum.throttled += bins[i].throttled;
        sum.tokens += bins[i].tokens;
    }
    return sum;
}

/* Widths from the parts of one run, around the measure that the whole of it gave. */
static void add_batch_interval(struct estimate *estimate, const double *values, int count)
{
    struct estimate batches = estimate_of(values, count);
    if (!batches.has_interval || isnan(estimate->mean))
        return;
    double half = (batches.high - batches.low) / 2;
    estimate->low = estimate->mean - half;
    estimate->high = estimate->mean + half;
    estimate->has_interval = true;
}

static void add_batch_intervals(struct cell_result *cell, const struct run_result *run)
{
    enum { BATCH_BINS = MEASURES_BINS / MEASURES_BATCHES };
    static const enum measure rates[] = {MEASURE_OFFERED, MEASURE_ATTEMPTS,
                                         MEASURE_GOODPUT_REQUESTS, MEASURE_GOODPUT_TOKENS};
    double batch_s = (double)run->measured_ns * 1e-9 / MEASURES_BATCHES;
    double values[4][MEASURES_BATCHES];
    double throttled[MEASURES_BATCHES];
    int throttled_count = 0;
    for (int i = 0; i < MEASURES_BATCHES; i++) {
        struct measure_bin sum = sum_bins(&run->bins[(ptrdiff_t)i * BATCH_BINS], BATCH_BINS);
        values[0][i] = (double)sum.begun / batch_s;
        values[1][i] = (double)sum.attempts / batch_s;
        values[2][i] = (double)sum.served / batch_s;
        values[3][i] = (double)sum.tokens / batch_s;
        if (sum.attempts > 0)
            throttled[throttled_count++] = (double)sum.throttled / (double)sum.attempts;
    }
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        add_batch_interval(&cell->measures[rates[i]], values[i], MEASURES_BATCHES);
    add_batch_interval(&cell->measures[MEASURE_THROTTLED_SHARE], throttled, throttled_count);
    const struct estimate *goodput = &cell->measures[MEASURE_GOODPUT_REQUESTS];
    struct estimate *share = &cell->measures[MEASURE_QUOTA_SHARE];
    if (goodput->mean > 0 && !isnan(share->mean)) {
        share->low = share->mean * goodput->low / goodput->mean;
        share->high = share->mean * goodput->high / goodput->mean;
        share->has_interval = true;
    }
}

void measures_combine(struct cell_result *cell, const struct run_result runs[], int count,
                      double *scratch)
{
    const struct run_result *last = NULL;
    cell->runs = runs;
    cell->run_count = count;
    cell->repetitions = 0;
    cell->is_complete = true;
    cell->is_cut_short = false;
    for (int i = 0; i < count; i++) {
        cell->is_complete &= runs[i].is_done && runs[i].is_complete;
        if (!runs[i].is_done)
            continue;
        cell->is_cut_short |= !runs[i].is_complete;
        cell->repetitions++;
        last = &runs[i];
    }
    for (int measure = 0; measure < MEASURE_COUNT; measure++) {
        int said = 0;
        for (int i = 0; i < count; i++) {
            if (runs[i].is_done && !isnan(runs[i].measures[measure]))
                scratch[said++] = runs[i].measures[measure];
        }
        cell->measures[measure] = estimate_of(scratch, said);
    }
    if (cell->repetitions == 1 && last->is_complete)
        add_batch_intervals(cell, last);
}

bool measures_are_late(const struct cell_result *cell)
{
    return cell->repetitions > 0 &&
           cell->measures[MEASURE_LATE].mean >
               MEASURES_LATE_ALLOWED * cell->measures[MEASURE_COMPLETION_P50].mean;
}
