/* The delay grows by the same step each time. */
#include "grade/rule_growth.h"

void rule_fit_linear(const struct rule_data *data, struct rule_fit *fit)
{
    rule_exact_fit(data, RULE_LINEAR, fit);
    rule_spread_fit(data, RULE_LINEAR, fit);
}
