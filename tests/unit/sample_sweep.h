/* A sweep that nobody ran: two strategies under three loads, with numbers that are easy to follow.
 *
 * The quota allows 10 requests/s. "greedy" gets all of it from 4 workers on and waits long; its
 * name has what tables, CSV, pages and gnuplot must not take for their own. "modest" loses no call,
 * waits less and gets 96 % with 4 workers. */
#ifndef TOOMANY_TESTS_SAMPLE_SWEEP_H
#define TOOMANY_TESTS_SAMPLE_SWEEP_H

#include "lab/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GREEDY "greedy, \"<b>' `date`\x1b[31m"

enum { SAMPLE_STRATEGIES = 2, SAMPLE_LOADS = 3, SAMPLE_CELLS = 6 };

struct sample {
    struct experiment experiment;
    struct strategy strategies[SAMPLE_STRATEGIES];
    double loads[SAMPLE_LOADS];
    struct cell_result cells[SAMPLE_CELLS];
    struct run_result runs[SAMPLE_CELLS];
    struct sweep sweep;
    struct lab_report report;
    char name[64];
    char file[64];
};

static inline struct estimate sample_estimate(double mean, double half)
{
    return (struct estimate){mean, mean - half, mean + half, true};
}

static inline struct cell_result *sample_cell(struct sample *sample, size_t strategy, size_t load)
{
    return &sample->cells[strategy * SAMPLE_LOADS + load];
}

static inline void sample_set(struct sample *sample, size_t strategy, size_t load, double goodput,
                              double waited, double lost)
{
    struct cell_result *cell = sample_cell(sample, strategy, load);
    struct run_result *run = &sample->runs[strategy * SAMPLE_LOADS + load];
    for (int i = 0; i < MEASURE_COUNT; i++)
        cell->measures[i] = (struct estimate){.mean = 1, .low = 1, .high = 1};
    cell->strategy = strategy;
    cell->load = load;
    cell->repetitions = 3;
    cell->is_complete = true;
    cell->runs = run;
    cell->run_count = 1;
    cell->measures[MEASURE_GOODPUT_REQUESTS] = sample_estimate(goodput, 0.05);
    cell->measures[MEASURE_GOODPUT_TOKENS] = sample_estimate(goodput * 100, 5);
    cell->measures[MEASURE_QUOTA_SHARE] = sample_estimate(goodput / 10, 0.005);
    cell->measures[MEASURE_THROTTLED_SHARE] = sample_estimate(waited / (1 + waited), 0.01);
    cell->measures[MEASURE_WAITED] = sample_estimate(waited, 0.02);
    cell->measures[MEASURE_CALLS_LOST] = sample_estimate(lost, 0);
    cell->measures[MEASURE_COMPLETION_P50] = sample_estimate(0.5 + waited, 0.01);
    cell->measures[MEASURE_COMPLETION_P99] = sample_estimate(1 + 3 * waited, 0.1);
    cell->measures[MEASURE_LATE] = (struct estimate){.mean = NAN};
    run->is_done = true;
    run->is_complete = true;
    for (int i = 0; i < MEASURES_BINS; i++) {
        run->bins[i] = (struct measure_bin){.attempts = (uint64_t)(i % 7), .throttled = i % 7 > 3};
        run->attempts += run->bins[i].attempts;
    }
    run->attempts += 3; /* in the drain */
}

/* To be given back to free(). */
static inline struct sample *sample_new(void)
{
    struct sample *sample = calloc(1, sizeof *sample);
    if (sample == NULL)
        abort();
    strcpy(sample->name, "ten a second");
    strcpy(sample->file, "ten.json");
    strcpy(sample->strategies[0].label, GREEDY);
    strcpy(sample->strategies[0].name, "none");
    strcpy(sample->strategies[1].label, "modest");
    strcpy(sample->strategies[1].name, "paced");
    for (int i = 0; i < SAMPLE_STRATEGIES; i++) {
        sample->strategies[i].description = "says what it does";
        sample->strategies[i].source = "a <book>";
    }
    for (int i = 0; i < SAMPLE_LOADS; i++)
        sample->loads[i] = 1 << i;
    sample->experiment = (struct experiment){.file = sample->file,
                                             .name = sample->name,
                                             .strategies = sample->strategies,
                                             .strategy_count = SAMPLE_STRATEGIES,
                                             .loads = sample->loads,
                                             .load_count = SAMPLE_LOADS,
                                             .duration_ns = INT64_C(600000000000),
                                             .repetitions = 3,
                                             .seed = 7};
    quota_limits_init(&sample->experiment.limits);
    sample->experiment.limits.limit[QUOTA_REQUESTS_PER_MINUTE] = 600;
    sample_set(sample, 0, 0, 4, 0, 0);
    sample_set(sample, 0, 1, 8, 0.1, 0);
    sample_set(sample, 0, 2, 10, 2, 0);
    sample_set(sample, 1, 0, 4, 0, 0);
    sample_set(sample, 1, 1, 7.9, 0.05, 0);
    sample_set(sample, 1, 2, 9.6, 0.5, 0);
    sample->sweep = (struct sweep){
        .experiment = &sample->experiment,
        .bound = {.requests_per_s = 10, .tokens_per_s = 1000, .limit = QUOTA_REQUESTS_PER_MINUTE},
        .strategies = sample->strategies,
        .cells = sample->cells,
        .cell_count = SAMPLE_CELLS,
        .runs = sample->runs,
        .is_complete = true};
    sample->report = (struct lab_report){.sweep = &sample->sweep, .is_simulated = true};
    return sample;
}

/* What a kind writes; to be freed. NULL where it failed, with *error filled. */
static inline char *sample_write(lab_report_writer *write, const struct lab_report *report,
                                 const struct report_style *style, struct error *error)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    bool done = stream != NULL && write(report, style, stream, error);
    if (stream == NULL || fclose(stream) != 0 || !done) {
        free(text);
        return NULL;
    }
    return text;
}

#endif
