/* rule_bounds: from where to where a rule says that a delay is. */
#ifndef TOOMANY_GRADE_RULE_BOUNDS_H
#define TOOMANY_GRADE_RULE_BOUNDS_H

#include "grade/rule_data.h"

/* Of the delay before retry `retry` (from 0), when the delay before that was `before_ns` (0 for the
 * first). False for rules that say nothing about it. */
bool rule_bounds(const struct rule *rule, size_t retry, double before_ns, double *low_ns,
                 double *high_ns);

/* The rule with its numbers as they were before they were rounded. */
struct rule rule_likeliest(const struct rule *rule);

struct rule_fill {
    bool holds_all; /* no delay is outside its range by more than the tolerance */
    /* The chance of gaps at the ends of the ranges as large as these, and of an uneven spread in
     * between (Kolmogorov and Smirnov), if the delays were drawn evenly from them. 1 where there is
     * no jitter. */
    double gap_chance;
    double even_chance;
    double drift_chance; /* of retries that differ so much in where in their ranges the delays are,
                            however they are spread */
};

/* How the delays fill the ranges that the rule says. */
struct rule_fill rule_fill(const struct rule *rule, const struct rule_data *data);

#endif
