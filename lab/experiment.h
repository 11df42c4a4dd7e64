/* experiment: the question that a load-limit experiment asks, as it stands in a file.
 *
 *     {
 *       "$schema": "./experiment.schema.json",
 *       "name": "how many workers can 600 requests per minute feed?",
 *       "quotas": {"requests_per_minute": 600, "tokens_per_minute": 90000},
 *       "service_time": {"kind": "exponential", "mean": "800ms"},
 *       "request_tokens": 120,
 *       "strategies": ["none", "full-jitter", {"strategy": "semaphore", "in_flight_max": 8}],
 *       "load": {"workers": [1, 2, 4, 8, 16, 32]},
 *       "duration": "10m", "repetitions": 10, "seed": 1
 *     }
 *
 * A cell is one strategy under one load; each cell is run `repetitions` times, repetition r with a
 * seed of its own that is the same for all cells (common random numbers). The load is either
 * workers (closed loop: each makes its next call when the last has ended and think_time is over) or
 * rates (open loop: calls per second arrive whether or not others have ended).
 *
 * One pool of quota, full at the start, serves the whole cell, and so does one gate: a cell is one
 * program. New calls begin for `duration`; then those under way may end, for at most `drain`.
 *
 * experiments/experiment.schema.json is the schema, docs/lab.md the guide.
 */
#ifndef TOOMANY_LAB_EXPERIMENT_H
#define TOOMANY_LAB_EXPERIMENT_H

#include "base/distribution.h"
#include "client/strategy.h"
#include "lab/arrivals.h"
#include "mockserver/quota.h"

enum {
    EXPERIMENT_STRATEGIES_MAX = 100,
    EXPERIMENT_LOADS_MAX = 1000,
    EXPERIMENT_REPETITIONS_MAX = 10000,
    EXPERIMENT_WORKERS_MAX = 20000000, /* 2 GB of memory */
    EXPERIMENT_MODEL_SIZE = 96,
};

#define EXPERIMENT_RATE_MAX 1e7 /* calls per second */

struct experiment {
    char *file; /* as given, for messages */
    char *name;
    char *why; /* or NULL */
    char model[EXPERIMENT_MODEL_SIZE];
    struct quota_limits limits;
    struct distribution service_time;   /* ns, of requests that are served */
    struct distribution refusal_time;   /* ns, of requests that are throttled; above 0 */
    struct distribution request_tokens; /* what a request costs */
    struct strategy *strategies;
    size_t strategy_count;
    bool is_open;  /* loads are rates, not workers */
    double *loads; /* ascending: workers (whole numbers), or calls per second */
    size_t load_count;
    struct distribution think_time; /* closed loop */
    int64_t ramp_ns;                /* closed loop: workers start evenly over it; 0: all at once */
    struct arrivals_settings arrivals; /* open loop */
    int64_t duration_ns;
    int64_t drain_ns;
    int64_t herd_window_ns; /* retries within it are one burst */
    int repetitions;
    uint64_t seed;
};

/* Reads the file. Paths in it (journals, traces) are relative to it. The caller frees with
 * experiment_free, also after a failure. False with the error filled. */
bool experiment_load(struct experiment *experiment, const char *path, struct error *error);

/* The same from bytes; `file` names it in messages and is what paths are relative to. */
bool experiment_parse(struct experiment *experiment, const char *text, size_t length,
                      const char *file, struct error *error);

void experiment_free(struct experiment *experiment);

/* Leaves only the strategies of these labels (none given: all) and this load (0: all). False with
 * the error filled when the experiment has no such; the error says which it has. */
bool experiment_choose(struct experiment *experiment, const char *const labels[],
                       size_t label_count, double load, struct error *error);

/* The most that the quota allows in a time that starts with a full pool, computed. */
struct experiment_bound {
    double requests_per_s; /* INFINITY: no limit */
    double tokens_per_s;
    enum quota_dimension limit; /* the one that binds; QUOTA_DIMENSION_COUNT: none */
};

/* For requests of the experiment's mean size and service time, in its first `duration_ns`: all of
 * it, or as far as it went. Every limit L with a window admits at most L * (1 + duration / window),
 * so that a shorter time has a higher rate; a limit of concurrency C serves at most C / mean
 * service time. */
struct experiment_bound experiment_bound(const struct experiment *experiment, int64_t duration_ns);

/* What a client would be told is its quota: 0 where there is none. */
void experiment_tell_quota(const struct experiment *experiment, struct strategy *strategy);

/* The seed of repetition `repetition` (from 0). */
uint64_t experiment_seed(const struct experiment *experiment, int repetition);

#endif
