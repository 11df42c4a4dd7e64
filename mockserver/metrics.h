/* metrics: counters for Prometheus, in its text format (version 0.0.4).
 *
 * Counted as answers end, from the journal's entries; the pools' gauges are read when asked.
 */
#ifndef TOOMANY_MOCKSERVER_METRICS_H
#define TOOMANY_MOCKSERVER_METRICS_H

#include "mockserver/journal.h"
#include "mockserver/pools.h"

struct metrics; /* opaque */

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Counts of a thread of its own, which are told and forgotten with those of `whole`, and freed with
 * it. NULL when memory is out. */
struct metrics *metrics_new_part(struct metrics *whole);

/* Counts one entry whose answer has ended. */
void metrics_count(struct metrics *metrics, const struct journal_entry *entry);

/* Forgets all counts. */
void metrics_reset(struct metrics *metrics);

/* What is read when asked. */
struct metrics_now {
    const struct pools *pools;
    const struct journal *journal;
    int in_flight;
    int connections_open;
    uint64_t connections_total;
    int64_t now_ns;
};

/* The whole text, to be freed by the caller; NULL when memory is out. */
char *metrics_text(const struct metrics *metrics, const struct metrics_now *now);

#endif
