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

/* Counts one entry whose answer has ended. */
void metrics_count(struct metrics *metrics, const struct journal_entry *entry);

/* Forgets all counts. */
void metrics_reset(struct metrics *metrics);

/* The whole text, to be freed by the caller; NULL when memory is out. */
char *metrics_text(const struct metrics *metrics, const struct pools *pools, int in_flight,
                   const struct journal *journal, int64_t now_ns);

#endif
