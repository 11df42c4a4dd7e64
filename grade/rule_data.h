/* rule_data: the delays that a rule is found from, in order of runs and of retries.
 *
 * Whatever jitter a growing rule has, what it says about retry k is a range; of what was seen at
 * retry k only the least and the most matter to it, so these are kept beside the delays.
 *
 * Delays that stand exactly at the greatest or the least value again and again are held there by a
 * cap or a floor that is applied after the jitter: where there are such, they can be left out of
 * the ranges (rule_data_clamped) and counted apart.
 */
#ifndef TOOMANY_GRADE_RULE_DATA_H
#define TOOMANY_GRADE_RULE_DATA_H

#include "grade/rule.h"

struct rule_run {
    const int64_t *delays_ns;
    size_t count;
};

struct rule_index {
    size_t count; /* delays between the clamps */
    double least_ns;
    double most_ns;
    size_t at_top; /* delays at the clamps */
    size_t at_bottom;
};

struct rule_data {
    struct rule_run runs[RULE_RUNS_MAX];
    size_t run_count;
    double tolerance_ns; /* at least 1 */
    size_t delay_count;
    struct rule_index at[RULE_DELAYS_MAX];
    size_t index_count; /* retries that any run came to */
    double least_ns;
    double most_ns;
    bool has_top; /* the clamps that were left out */
    bool has_bottom;
};

/* The runs without Retry-After; borrows their delays. */
void rule_data_collect(struct rule_data *data, const struct rule_observation observations[],
                       size_t count);

/* Leaves the first delay of each run out. */
void rule_data_drop_first(struct rule_data *data);

/* The same delays with the clamps left out of the ranges; false where that clamp is not seen. */
bool rule_data_clamped(struct rule_data *clamped, const struct rule_data *data, bool top,
                       bool bottom);

bool rule_data_is_top(const struct rule_data *data, double delay_ns);
bool rule_data_is_bottom(const struct rule_data *data, double delay_ns);

/* True when the delays of each retry are the same in all runs. */
bool rule_data_is_same_in_all_runs(const struct rule_data *data);

#endif
