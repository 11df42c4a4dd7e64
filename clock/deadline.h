/* deadline: what is due when. One heap of them belongs to a loop.
 *
 * Deadlines at the same time fire in the order in which they were set, so that a run repeats.
 * A struct deadline lives in its owner (no allocation when one is set or cancelled).
 */
#ifndef TOOMANY_CLOCK_DEADLINE_H
#define TOOMANY_CLOCK_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
    int64_t at_ns;
    uint64_t order;
    size_t position; /* in the heap, from 1; 0: not set */
    bool is_at_once; /* was due when it was set: loop.c */
    void (*fire)(void *owner, int64_t now_ns);
    void *owner;
};

struct deadlines {
    struct deadline **heap; /* heap[1] is the earliest */
    size_t count;
    size_t capacity;
    uint64_t order_next;
};

void deadlines_init(struct deadlines *deadlines);
void deadlines_free(struct deadlines *deadlines);

/* Sets (or moves) `deadline`; its fire and owner must be filled. False when memory is out. */
bool deadlines_set(struct deadlines *deadlines, struct deadline *deadline, int64_t at_ns);

/* Takes it out if it is in. */
void deadlines_cancel(struct deadlines *deadlines, struct deadline *deadline);

/* The earliest one, or NULL. */
struct deadline *deadlines_first(const struct deadlines *deadlines);

#endif
