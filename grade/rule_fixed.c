/* The same delay before each retry. */
#include "grade/rule_growth.h"

void rule_fit_fixed(const struct rule_data *data, struct rule_fit *fit)
{
    rule_exact_fit(data, RULE_FIXED, fit);
    rule_spread_fit(data, RULE_FIXED, fit);
}
