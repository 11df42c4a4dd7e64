/* The delay grows by the same factor each time. */
#include "grade/rule_growth.h"

void rule_fit_exponential(const struct rule_data *data, struct rule_fit *fit)
{
    rule_exact_fit(data, RULE_EXPONENTIAL, fit);
    rule_spread_fit(data, RULE_EXPONENTIAL, fit);
}
