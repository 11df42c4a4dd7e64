#include "grade/rule_chain.h"

#include <math.h>

enum { STRETCHES = 60 };
static const double stretch_by = 1.02;

struct tally {
    double filled_to; /* shares of the range, of the delay nearest to an end */
    double filled_from;
    size_t count;
};

static void count_delay(const struct rule_data *data, double delay_ns, double low, double high,
                        struct rule_chain_cost *sum, struct tally *tally)
{
    double t = data->tolerance_ns;
    double range = high - low + 2 * t;
    if (range <= 0) {
        sum->cost = HUGE_VAL;
        return;
    }
    if (rule_data_is_top(data, delay_ns)) {
        double beyond = high + t - data->most_ns;
        double share = beyond < range ? beyond / range : 1;
        sum->cost -= beyond > 0 ? log(share / (2 * t)) : -HUGE_VAL;
        return;
    }
    sum->cost += log(range);
    sum->low_density += 1 / range;
    tally->count++;
    double end = data->has_top && high > data->most_ns ? data->most_ns : high;
    double visible = end - low + 2 * t;
    double share = (delay_ns + t - low) / visible;
    tally->filled_to = share > tally->filled_to ? share : tally->filled_to;
    tally->filled_from = 1 - share > tally->filled_from ? 1 - share : tally->filled_from;
}

static double clamped(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

struct rule_chain_cost rule_chain_cost(const struct rule_data *data, const struct rule_chain *chain)
{
    struct rule_chain_cost sum = {0};
    struct tally tally = {0};
    for (size_t i = 0; i < data->run_count; i++) {
        double before = chain->first_ns;
        for (size_t j = 0; j < data->runs[i].count; j++) {
            double delay_ns = (double)data->runs[i].delays_ns[j];
            double low = chain->low_ns + chain->low_share * before;
            double high = chain->high_share * before;
            count_delay(data, delay_ns, low, high, &sum, &tally);
            if (!rule_data_is_top(data, delay_ns) && high > low)
                sum.share_density += before / (high - low);
            before = delay_ns;
        }
    }
    double count = (double)tally.count;
    double to = pow(clamped(tally.filled_to, 0, 1), count);
    double from = pow(clamped(tally.filled_from, 0, 1), count);
    sum.chance = clamped(2 * (to < from ? to : from), 0, 1);
    return sum;
}

void rule_chain_stretch(const struct rule_data *data, struct rule_chain *chain)
{
    if (!data->has_top)
        return;
    double cost = rule_chain_cost(data, chain).cost;
    struct rule_chain longer = *chain;
    for (int i = 0; i < STRETCHES; i++) {
        longer.high_share *= stretch_by;
        double longer_cost = rule_chain_cost(data, &longer).cost;
        if (longer_cost < cost) {
            cost = longer_cost;
            *chain = longer;
        }
    }
}
