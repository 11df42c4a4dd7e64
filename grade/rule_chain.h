/* rule_chain: rules in which each delay is drawn from a range that the delay before sets.
 *
 *     decorrelated   base to factor * before                 (the delay before the first: the base)
 *     compounding    factor * before to factor * (1 + jitter) * before
 */
#ifndef TOOMANY_GRADE_RULE_CHAIN_H
#define TOOMANY_GRADE_RULE_CHAIN_H

#include "grade/rule_fit.h"

/* The range of a delay is low + low_share * before to high_share * before, cut to the top clamp of
 * the data where it has one. */
struct rule_chain {
    double first_ns; /* what stands for the delay before the first */
    double low_ns;
    double low_share;
    double high_share;
};

struct rule_chain_cost {
    double cost;
    double low_density;   /* by how much the cost falls when an end moves inwards: of low_ns, */
    double share_density; /* of a share */
    double chance;        /* of the gaps at the ends */
};

/* The cost of all delays between the clamps and at the top one. */
struct rule_chain_cost rule_chain_cost(const struct rule_data *data,
                                       const struct rule_chain *chain);

/* Raises high_share while that makes delays at the top clamp likelier. */
void rule_chain_stretch(const struct rule_data *data, struct rule_chain *chain);

#endif
