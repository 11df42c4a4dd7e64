/* event_queue: what happens next in a simulation, exact in its order and fast with any number.
 *
 * Events leave in the order of their times, and those of the same nanosecond in the order in which
 * they came. Time never goes back: nothing may be put in before the time of the last one taken.
 *
 * A radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, "Faster algorithms for the shortest path problem",
 * 1990) with 256 buckets a level: an event lies in the bucket of the highest byte in which its time
 * differs from the present. When the present reaches a bucket, its events are spread, in their
 * order, over the buckets of the level below; one with few events is sorted and served. So an event
 * is moved at most once a byte of its distance in time, however many others there are, and always
 * to the end of a list: memory is written and read in order. Events for the stretch of time that
 * is being served are put among the others of it, or wait in a binary heap beside it.
 *
 * Where the borders between the digits lie (the grain, 0 to 7 bits) follows from how dense the
 * events are, so that there is a level whose buckets have some dozens of them: with few, each costs
 * the handling of its bucket, and with many, most that is put in goes through the heap.
 *
 * Why ties come out right: whatever lies in one bucket came in that order, because a bucket is
 * spread before anything newer can go to where it is spread to; sorting keeps the order of equals;
 * what is put among what is being served is put after its equals; and what is in the heap came
 * after all that is being served.
 */
#ifndef TOOMANY_LAB_EVENT_QUEUE_H
#define TOOMANY_LAB_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    int64_t at_ns; /* 0 and more */
    uint32_t who;  /* whatever the caller means */
    uint32_t what;
};

struct event_queue; /* opaque */

/* NULL when memory is out. */
struct event_queue *event_queue_new(void);
void event_queue_free(struct event_queue *queue);

/* What the caller keeps of `who` is at memory + who * size, for who < count: it is then fetched
 * into the cache shortly before its event is taken. */
void event_queue_fetch_early(struct event_queue *queue, const void *memory, size_t size,
                             size_t count);

/* False when memory is out. */
bool event_queue_put(struct event_queue *queue, struct event event);

/* Takes the next one; false when there is none (or memory is out, see event_queue_failed). */
bool event_queue_take(struct event_queue *queue, struct event *event);

size_t event_queue_count(const struct event_queue *queue);

/* True once memory was out. */
bool event_queue_failed(const struct event_queue *queue);

#endif
