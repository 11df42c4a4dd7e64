#include "grade/rule_bounds.h"

#include "grade/rule_growth.h"

#include <math.h>
#include <stdlib.h>

static double value_or(const struct rule_number *number, double otherwise)
{
    return number->known ? number->value : otherwise;
}

static double growing_delay(const struct rule *rule, size_t retry)
{
    double delay_ns = rule->base_ns.value;
    if (rule->family == RULE_LINEAR)
        delay_ns += rule->step_ns.value * (double)retry;
    else if (rule->family == RULE_EXPONENTIAL)
        delay_ns *= pow(rule->factor.value, (double)retry);
    if (rule->cap_ns.known && !rule->cap_is_last && delay_ns > rule->cap_ns.value)
        return rule->cap_ns.value;
    return delay_ns;
}

static double between(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

bool rule_bounds(const struct rule *rule, size_t retry, double before_ns, double *low_ns,
                 double *high_ns)
{
    double share_low = value_or(&rule->share_low, 1);
    double share_high = value_or(&rule->share_high, 1);
    switch (rule->family) {
    case RULE_IMMEDIATE:
        *low_ns = 0;
        *high_ns = 0;
        return true;
    case RULE_FIXED:
    case RULE_LINEAR:
    case RULE_EXPONENTIAL:
        if (rule->first_immediate && retry == 0) {
            *low_ns = 0;
            *high_ns = 0;
            return true;
        }
        *low_ns = growing_delay(rule, rule->first_immediate ? retry - 1 : retry);
        *high_ns = *low_ns * share_high + value_or(&rule->jitter_ns, 0);
        *low_ns *= share_low;
        break;
    case RULE_DECORRELATED:
        *low_ns = rule->base_ns.value;
        *high_ns = rule->factor.value * (retry == 0 ? rule->base_ns.value : before_ns);
        break;
    case RULE_COMPOUNDING:
        *low_ns = rule->factor.value * (retry == 0 ? rule->base_ns.value : before_ns);
        *high_ns = *low_ns * share_high;
        *low_ns *= share_low;
        break;
    default:
        return false;
    }
    double floor_ns = value_or(&rule->floor_ns, 0);
    double cap_ns = rule->cap_is_last ? value_or(&rule->cap_ns, HUGE_VAL) : HUGE_VAL;
    *low_ns = between(*low_ns, floor_ns, cap_ns);
    *high_ns = between(*high_ns, floor_ns, cap_ns);
    return true;
}

struct rule rule_likeliest(const struct rule *rule)
{
    struct rule likeliest = *rule;
    struct rule_number *numbers[] = {
        &likeliest.base_ns,  &likeliest.step_ns,   &likeliest.factor,     &likeliest.cap_ns,
        &likeliest.floor_ns, &likeliest.share_low, &likeliest.share_high, &likeliest.jitter_ns,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        numbers[i]->value = numbers[i]->likeliest;
    return likeliest;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of `count` sorted shares that should be even from 0 to 1; the asymptotic law is good to 10 % from
 * 20 on, and for fewer it errs on the side of "even". */
static double even_chance(const double *shares, size_t count)
{
    double distance = 0;
    double n = (double)count;
    for (size_t i = 0; i < count; i++) {
        double above = (double)(i + 1) / n - shares[i];
        double below = shares[i] - (double)i / n;
        distance = above > distance ? above : distance;
        distance = below > distance ? below : distance;
    }
    double chance = 2 * exp(-2 * n * distance * distance);
    return chance < 1 ? chance : 1;
}

/* Where in their ranges the delays are, from 0 to 1: of all, and of each retry by itself. */
struct places {
    double all[RULE_RUNS_MAX * RULE_DELAYS_MAX];
    size_t count;
    double sum_at[RULE_DELAYS_MAX];
    size_t count_at[RULE_DELAYS_MAX];
};

static void count_place(const struct rule *rule, const struct rule_data *data, size_t retry,
                        double delay_ns, double low, double high, struct places *places)
{
    double t = data->tolerance_ns;
    bool is_clamped =
        (rule->cap_is_last && rule->cap_ns.known && delay_ns > rule->cap_ns.value - t) ||
        (rule->floor_ns.known && delay_ns < rule->floor_ns.value + t);
    /* What spreads less than the tolerance says nothing about its spread. */
    if (is_clamped || high - low <= 4 * t)
        return;
    double place = between((delay_ns - low) / (high - low), 0, 1);
    places->all[places->count++] = place;
    places->sum_at[retry] += place;
    places->count_at[retry]++;
}

static double drift_chance(const struct places *places)
{
    double n = (double)places->count;
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < places->count; i++) {
        sum += places->all[i];
        squares += places->all[i] * places->all[i];
    }
    double variance = squares / n - (sum / n) * (sum / n);
    double farthest = 0; /* in squared standard deviations of a mean */
    for (size_t k = 0; k < RULE_DELAYS_MAX; k++) {
        if (places->count_at[k] == 0 || variance <= 0)
            continue;
        double count = (double)places->count_at[k];
        double off = places->sum_at[k] / count - sum / n;
        farthest =
            off * off * count / variance > farthest ? off * off * count / variance : farthest;
    }
    return between(2 * RULE_DELAYS_MAX * exp(-farthest / 2), 0, 1);
}

static double gap_chance(const struct places *places)
{
    double n = (double)places->count;
    double first = places->all[0];
    double last = places->all[places->count - 1];
    double spread = last - first;
    double chances[] = {pow(last, n), pow(1 - first, n),
                        n * pow(spread, n - 1) - (n - 1) * pow(spread, n)};
    double least = 1;
    for (size_t i = 0; i < 3; i++)
        least = chances[i] < least ? chances[i] : least;
    return between(3 * least, 0, 1);
}

struct rule_fill rule_fill(const struct rule *rule, const struct rule_data *data)
{
    struct rule_fill fill = {true, 1, 1, 1};
    struct places places = {.count = 0};
    double t = data->tolerance_ns;
    for (size_t i = 0; i < data->run_count; i++) {
        double before_ns = 0;
        for (size_t j = 0; j < data->runs[i].count; j++) {
            double delay_ns = (double)data->runs[i].delays_ns[j];
            double low = 0;
            double high = 0;
            if (!rule_bounds(rule, j, before_ns, &low, &high)) {
                fill.holds_all = false;
                return fill;
            }
            before_ns = delay_ns;
            if (delay_ns < low - t || delay_ns > high + t)
                fill.holds_all = false;
            count_place(rule, data, j, delay_ns, low, high, &places);
        }
    }
    if (places.count == 0)
        return fill;
    /* Chance does not give the same delays in run after run. */
    if (data->run_count > 1 && rule_data_is_same_in_all_runs(data)) {
        fill.gap_chance = fill.even_chance = fill.drift_chance = 0;
        return fill;
    }
    fill.drift_chance = drift_chance(&places);
    qsort(places.all, places.count, sizeof places.all[0], compare_doubles);
    fill.gap_chance = gap_chance(&places);
    fill.even_chance = even_chance(places.all, places.count);
    return fill;
}
