#include "grade/rule_fit.h"

#include <math.h>

static rule_fitter *const table[] = {
    rule_fit_fixed,        rule_fit_exponential, rule_fit_linear,
    rule_fit_decorrelated, rule_fit_compounding,
};

double rule_fit_number_cost(size_t count, double width)
{
    /* What a client rounds to ms is not known any better. */
    static const double width_min = 1e-3;
    double at_least = width > width_min ? width : width_min;
    return log(10.0 * (double)(count > 0 ? count : 1) / (at_least < 1 ? at_least : 1));
}

void rule_fit_take_better(struct rule_fit *fit, const struct rule_fit *candidate)
{
    if (candidate->fits && (!fit->fits || candidate->cost < fit->cost))
        *fit = *candidate;
}

void rule_fit_all(const struct rule_data *data, struct rule_choice *choice)
{
    *choice = (struct rule_choice){0};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rule_fit fit = {0};
        table[i](data, &fit);
        if (!fit.fits)
            continue;
        if (!choice->best.fits || fit.cost < choice->best.cost) {
            choice->next = choice->best;
            choice->best = fit;
        } else {
            rule_fit_take_better(&choice->next, &fit);
        }
    }
}
