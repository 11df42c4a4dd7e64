/* Rules without jitter. What is said of retry k by delays that may each be off by the tolerance is
 * a range [low, high]; a rule explains them when a line goes through all ranges: of the delays for
 * a linear rule, of their logarithms for an exponential one. The delays may begin at a floor and
 * end at a cap. */
#include "grade/rule_bounds.h"
#include "grade/rule_growth.h"
#include "grade/rule_number.h"

#include <math.h>

/* Slower growth than that is none. */
static const double factor_min = 1.02;
static const double step_share_min = 0.02;

struct interval {
    double low;
    double high;
};

struct exact {
    const struct rule_data *data;
    enum rule_family family;
    struct interval at[RULE_DELAYS_MAX]; /* of the delays in ns */
};

static struct interval narrower(struct interval a, struct interval b)
{
    return (struct interval){a.low > b.low ? a.low : b.low, a.high < b.high ? a.high : b.high};
}

static bool is_empty(struct interval interval)
{
    return interval.low > interval.high;
}

static struct interval all_of(const struct exact *exact, size_t from, size_t to)
{
    struct interval common = {0, HUGE_VAL};
    for (size_t k = from; k < to; k++)
        common = narrower(common, exact->at[k]);
    return common;
}

/* In which the family is a straight line. */
static struct interval straight(const struct exact *exact, size_t k)
{
    struct interval at = exact->at[k];
    if (exact->family != RULE_EXPONENTIAL)
        return at;
    return (struct interval){log(at.low > 1 ? at.low : 1), log(at.high > 1 ? at.high : 1)};
}

/* The lines through the ranges of retries `from` to `to` (not included): a line through all exists
 * when every two agree on a slope. */
static bool find_lines(const struct exact *exact, size_t from, size_t to, struct interval *slope,
                       struct interval *start)
{
    *slope = (struct interval){-HUGE_VAL, HUGE_VAL};
    *start = (struct interval){-HUGE_VAL, HUGE_VAL};
    if (from == 0)
        *start = straight(exact, 0);
    for (size_t j = from; j < to; j++) {
        for (size_t k = j + 1; k < to; k++) {
            struct interval a = straight(exact, j);
            struct interval b = straight(exact, k);
            double apart = (double)(k - j);
            *slope = narrower(
                *slope, (struct interval){(b.low - a.high) / apart, (b.high - a.low) / apart});
            double x = (double)j;
            double y = (double)k;
            *start = narrower(*start, (struct interval){(y * a.low - x * b.high) / apart,
                                                        (y * a.high - x * b.low) / apart});
        }
    }
    return !is_empty(*slope) && !is_empty(*start);
}

static struct rule_number number(struct interval interval)
{
    return rule_number_between(interval.low, interval.high, (interval.low + interval.high) / 2);
}

static struct interval exponentials(struct interval logarithms)
{
    return (struct interval){exp(logarithms.low), exp(logarithms.high)};
}

/* Fills the numbers of a growing rule; false where the line does not grow, or does not reach the
 * cap when the delays do, or is above the floor when they are not. */
static bool take_lines(const struct exact *exact, struct interval slope, struct interval start,
                       size_t floor_end, size_t cap_start, struct rule *rule)
{
    double latest = (double)cap_start * slope.high + start.high;
    double earliest = (double)(floor_end > 0 ? floor_end - 1 : 0) * slope.low + start.low;
    if (exact->family == RULE_EXPONENTIAL) {
        if (slope.high < log(factor_min))
            return false;
        slope.low = slope.low > log(factor_min) ? slope.low : log(factor_min);
        rule->base_ns = number(exponentials(start));
        rule->factor = number(exponentials(slope));
        latest = exp(latest);
        earliest = exp(earliest);
    } else {
        double least = step_share_min * (start.low > 0 ? start.low : slope.high);
        if (slope.high < least || start.high < 0)
            return false;
        slope.low = slope.low > least ? slope.low : least;
        start.low = start.low > 0 ? start.low : 0;
        rule->base_ns = number(start);
        rule->step_ns = number(slope);
    }
    size_t end = exact->data->index_count;
    if (cap_start < end) {
        struct interval cap = all_of(exact, cap_start, end);
        if (latest < cap.low)
            return false;
        rule->cap_ns = number(cap);
    }
    if (floor_end > 0) {
        struct interval floor = all_of(exact, 0, floor_end);
        if (earliest > floor.high)
            return false;
        rule->floor_ns = number(floor);
    }
    return true;
}

static double exact_cost(const struct rule_data *data, size_t numbers)
{
    double range = 2 * data->tolerance_ns;
    return (double)data->delay_count * log(range) +
           (double)numbers * rule_fit_number_cost(data->delay_count, range / data->most_ns);
}

static void try_growth(const struct exact *exact, size_t floor_end, size_t cap_start,
                       struct rule_fit *fit)
{
    size_t end = exact->data->index_count;
    struct rule_fit candidate = {.fits = true, .chance = 1};
    struct interval slope;
    struct interval start;
    if ((floor_end > 0 && is_empty(all_of(exact, 0, floor_end))) ||
        (cap_start < end && is_empty(all_of(exact, cap_start, end))) ||
        !find_lines(exact, floor_end, cap_start, &slope, &start) ||
        !take_lines(exact, slope, start, floor_end, cap_start, &candidate.rule))
        return;
    candidate.numbers = 2 + (size_t)(floor_end > 0) + (size_t)(cap_start < end);
    candidate.cost = exact_cost(exact->data, candidate.numbers);
    rule_fit_take_better(fit, &candidate);
}

static void try_fixed(const struct exact *exact, struct rule_fit *fit)
{
    struct interval base = all_of(exact, 0, exact->data->index_count);
    if (is_empty(base))
        return;
    struct rule_fit candidate = {.fits = true, .chance = 1, .rule.base_ns = number(base)};
    candidate.numbers = 1;
    candidate.cost = exact_cost(exact->data, 1);
    rule_fit_take_better(fit, &candidate);
}

void rule_exact_fit(const struct rule_data *data, enum rule_family family, struct rule_fit *fit)
{
    struct exact exact = {.data = data, .family = family};
    for (size_t k = 0; k < data->index_count; k++) {
        exact.at[k] = (struct interval){data->at[k].most_ns - data->tolerance_ns,
                                        data->at[k].least_ns + data->tolerance_ns};
        if (is_empty(exact.at[k]))
            return;
        exact.at[k].low = exact.at[k].low > 0 ? exact.at[k].low : 0;
    }
    struct rule_fit best = {0};
    if (family == RULE_FIXED) {
        try_fixed(&exact, &best);
    } else {
        /* Two delays make a line; of those who do with fewer numbers, the one with the longest. */
        for (size_t floor_end = 0; floor_end + 2 <= data->index_count; floor_end++) {
            for (size_t cap_start = data->index_count; cap_start >= floor_end + 2; cap_start--)
                try_growth(&exact, floor_end, cap_start, &best);
        }
    }
    best.rule.family = family;
    best.rule.jitter = data->run_count > 1 ? RULE_JITTER_NONE : RULE_JITTER_UNKNOWN;
    best.rule.jitter_even = true;
    best.likeliest = rule_likeliest(&best.rule);
    rule_fit_take_better(fit, &best);
}
