/* Each delay is drawn from the base to some multiple (three, as AWS has it) of the delay before. */
#include "grade/rule_bounds.h"
#include "grade/rule_chain.h"
#include "grade/rule_number.h"

#include <math.h>

static const double range_cost = 3; /* 95 % certainty, as in rule_spread.c */
static const double factor_min = 1.2;
static const double factor_max = 20;

/* The bases that are tried reach from the least delay down to this share of it. */
enum { BASES = 60 };
static const double base_reach = 0.6;

/* The largest multiple of the delay before that is seen below the cap. */
static double largest_share(const struct rule_data *data, double base_ns)
{
    double largest = factor_min;
    for (size_t i = 0; i < data->run_count; i++) {
        double before = base_ns;
        for (size_t j = 0; j < data->runs[i].count; j++) {
            double delay_ns = (double)data->runs[i].delays_ns[j];
            if (!rule_data_is_top(data, delay_ns) && delay_ns / before > largest)
                largest = delay_ns / before;
            before = delay_ns > base_ns ? delay_ns : base_ns;
        }
    }
    return largest;
}

/* What is known of the base and the factor once all bases that are possible have been tried. */
struct scan {
    struct rule_chain best;
    double cost;
    double chance;
    double base_least;
    double base_most;
    double share_least;
    double share_most;
    double base_sum; /* weighted by how likely they are */
    double share_sum;
    double weight;
};

static void try_base(const struct rule_data *data, double base, struct scan *scan)
{
    struct rule_chain chain = {base, base, 0, largest_share(data, base)};
    rule_chain_stretch(data, &chain);
    struct rule_chain_cost cost = rule_chain_cost(data, &chain);
    if (chain.high_share > factor_max || !(cost.cost < HUGE_VAL))
        return;
    /* Weights are relative to the best so far. */
    if (scan->weight == 0 || cost.cost < scan->cost) {
        double fade = scan->weight == 0 ? 0 : exp(cost.cost - scan->cost);
        scan->base_sum *= fade;
        scan->share_sum *= fade;
        scan->weight *= fade;
        scan->best = chain;
        scan->cost = cost.cost;
        scan->chance = cost.chance;
    }
    double weight = exp(scan->cost - cost.cost);
    scan->weight += weight;
    scan->base_sum += weight * base;
    scan->share_sum += weight * chain.high_share;
}

static void widen(const struct rule_data *data, double base, struct scan *scan)
{
    struct rule_chain chain = {base, base, 0, largest_share(data, base)};
    rule_chain_stretch(data, &chain);
    if (rule_chain_cost(data, &chain).cost > scan->cost + range_cost)
        return;
    scan->base_least = base < scan->base_least ? base : scan->base_least;
    scan->base_most = base > scan->base_most ? base : scan->base_most;
    scan->share_least = chain.high_share < scan->share_least ? chain.high_share : scan->share_least;
    scan->share_most = chain.high_share > scan->share_most ? chain.high_share : scan->share_most;
}

/* The least delay that was seen may be far above the base, and the first delays tell it, too: the
 * longest of them is at most the factor times the base. */
static void try_data(const struct rule_data *data, struct rule_fit *fit)
{
    double t = data->tolerance_ns;
    if (data->least_ns <= t)
        return;
    struct scan scan = {.base_least = HUGE_VAL, .share_least = HUGE_VAL};
    for (int i = 0; i <= BASES; i++)
        try_base(data, data->least_ns * (1 - base_reach * i / BASES), &scan);
    if (scan.weight == 0)
        return;
    for (int i = 0; i <= BASES; i++)
        widen(data, data->least_ns * (1 - base_reach * i / BASES), &scan);
    struct rule_chain_cost best = rule_chain_cost(data, &scan.best);
    double slack = best.share_density > 0 ? range_cost / best.share_density : 0;
    struct rule_fit candidate = {.fits = true, .chance = scan.chance};
    candidate.numbers = 2 + (size_t)data->has_top;
    candidate.cost =
        scan.cost + (double)candidate.numbers * rule_fit_number_cost(data->delay_count, 1);
    struct rule *rule = &candidate.rule;
    rule->family = RULE_DECORRELATED;
    rule->jitter_even = true;
    rule->base_ns = rule_number_between(scan.base_least > t ? scan.base_least - t : 0,
                                        scan.base_most + t, scan.base_sum / scan.weight);
    rule->factor = rule_number_between(scan.share_least, scan.share_most + slack,
                                       scan.share_sum / scan.weight + slack / range_cost);
    if (data->has_top) {
        rule->cap_ns = rule_number_between(data->most_ns - t, data->most_ns + t, data->most_ns);
        rule->cap_is_last = true;
    }
    candidate.likeliest = rule_likeliest(rule);
    candidate.likeliest.base_ns.value = scan.best.low_ns;
    candidate.likeliest.factor.value = scan.best.high_share;
    rule_fit_take_better(fit, &candidate);
}

void rule_fit_decorrelated(const struct rule_data *data, struct rule_fit *fit)
{
    /* The law shows in pairs of delays. */
    if (data->index_count < 2 || data->delay_count < 4 || rule_data_is_same_in_all_runs(data))
        return;
    try_data(data, fit);
    struct rule_data clamped;
    if (rule_data_clamped(&clamped, data, true, false))
        try_data(&clamped, fit);
}
