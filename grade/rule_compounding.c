/* Each delay is the one before times a random factor, so that jitter adds up: the loop of the
 * cookbook, delay *= 2 * (1 + random()). */
#include "grade/rule_bounds.h"
#include "grade/rule_chain.h"
#include "grade/rule_number.h"

#include <math.h>

static const double range_cost = 3; /* 95 % certainty, as in rule_spread.c */

struct shares {
    double least;
    double most;
};

/* Of the delay before, over all delays but the first of each run. */
static struct shares find_shares(const struct rule_data *data)
{
    struct shares shares = {HUGE_VAL, 0};
    for (size_t i = 0; i < data->run_count; i++) {
        for (size_t j = 1; j < data->runs[i].count; j++) {
            double delay_ns = (double)data->runs[i].delays_ns[j];
            double before_ns = (double)data->runs[i].delays_ns[j - 1];
            if (rule_data_is_top(data, delay_ns) || before_ns <= 0)
                continue;
            double share = delay_ns / before_ns;
            shares.least = share < shares.least ? share : shares.least;
            shares.most = share > shares.most ? share : shares.most;
        }
    }
    return shares;
}

static struct rule_number at_least_zero(double low, double high, double value)
{
    return rule_number_between(low > 0 ? low : 0, high, value > 0 ? value : 0);
}

static void try_data(const struct rule_data *data, struct rule_fit *fit)
{
    const struct rule_index *first = &data->at[0];
    struct shares shares = find_shares(data);
    if (first->count == 0 || !(shares.least < shares.most))
        return;
    /* The first delay tells the base, and may be an end of the range itself. */
    double base_low = first->most_ns / shares.most;
    double base_high = first->least_ns / shares.least;
    double base = base_low < base_high ? (base_low + base_high) / 2 : sqrt(base_low * base_high);
    if (base_low > base_high) {
        shares.least =
            first->least_ns / base < shares.least ? first->least_ns / base : shares.least;
        shares.most = first->most_ns / base > shares.most ? first->most_ns / base : shares.most;
    }
    struct rule_chain chain = {base, 0, shares.least, shares.most};
    rule_chain_stretch(data, &chain);
    struct rule_chain_cost cost = rule_chain_cost(data, &chain);
    if (!(cost.cost < HUGE_VAL))
        return;
    double slack = cost.share_density > 0 ? range_cost / cost.share_density : 0;
    struct rule_fit candidate = {.fits = true, .chance = cost.chance};
    candidate.numbers = 3 + (size_t)data->has_top;
    candidate.cost =
        cost.cost + (double)candidate.numbers * rule_fit_number_cost(data->delay_count, 1);
    struct rule *rule = &candidate.rule;
    rule->family = RULE_COMPOUNDING;
    rule->jitter_even = true;
    rule->jitter = RULE_JITTER_PROPORTIONAL;
    double least = shares.least - slack > 0 ? shares.least - slack : 0;
    double most = chain.high_share + slack;
    double lower = base_low < base_high ? base_low : base_high;
    double upper = base_low < base_high ? base_high : base_low;
    rule->base_ns = rule_number_between(lower * chain.high_share / most,
                                        least > 0 ? upper * shares.least / least : upper * 2, base);
    rule->factor = at_least_zero(least, shares.least, shares.least - slack / range_cost);
    rule->share_low = (struct rule_number){true, 1, 1, 1, 1};
    rule->share_high =
        rule_number_between(chain.high_share / shares.least, least > 0 ? most / least : HUGE_VAL,
                            chain.high_share / shares.least);
    if (data->has_top) {
        double t = data->tolerance_ns;
        rule->cap_ns = rule_number_between(data->most_ns - t, data->most_ns + t, data->most_ns);
        rule->cap_is_last = true;
    }
    candidate.likeliest = rule_likeliest(rule);
    rule_fit_take_better(fit, &candidate);
}

void rule_fit_compounding(const struct rule_data *data, struct rule_fit *fit)
{
    if (data->index_count < 3 || data->delay_count < 6 || rule_data_is_same_in_all_runs(data))
        return;
    try_data(data, fit);
    struct rule_data clamped;
    if (rule_data_clamped(&clamped, data, true, false))
        try_data(&clamped, fit);
}
