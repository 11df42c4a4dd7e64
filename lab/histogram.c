#include "lab/histogram.h"

#include <assert.h>

enum { PARTS = 1 << HISTOGRAM_PART_BITS };

/* Values below PARTS have a slot each; above, the highest bit gives the doubling and the bits
 * after it the part. */
static unsigned slot_of(int64_t value)
{
    if (value < PARTS)
        return (unsigned)value;
    unsigned shift =
        63U - (unsigned)__builtin_clzll((unsigned long long)value) - (unsigned)HISTOGRAM_PART_BITS;
    unsigned part = (unsigned)(value >> shift) & (PARTS - 1);
    return ((shift + 1) << HISTOGRAM_PART_BITS) + part;
}

/* The largest value of a slot. */
static int64_t most_of(unsigned slot)
{
    if (slot < PARTS)
        return (int64_t)slot;
    unsigned shift = (slot >> HISTOGRAM_PART_BITS) - 1;
    int64_t part = (int64_t)(slot & (PARTS - 1)) + PARTS;
    return (int64_t)(((uint64_t)(part + 1) << shift) - 1);
}

void histogram_add(struct histogram *histogram, int64_t value)
{
    assert(value >= 0);
    histogram->slots[slot_of(value)]++;
    histogram->count++;
    if (value > histogram->most)
        histogram->most = value;
}

int64_t histogram_quantile(const struct histogram *histogram, double share)
{
    if (histogram->count == 0)
        return -1;
    uint64_t left = (uint64_t)(share * (double)histogram->count);
    if ((double)left < share * (double)histogram->count || left == 0)
        left++;
    for (unsigned slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
        if (histogram->slots[slot] >= left) {
            int64_t most = most_of(slot);
            return most < histogram->most ? most : histogram->most;
        }
        left -= histogram->slots[slot];
    }
    return histogram->most;
}
