/* recorder: takes down what happens in a run, real or simulated, and makes the measures of it.
 *
 *     recorder_init(&recorder, &settings);
 *     recorder_call_begins(&recorder, 0);
 *     recorder_arrives(&recorder, 0, false, true);             throttled
 *     recorder_wait_begins(&recorder, 10000000);
 *     recorder_wait_ends(&recorder, 10000000, 1010000000);
 *     recorder_arrives(&recorder, 1010000000, true, false);    a retry, admitted
 *     recorder_served(&recorder, 1510000000, 120);
 *     recorder_call_ends(&recorder, 0, 1510000000, 2, true);
 *     recorder_finish(&recorder, 2000000000, true, served, 1, &result);
 *
 * Times are from the begin of the run and never go back. What happens in the drain is told as well:
 * the recorder knows what counts.
 *
 * Wasted is waiting while the quota had room: MEASURES_SAMPLES times in the duration it looks how
 * many calls wait and how many requests of mean size the quota would admit at once; the smaller of
 * the two wait in vain.
 */
#ifndef TOOMANY_LAB_RECORDER_H
#define TOOMANY_LAB_RECORDER_H

#include "lab/experiment.h"
#include "lab/histogram.h"
#include "lab/measures.h"
#include "mockserver/quota.h"

struct recorder_settings {
    int64_t duration_ns;
    int64_t herd_window_ns;
    double tokens_mean;                  /* of a request */
    const struct experiment *experiment; /* for the most that its quota allows */
    const struct quota_pool *pool;       /* the server's, to see its room; NULL: wasted is NAN */
};

struct recorder {
    struct recorder_settings settings;
    struct measure_bin bins[MEASURES_BINS];
    size_t bin; /* the one that now is in; MEASURES_BINS: in the drain */
    int64_t bin_ends_ns;
    uint64_t calls_begun;
    uint64_t calls_served;
    uint64_t calls_lost;
    uint64_t attempts;
    uint64_t throttled;
    uint64_t attempts_ended; /* of the calls that have ended */
    int64_t waiting;         /* calls that wait now */
    double waited_s;
    double wasted_s;
    int64_t samples_taken;
    int64_t sample_at_ns;
    int64_t herd_half; /* the half window that the last retry fell in */
    uint64_t herd_now; /* retries in it */
    uint64_t herd_before;
    uint64_t herd_most;
    int64_t herd_at_ns;
    struct histogram completion_ns; /* of served calls */
};

/* What a recorder has to know of an experiment. */
struct recorder_settings recorder_settings_of(const struct experiment *experiment,
                                              const struct quota_pool *pool);

void recorder_init(struct recorder *recorder, const struct recorder_settings *settings);

void recorder_call_begins(struct recorder *recorder, int64_t now_ns);

/* A call waits, for its retry or at the gate; and no more. */
void recorder_wait_begins(struct recorder *recorder, int64_t now_ns);
void recorder_wait_ends(struct recorder *recorder, int64_t since_ns, int64_t now_ns);

/* A request arrives at the server; `is_retry`: not the call's first attempt. */
void recorder_arrives(struct recorder *recorder, int64_t now_ns, bool is_retry, bool is_throttled);

/* The client has an answer of 200. */
void recorder_served(struct recorder *recorder, int64_t now_ns, int64_t tokens);

void recorder_call_ends(struct recorder *recorder, int64_t begun_ns, int64_t now_ns, int attempts,
                        bool is_served);

/* The measures; the run ended at now_ns. served_by_worker is for fairness; NULL in an open loop.
 * result->events is the caller's, and so is MEASURE_LATE, which is NAN until then. */
void recorder_finish(struct recorder *recorder, int64_t now_ns, bool is_complete,
                     const uint32_t *served_by_worker, size_t worker_count,
                     struct run_result *result);

#endif
