/* advise: what to do, from what a sweep found: a plain sentence or two.
 *
 * The advice is the strategy and the load that reach 95 % of the quota, lose at most 0.1 % of the
 * calls, and let calls wait least: for retries, at the gate and for refusals; of those whose wait
 * the repetitions cannot tell apart, the one with the shortest p99. (In a closed loop they are
 * often equal: with as many workers and the same goodput, Little's law leaves no other mean.) Where
 * nothing does, it says so, says what comes nearest and what stands in the way.
 *
 * Cells that were cut short do not compete: the first minute of ten is another experiment, of which
 * the burst of a full pool is a larger part.
 *
 * What a raise of the quota would bring is found by simulation, not by rule of three: the caller
 * sweeps the experiment of advise_raised, in which the limit that binds is twice as high, and hands
 * the result to advise_text.
 *
 * Pure: no I/O, nothing kept.
 */
#ifndef TOOMANY_LAB_ADVISE_H
#define TOOMANY_LAB_ADVISE_H

#include "lab/sweep.h"

#define ADVISE_SHARE_WANTED 0.95
#define ADVISE_LOST_ALLOWED 0.001
#define ADVISE_RAISE_FACTOR 2

enum { ADVISE_TEXT_SIZE = 2048 };

/* True when the cell reaches the share of the quota that is wanted and loses few calls. */
bool advise_feeds(const struct cell_result *cell);

/* Seconds that a call waits on average, and that it spends in attempts that are refused. */
double advise_wait_s(const struct sweep *sweep, const struct cell_result *cell);

/* Whether one would rather take `cell`: by the rule above, else by goodput. Both have been run. */
bool advise_is_better(const struct sweep *sweep, const struct cell_result *cell,
                      const struct cell_result *than);

/* The cell to take, of all or of one strategy (an index in the experiment); the nearest where none
 * is good enough. NULL when nothing was run to its end. */
const struct cell_result *advise_best(const struct sweep *sweep);
const struct cell_result *advise_best_of(const struct sweep *sweep, size_t strategy);

/* True, with the experiment that asks what a raise would bring to `best`: its strategy alone, and
 * twice the limit that binds. It shares memory with the original and must not be freed. False when
 * there is no limit to raise. */
bool advise_raised(const struct sweep *sweep, const struct cell_result *best,
                   struct experiment *raised);

/* The sentences. `raised`: the sweep of the above; NULL: not known. */
const char *advise_text(const struct sweep *sweep, const struct sweep *raised,
                        char text[ADVISE_TEXT_SIZE]);

#endif
