/* arrivals: when calls come in an open loop.
 *
 *     poisson   independent of each other, at a rate
 *     bursts    every `every_ns` as many at once as the rate makes of it
 *     diurnal   Poisson with a rate that follows 24 weights through `day_ns`, linear between the
 *               middles of the hours; the rate is the mean over the day
 *     trace     at recorded times, sped up or slowed down to the rate; then again from the start
 */
#ifndef TOOMANY_LAB_ARRIVALS_H
#define TOOMANY_LAB_ARRIVALS_H

#include "base/error.h"
#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arrivals_kind { ARRIVALS_POISSON, ARRIVALS_BURSTS, ARRIVALS_DIURNAL, ARRIVALS_TRACE };

enum { ARRIVALS_HOURS = 24, ARRIVALS_TRACE_MAX = 10000000 };

/* One recorded call. */
struct arrivals_record {
    int64_t at_ns;  /* from the first one's */
    int64_t tokens; /* -1: not recorded */
};

struct arrivals_settings {
    enum arrivals_kind kind;
    int64_t every_ns;                /* bursts */
    int64_t day_ns;                  /* diurnal: 24 h, or a compressed day */
    double weights[ARRIVALS_HOURS];  /* diurnal; their mean is 1 */
    struct arrivals_record *records; /* trace; owned, ascending */
    size_t record_count;
    int64_t span_ns; /* trace: from the first call to where it begins again */
};

void arrivals_settings_free(struct arrivals_settings *settings);

/* Reads a trace: a CSV file with a header line and a column "at" (seconds, or a duration) and
 * perhaps "tokens"; or a journal (JSON Lines; named *.jsonl), of which the first attempt of each
 * call counts. False with the error filled. */
bool arrivals_read_trace(struct arrivals_settings *settings, const char *path, struct error *error);

/* The mean rate of a trace as recorded, in calls per second. */
double arrivals_trace_rate(const struct arrivals_settings *settings);

struct arrivals {
    const struct arrivals_settings *settings;
    double rate;    /* per second */
    double next_ns; /* of the Poisson process, with its fraction; trace: start of this round */
    int64_t burst_left;
    double burst_debt; /* the fraction of a call that earlier bursts left over */
    int64_t burst_at_ns;
    size_t record;
};

struct arrival {
    int64_t at_ns;
    int64_t tokens; /* -1: to be drawn */
};

/* Starts at time 0. `settings` must outlive it. */
void arrivals_init(struct arrivals *arrivals, const struct arrivals_settings *settings,
                   double rate);

/* The next one; times never go back. */
struct arrival arrivals_next(struct arrivals *arrivals, struct random *random);

#endif
