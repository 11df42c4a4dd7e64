/* measures: what an experiment finds out, for each cell.
 *
 * A run (one repetition of one cell, real or simulated) feeds a recorder (lab/recorder.h) and gets
 * a struct run_result. The measures of a cell are the means over its repetitions, with a 95 %
 * confidence interval: the method of independent replications, by Student's t with repetitions - 1
 * degrees of freedom. With one repetition there is none (low = high = mean, has_interval false),
 * except for rates, the share of the quota and the share throttled, whose width then comes from 20
 * equal parts of the duration (batch means).
 *
 * Rates count what happened within the duration, not in the drain after it.
 */
#ifndef TOOMANY_LAB_MEASURES_H
#define TOOMANY_LAB_MEASURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum measure {
    MEASURE_OFFERED,          /* calls begun per second */
    MEASURE_ATTEMPTS,         /* requests sent per second */
    MEASURE_GOODPUT_REQUESTS, /* requests served with 200, per second */
    MEASURE_GOODPUT_TOKENS,   /* their tokens per second */
    MEASURE_QUOTA_SHARE,      /* goodput relative to the most that the quota allows, 0 to 1 */
    MEASURE_THROTTLED_SHARE,  /* of the requests sent, 0 to 1 */
    MEASURE_ATTEMPTS_PER_SUCCESS,
    MEASURE_CALLS_LOST,     /* share of the ended calls that were given up, 0 to 1 */
    MEASURE_CALLS_OPEN,     /* number that had not ended when the run did */
    MEASURE_COMPLETION_P50, /* seconds from the begin of a call to its 200 */
    MEASURE_COMPLETION_P90,
    MEASURE_COMPLETION_P99,
    MEASURE_COMPLETION_MAX,
    MEASURE_WAITED,   /* seconds a call waited for its retries and at the gate, mean */
    MEASURE_WASTED,   /* of these, seconds in which the quota had room for it, mean */
    MEASURE_HERD,     /* most retries that arrived within one herd_window */
    MEASURE_FAIRNESS, /* Jain's index of the workers' served calls; NAN in an open loop */
    MEASURE_LATE,     /* seconds that the machine was late with what was due; NAN: simulated */
    MEASURE_COUNT,
};

struct measure_description {
    const char *name;        /* in JSON and CSV: "goodput_requests_per_s" */
    const char *label;       /* in tables and plots: "goodput" */
    const char *unit;        /* "requests/s", "s", "" */
    const char *description; /* one sentence */
    bool is_share;           /* 0 to 1, shown in percent */
};

const struct measure_description *measure_describe(enum measure measure);

/* A machine that is later than this share of the median time of a call is too slow for the run. */
#define MEASURES_LATE_ALLOWED 0.05

enum {
    MEASURES_BINS = 600,     /* of the time line, over the duration */
    MEASURES_BATCHES = 20,   /* divides MEASURES_BINS */
    MEASURES_SAMPLES = 6000, /* of who waits and what room there is; MEASURES_BINS divides it */
};

/* What happened in one part of the time line. */
struct measure_bin {
    uint64_t begun; /* calls */
    uint64_t attempts;
    uint64_t served;    /* answers of 200 */
    uint64_t throttled; /* on arrival */
    uint64_t tokens;    /* of the served */
};

/* One repetition of one cell. */
struct run_result {
    bool is_done;     /* it was run at all */
    bool is_complete; /* to its end, and not stopped on the way: rates are over measured_ns */
    int64_t measured_ns;
    double measures[MEASURE_COUNT]; /* NAN: cannot be said (no call ended) */
    uint64_t calls_begun, calls_served, calls_lost, calls_open;
    uint64_t attempts, throttled;           /* the drain included */
    uint64_t events;                        /* of the simulation */
    int64_t herd_at_ns;                     /* when the largest herd arrived; -1: none */
    struct measure_bin bins[MEASURES_BINS]; /* each duration / MEASURES_BINS long */
};

struct estimate {
    double mean; /* NAN: cannot be said */
    double low;
    double high;
    bool has_interval;
};

/* One strategy under one load, over its repetitions. */
struct cell_result {
    size_t strategy;   /* index in the experiment */
    size_t load;       /* index in the experiment */
    int repetitions;   /* that were run */
    bool is_complete;  /* all repetitions, each to its end */
    bool is_cut_short; /* one was stopped on its way: nothing to compare with others */
    struct estimate measures[MEASURE_COUNT];
    const struct run_result *runs; /* all repetitions of the cell, also those not done */
    int run_count;
};

/* Means and intervals over those of `runs` that are done; those stopped on the way count as long
 * as they went. `scratch` has room for `count` numbers. */
void measures_combine(struct cell_result *cell, const struct run_result runs[], int count,
                      double *scratch);

/* Whether the machine was too slow: the measures tell of it as much as of the strategy. A call
 * meets the lateness several times, with each thing that the machine has to do for it. */
bool measures_are_late(const struct cell_result *cell);

#endif
