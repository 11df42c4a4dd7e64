#include "grade/rule_growth.h"

#include <math.h>

double rule_growth_at(const struct rule_growth *growth, double retry)
{
    double steps = retry < growth->knee ? retry : growth->knee;
    switch (growth->family) {
    case RULE_LINEAR:
        return 1 + growth->rate * steps;
    case RULE_EXPONENTIAL:
        return exp(growth->rate * steps);
    default:
        return 1;
    }
}
