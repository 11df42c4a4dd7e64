/* report_timeline: the calls of a result, drawn on an axis of time.
 *
 *     o─────── 1.003s ───────o────────────── 2.004s ───────────────●
 *    429                    429                                   200
 *
 * A heavy line is a request under way, the mark at its end the answer, a thin line the client's
 * wait. Where the client goes on long after its last answer, a broken line leads to its end. One
 * call has the statuses below its marks; several share one axis, each on a line of its own, so that
 * one sees which ran at the same time:
 *
 *     call 1  ━━━━━━●                                            200
 *     call 2  o─ 1s ─━━━━━━●                                     429 200
 *             ├───────────┼───────────┼───────────┼
 *             0s          1s          2s          3s
 */
#ifndef TOOMANY_HARNESS_REPORT_TIMELINE_H
#define TOOMANY_HARNESS_REPORT_TIMELINE_H

#include "harness/report.h"

enum {
    TIMELINE_CALLS_MAX = 12, /* shown; of more than that one reads the sum */
};

/* What the axis of a result spans, on the run's clock: from the first request to the last answer,
 * or to the client's end where it stayed much longer. The HTML report draws the same. */
struct timeline_span {
    int64_t start_ns;
    int64_t end_ns;   /* > start_ns */
    bool reaches_end; /* the client's end is within it */
};

struct timeline_span timeline_span_of(const struct result *result);

/* Chooses which calls are drawn, at most `count_max`, in their order; returns how many. Where they
 * are too many, those that were served at once are left out first: they tell least. */
size_t timeline_choose(const struct result *result, size_t chosen[], size_t count_max);

/* The distance of ticks that divides `span_ns` into two to six parts: 1, 2 or 5 times a power
 * of ten, or what divides minutes and hours well. */
int64_t timeline_tick_ns(int64_t span_ns);

/* Draws it, indented; nothing where there is no call. */
void timeline_write(const struct result *result, const struct report_style *style, int indent,
                    FILE *stream);

#endif
