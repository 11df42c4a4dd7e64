/* Rules with jitter: the growth and the jitter whose ranges hold all delays most narrowly. */
#include "grade/rule_bounds.h"
#include "grade/rule_growth.h"
#include "grade/rule_number.h"
#include "grade/rule_reading.h"

#include <math.h>

/* How far the delays of retry k reach. With g the growth at k:
 *     RELATIVE   low * g to high * g
 *     FULL       0 to high * g
 *     FLOORED    low to the longer of low and high * g
 *     ADDITIVE   low * g to low * g + high */
enum spread_kind { SPREAD_RELATIVE, SPREAD_FULL, SPREAD_FLOORED, SPREAD_ADDITIVE, SPREAD_COUNT };

static const size_t numbers_of_kind[SPREAD_COUNT] = {2, 1, 2, 2};

enum {
    RATES = 120, /* of the first, coarse search */
    KNEES_PER_RETRY = 6,
    ZOOMS = 16,
    ZOOM_SIDE = 4,   /* steps to each side */
    RANGE_SIDE = 30, /* of the search for how sure a number is */
    STRETCHES = 40,  /* of the high end, for delays that are cut */
};

static const double zoom_by = 0.6;
static const double stretch_by = 1.05;
/* The rates that are searched: factors from 1.1 to 20, steps from 0.1 to 20 times the base. */
static const double rate_min = 0.1;
static const double rate_max = 20;
/* Of likelihood: what lies farther below the best is excluded with 95 % certainty. */
static const double range_cost = 3;

/* A single run does not show jitter, so that it is thought of only where nothing else fits. */
static const double single_run_cost = 1000;

struct spread {
    struct rule_growth growth;
    enum spread_kind kind;
    double low;
    double high;
    double cost;
};

struct search {
    const struct rule_data *data;
    enum rule_family family;
    enum spread_kind kind;
    double rate_low;
    double rate_high;
    bool has_knee;
};

static void ends_at(const struct spread *spread, double g, double *low, double *high)
{
    switch (spread->kind) {
    case SPREAD_FULL:
        *low = 0;
        *high = spread->high * g;
        break;
    case SPREAD_FLOORED:
        *low = spread->low;
        *high = spread->high * g > spread->low ? spread->high * g : spread->low;
        break;
    case SPREAD_ADDITIVE:
        *low = spread->low * g;
        *high = spread->low * g + spread->high;
        break;
    default:
        *low = spread->low * g;
        *high = spread->high * g;
        break;
    }
}

/* What delays at a clamp cost: the part of the range beyond it, all of it at one value. */
static double clamp_cost(size_t count, double beyond, double range, double tolerance_ns)
{
    if (count == 0)
        return 0;
    if (beyond <= 0)
        return HUGE_VAL;
    double share = beyond < range ? beyond / range : 1;
    return -(double)count * log(share / (2 * tolerance_ns));
}

static double cost_of(const struct rule_data *data, const struct spread *spread)
{
    double cost = 0;
    double t = data->tolerance_ns;
    for (size_t k = 0; k < data->index_count; k++) {
        const struct rule_index *at = &data->at[k];
        double low = 0;
        double high = 0;
        ends_at(spread, rule_growth_at(&spread->growth, (double)k), &low, &high);
        double range = high - low + 2 * t;
        cost += (double)at->count * log(range);
        cost += clamp_cost(at->at_top, high + t - data->most_ns, range, t);
        cost += clamp_cost(at->at_bottom, data->least_ns + t - low, range, t);
    }
    return cost;
}

/* The narrowest ends that hold all delays between the clamps. */
static void narrow(const struct rule_data *data, struct spread *spread)
{
    double low = HUGE_VAL;
    double high = 0;
    for (size_t k = 0; k < data->index_count; k++) {
        if (data->at[k].count == 0)
            continue;
        double g = rule_growth_at(&spread->growth, (double)k);
        double least = data->at[k].least_ns / (spread->kind == SPREAD_FLOORED ? 1 : g);
        low = least < low ? least : low;
    }
    spread->low = spread->kind == SPREAD_FULL ? 0 : low;
    for (size_t k = 0; k < data->index_count; k++) {
        const struct rule_index *at = &data->at[k];
        double g = rule_growth_at(&spread->growth, (double)k);
        double most = spread->kind == SPREAD_ADDITIVE ? at->most_ns - low * g : at->most_ns / g;
        bool at_floor =
            spread->kind == SPREAD_FLOORED && at->most_ns <= low + 2 * data->tolerance_ns;
        if (at->count > 0 && !at_floor && most > high)
            high = most;
    }
    spread->high = high;
}

static struct spread evaluate(const struct search *search, double rate, double knee)
{
    struct spread spread = {{search->family, rate, knee}, search->kind, 0, 0, 0};
    narrow(search->data, &spread);
    spread.cost = cost_of(search->data, &spread);
    if (!search->data->has_top)
        return spread;
    /* What is cut off may have reached farther than what was seen. */
    struct spread longer = spread;
    for (int i = 0; i < STRETCHES; i++) {
        longer.high *= stretch_by;
        longer.cost = cost_of(search->data, &longer);
        if (longer.cost < spread.cost)
            spread = longer;
    }
    return spread;
}

static void take_lower(struct spread *best, struct spread candidate)
{
    if (candidate.cost < best->cost)
        *best = candidate;
}

static double clamped(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* The knee at which the growth is `times` the first. */
static double knee_at(const struct search *search, double rate, double times)
{
    if (times <= 1)
        return 0;
    return (search->family == RULE_EXPONENTIAL ? log(times) : times - 1) / rate;
}

/* The extreme delays before retry `end` as shares of the growth, and those from it on as they are.
 */
static void find_sides(const struct rule_data *data, const struct rule_growth *growth, size_t end,
                       struct rule_index *before, struct rule_index *after)
{
    *before = *after = (struct rule_index){.least_ns = HUGE_VAL};
    for (size_t k = 0; k < data->index_count; k++) {
        const struct rule_index *at = &data->at[k];
        struct rule_index *side = k < end ? before : after;
        double g = k < end ? rule_growth_at(growth, (double)k) : 1;
        if (at->count == 0)
            continue;
        side->least_ns = at->least_ns / g < side->least_ns ? at->least_ns / g : side->least_ns;
        side->most_ns = at->most_ns / g > side->most_ns ? at->most_ns / g : side->most_ns;
    }
}

/* For each retry from which on all may be at the cap, the knee that the least or the most of them
 * say: the valley in which narrow jitter fits is far narrower than the steps of a search. */
static void try_knees_seen(const struct search *search, double rate, struct spread *best)
{
    if (!search->has_knee)
        return;
    struct rule_growth growth = {search->family, rate, HUGE_VAL};
    for (size_t end = 1; end < search->data->index_count; end++) {
        struct rule_index before;
        struct rule_index after;
        find_sides(search->data, &growth, end, &before, &after);
        if (before.most_ns <= 0 || after.most_ns <= 0 || before.least_ns <= 0)
            continue;
        double first = (double)end - 1;
        double by_least = knee_at(search, rate, after.least_ns / before.least_ns);
        double by_most = knee_at(search, rate, after.most_ns / before.most_ns);
        take_lower(best, evaluate(search, rate, clamped(by_least, first, first + 1)));
        take_lower(best, evaluate(search, rate, clamped(by_most, first, first + 1)));
    }
}

static struct spread coarse_search(const struct search *search, double *rate_step,
                                   double *knee_step)
{
    struct spread best = {.cost = HUGE_VAL};
    *rate_step = log(search->rate_high / search->rate_low) / RATES;
    *knee_step = 1.0 / KNEES_PER_RETRY;
    int knees = ((int)search->data->index_count - 1) * KNEES_PER_RETRY;
    for (int i = 0; i <= RATES; i++) {
        double rate = search->rate_low * exp(*rate_step * i);
        if (!search->has_knee) {
            take_lower(&best, evaluate(search, rate, HUGE_VAL));
            continue;
        }
        try_knees_seen(search, rate, &best);
        for (int j = 1; j < knees; j++)
            take_lower(&best, evaluate(search, rate, *knee_step * j));
    }
    return best;
}

static struct spread find_best(const struct search *search)
{
    if (search->family == RULE_FIXED)
        return evaluate(search, 0, HUGE_VAL);
    double rate_width = 0;
    double knee_step = 0;
    struct spread best = coarse_search(search, &rate_width, &knee_step);
    int knee_side = search->has_knee ? ZOOM_SIDE : 0;
    double knee_last = (double)search->data->index_count - 1;
    for (int zoom = 0; zoom < ZOOMS; zoom++) {
        struct rule_growth centre = best.growth;
        for (int i = -ZOOM_SIDE; i <= ZOOM_SIDE; i++) {
            double rate =
                clamped(centre.rate * exp(rate_width * i / 2), search->rate_low, search->rate_high);
            try_knees_seen(search, rate, &best);
            for (int j = -knee_side; j <= knee_side; j++) {
                double knee = search->has_knee
                                  ? clamped(centre.knee + knee_step * j / 2, 0, knee_last)
                                  : HUGE_VAL;
                take_lower(&best, evaluate(search, rate, knee));
            }
        }
        rate_width *= zoom_by;
        knee_step *= zoom_by;
    }
    return best;
}

/* --- how sure the numbers are ----------------------------------------------------------------- */

struct extremes {
    struct spread least;
    struct spread most;
    double cap_least;
    double cap_most;
    /* Weighted by how likely they are: what lies between is nearer to the truth than the best. */
    struct spread mean;
    double cap_mean;
    double weight;
};

static void widen(double *least, double *most, double value)
{
    *least = value < *least ? value : *least;
    *most = value > *most ? value : *most;
}

static void weigh(struct extremes *extremes, const struct spread *near, double cap, double weight)
{
    extremes->weight += weight;
    double share = weight / extremes->weight;
    struct spread *mean = &extremes->mean;
    mean->growth.rate += share * (near->growth.rate - mean->growth.rate);
    mean->low += share * (near->low - mean->low);
    mean->high += share * (near->high - mean->high);
    extremes->cap_mean += share * (cap - extremes->cap_mean);
}

/* How far a rate can go, with everything else as it is, before it is excluded. */
static double rate_reach(const struct search *search, const struct spread *best)
{
    double reach = 1e-6;
    while (reach < 1) {
        double cost_up = evaluate(search, best->growth.rate * (1 + reach), best->growth.knee).cost;
        double cost_down =
            evaluate(search, best->growth.rate / (1 + reach), best->growth.knee).cost;
        if (cost_up > best->cost + range_cost && cost_down > best->cost + range_cost)
            break;
        reach *= 1.5;
    }
    return reach;
}

static struct extremes find_extremes(const struct search *search, const struct spread *best)
{
    double cap = rule_growth_at(&best->growth, best->growth.knee);
    struct extremes extremes = {*best, *best, cap, cap, *best, cap, 0};
    if (search->family == RULE_FIXED)
        return extremes;
    /* Numbers that are fitted together can go farther than one alone. */
    double reach = 3 * rate_reach(search, best) / RANGE_SIDE;
    int knee_side = search->has_knee ? RANGE_SIDE : 0;
    for (int i = -RANGE_SIDE; i <= RANGE_SIDE; i++) {
        double rate = best->growth.rate * exp(reach * i);
        for (int j = -knee_side; j <= knee_side; j++) {
            double knee = search->has_knee ? best->growth.knee + 0.02 * j : HUGE_VAL;
            if (knee < 0)
                continue;
            struct spread near = evaluate(search, rate, knee);
            double near_cap = rule_growth_at(&near.growth, knee);
            weigh(&extremes, &near, near_cap, exp(best->cost - near.cost));
            if (near.cost > best->cost + range_cost)
                continue;
            widen(&extremes.least.growth.rate, &extremes.most.growth.rate, rate);
            widen(&extremes.least.low, &extremes.most.low, near.low);
            widen(&extremes.least.high, &extremes.most.high, near.high);
            if (search->has_knee)
                widen(&extremes.cap_least, &extremes.cap_most, rule_growth_at(&near.growth, knee));
        }
    }
    return extremes;
}

/* By how much an end may lie beyond the last delay that was seen, in the unit of low and high. */
static double slack_of(const struct rule_data *data, const struct spread *spread)
{
    double density = 0;
    for (size_t k = 0; k < data->index_count; k++) {
        double low = 0;
        double high = 0;
        double g = rule_growth_at(&spread->growth, (double)k);
        ends_at(spread, g, &low, &high);
        double scale = spread->kind == SPREAD_ADDITIVE ? 1 : g;
        if (high > low)
            density += (double)data->at[k].count * scale / (high - low + 2 * data->tolerance_ns);
    }
    return density > 0 ? range_cost / density : 0;
}

/* The chance that the ends of a range that is filled evenly stay as empty as the emptiest here. */
static double chance_of_gaps(const struct rule_data *data, const struct spread *spread)
{
    double chance = 1;
    double t = data->tolerance_ns;
    for (size_t k = 0; k < data->index_count; k++) {
        const struct rule_index *at = &data->at[k];
        if (at->count == 0)
            continue;
        double low = 0;
        double high = 0;
        ends_at(spread, rule_growth_at(&spread->growth, (double)k), &low, &high);
        if (data->has_top && high > data->most_ns)
            high = data->most_ns;
        if (data->has_bottom && low < data->least_ns)
            low = data->least_ns;
        double range = high - low + 2 * t;
        double filled_to =
            pow(clamped((at->most_ns + t - low + t) / range, 0, 1), (double)at->count);
        double filled_from =
            pow(clamped((high + t - at->least_ns + t) / range, 0, 1), (double)at->count);
        chance = filled_to < chance ? filled_to : chance;
        chance = filled_from < chance ? filled_from : chance;
    }
    return clamped(chance * 2 * (double)data->index_count, 0, 1);
}

/* --- as a rule -------------------------------------------------------------------------------- */

static struct rule_number number(double low, double high, double value)
{
    low = low > 0 ? low : 0;
    value = clamped(value, low, high);
    return (struct rule_number){true, value, value, low, high};
}

static struct rule_number rounded(double low, double high, double value)
{
    struct rule_number plain = number(low, high, value);
    return rule_number_between(plain.low, plain.high, plain.value);
}

static void take_growth(const struct search *search, const struct extremes *extremes,
                        struct rule *rule)
{
    double least = extremes->least.growth.rate;
    double most = extremes->most.growth.rate;
    double rate = extremes->mean.growth.rate;
    const struct rule_number *base = &rule->base_ns;
    if (search->family == RULE_EXPONENTIAL)
        rule->factor = rounded(exp(least), exp(most), exp(rate));
    else if (search->family == RULE_LINEAR)
        rule->step_ns = rounded(least * base->low, most * base->high, rate * base->likeliest);
    if (search->has_knee)
        rule->cap_ns = rounded(extremes->cap_least * base->low, extremes->cap_most * base->high,
                               extremes->cap_mean * base->likeliest);
}

static struct rule as_rule(const struct search *search, const struct spread *best,
                           const struct extremes *extremes)
{
    const struct rule_data *data = search->data;
    struct rule rule = {.family = search->family, .jitter_even = true};
    double slack = slack_of(data, best);
    double shift = slack / range_cost;
    struct rule_number high =
        number(extremes->least.high, extremes->most.high + slack, extremes->mean.high + shift);
    struct rule_number low =
        number(extremes->least.low - slack, extremes->most.low, extremes->mean.low - shift);
    switch (best->kind) {
    case SPREAD_ADDITIVE:
        /* The low end is pinned by the longest delays, of which the jitter is a small part. */
        rule.jitter = RULE_JITTER_ADDITIVE;
        rule.base_ns = rounded(extremes->least.low, extremes->most.low, extremes->mean.low);
        rule.jitter_ns = rounded(high.low, high.high, high.value);
        break;
    case SPREAD_FLOORED:
        rule_reading_take(&rule, number(0, 0, 0), high);
        rule.floor_ns = rounded(low.low, low.high, low.value);
        break;
    default:
        rule_reading_take(&rule, low, high);
        break;
    }
    take_growth(search, extremes, &rule);
    double t = data->tolerance_ns;
    if (data->has_top) {
        rule.cap_ns = rounded(data->most_ns - t, data->most_ns + t, data->most_ns);
        rule.cap_is_last = true;
    }
    if (data->has_bottom)
        rule.floor_ns = rounded(data->least_ns - t, data->least_ns + t, data->least_ns);
    return rule;
}

/* The rule with its numbers where its ranges hold all delays best: the means, each by itself, need
 * not do so. */
static struct rule likeliest_rule(const struct search *search, const struct spread *best,
                                  struct extremes extremes)
{
    extremes.mean = *best;
    extremes.cap_mean = rule_growth_at(&best->growth, best->growth.knee);
    struct rule rule = as_rule(search, best, &extremes);
    return rule_likeliest(&rule);
}

/* How wide the ranges are, as shares of the delays: the mean over all delays between the clamps. */
static double width_of(const struct rule_data *data, const struct spread *spread)
{
    double sum = 0;
    double count = 0;
    for (size_t k = 0; k < data->index_count; k++) {
        double low = 0;
        double high = 0;
        ends_at(spread, rule_growth_at(&spread->growth, (double)k), &low, &high);
        sum += (double)data->at[k].count * (high - low) / (high + data->tolerance_ns);
        count += (double)data->at[k].count;
    }
    return count > 0 ? sum / count : 1;
}

/* --- the search through all kinds ------------------------------------------------------------- */

static void try_search(const struct search *search, struct rule_fit *fit)
{
    const struct rule_data *data = search->data;
    struct spread best = find_best(search);
    if (!(best.cost < HUGE_VAL))
        return;
    size_t numbers = numbers_of_kind[search->kind] + (search->family != RULE_FIXED) +
                     search->has_knee + data->has_top + data->has_bottom;
    double cost = best.cost +
                  (double)numbers * rule_fit_number_cost(data->delay_count, width_of(data, &best));
    if (data->run_count < 2)
        cost += single_run_cost;
    if (fit->fits && fit->cost <= cost)
        return;
    struct extremes extremes = find_extremes(search, &best);
    *fit = (struct rule_fit){true,
                             cost,
                             as_rule(search, &best, &extremes),
                             likeliest_rule(search, &best, extremes),
                             numbers,
                             chance_of_gaps(data, &best)};
}

static void try_data(const struct rule_data *data, enum rule_family family, struct rule_fit *fit)
{
    struct search search = {.data = data, .family = family};
    search.rate_low = rate_min;
    search.rate_high = family == RULE_EXPONENTIAL ? log(rate_max) : rate_max;
    for (int kind = 0; kind < SPREAD_COUNT; kind++) {
        search.kind = (enum spread_kind)kind;
        /* A floor of fixed delays is their low end, and what is added to them is so, too. */
        if (family == RULE_FIXED && kind >= SPREAD_FLOORED)
            continue;
        if (data->has_bottom && kind != SPREAD_FULL)
            continue;
        search.has_knee = false;
        try_search(&search, fit);
        search.has_knee = family != RULE_FIXED && !data->has_top && data->index_count > 2;
        if (search.has_knee)
            try_search(&search, fit);
    }
}

void rule_spread_fit(const struct rule_data *data, enum rule_family family, struct rule_fit *fit)
{
    if (data->delay_count < 2 || (data->run_count > 1 && rule_data_is_same_in_all_runs(data)))
        return;
    try_data(data, family, fit);
    struct rule_data clamped_data;
    for (int clamps = 1; clamps < 4; clamps++) {
        if (rule_data_clamped(&clamped_data, data, clamps & 1, clamps & 2))
            try_data(&clamped_data, family, fit);
    }
}
