#include "grade/rule_number.h"

#include <assert.h>
#include <math.h>

enum { DIGITS_MAX = 6 };

/* A number is rounded within this share of its range to each side of what is likeliest. */
static const double round_reach = 0.25;

double rule_number_round(double low, double high, double value, int *effort)
{
    assert(low <= value && value <= high);
    if (effort != NULL)
        *effort = 0;
    if (low <= 0)
        return 0;
    /* From coarse to fine: whole steps of a power of ten. */
    double step = pow(10, ceil(log10(high)));
    for (int digits = 0; digits <= DIGITS_MAX; digits++) {
        double nearest = round(value / step) * step;
        double candidates[] = {nearest, ceil(low / step) * step, floor(high / step) * step};
        for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
            /* The step is a power of ten only to a double's last digit. */
            if (candidates[i] > 0 && candidates[i] >= low * (1 - 1e-12) &&
                candidates[i] <= high * (1 + 1e-12)) {
                if (effort != NULL)
                    *effort = digits == 0 ? 1 : digits;
                return candidates[i];
            }
        }
        step /= 10;
    }
    if (effort != NULL)
        *effort = DIGITS_MAX + 1;
    return value;
}

struct rule_number rule_number_between(double low, double high, double value)
{
    int effort = 0;
    return rule_number_rounded(low, high, value, &effort);
}

struct rule_number rule_number_rounded(double low, double high, double value, int *effort)
{
    value = value > low ? value : low;
    value = value < high ? value : high;
    double reach = round_reach * (high - low);
    double from = value - reach > low ? value - reach : low;
    double to = value + reach < high ? value + reach : high;
    int digits = 0;
    struct rule_number number = {true, rule_number_round(from, to, value, &digits), value, low,
                                 high};
    *effort += digits;
    return number;
}

double rule_number_width(const struct rule_number *number)
{
    return number->known && number->value > 0 ? (number->high - number->low) / number->value : 0;
}
