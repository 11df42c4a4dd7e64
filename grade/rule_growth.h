/* rule_growth: how the delays of a rule grow without jitter, as multiples of the first.
 *
 *     fixed         1  1    1    1          rate of no meaning
 *     linear        1  1+r  1+2r 1+3r       rate r: the step as a share of the base
 *     exponential   1  e^r  e^2r e^3r       rate r: the factor's logarithm
 *
 * The knee is the retry, not always a whole one, at which they reach the cap; from then on they are
 * all the same. HUGE_VAL: they have none.
 */
#ifndef TOOMANY_GRADE_RULE_GROWTH_H
#define TOOMANY_GRADE_RULE_GROWTH_H

#include "grade/rule_fit.h"

struct rule_growth {
    enum rule_family family;
    double rate;
    double knee;
};

double rule_growth_at(const struct rule_growth *growth, double retry);

/* Rules without jitter: the numbers that all delays agree on within the tolerance. */
void rule_exact_fit(const struct rule_data *data, enum rule_family family, struct rule_fit *fit);

/* Rules with jitter. */
void rule_spread_fit(const struct rule_data *data, enum rule_family family, struct rule_fit *fit);

#endif
