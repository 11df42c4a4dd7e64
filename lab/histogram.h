/* histogram: counts of times, from which percentiles are read, at most 0.4 % too high.
 *
 * Log-linear: each doubling has 256 equal parts, as in HdrHistogram (G. Tene). It never forgets an
 * extreme value and needs the same memory for ten times and for 10^10.
 */
#ifndef TOOMANY_LAB_HISTOGRAM_H
#define TOOMANY_LAB_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_PART_BITS = 8,
    HISTOGRAM_SLOTS = (64 - HISTOGRAM_PART_BITS) << HISTOGRAM_PART_BITS,
};

struct histogram {
    uint64_t count;
    int64_t most; /* the largest value, exact */
    uint64_t slots[HISTOGRAM_SLOTS];
};

/* value >= 0 */
void histogram_add(struct histogram *histogram, int64_t value);

/* The smallest value that at least `share` (0 to 1) of all are not above; -1 when it is empty. */
int64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
