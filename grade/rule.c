#include "grade/rule.h"

#include "grade/known_client.h"
#include "grade/rule_bounds.h"
#include "grade/rule_fit.h"
#include "grade/rule_header.h"
#include "grade/rule_number.h"

#include <math.h>

static const char *const family_words[RULE_FAMILY_COUNT] = {
    [RULE_UNKNOWN] = "unknown",
    [RULE_NONE] = "no retry",
    [RULE_IMMEDIATE] = "immediate",
    [RULE_FIXED] = "fixed",
    [RULE_LINEAR] = "linear",
    [RULE_EXPONENTIAL] = "exponential",
    [RULE_DECORRELATED] = "decorrelated",
    [RULE_COMPOUNDING] = "compounding",
    [RULE_HEADER_DRIVEN] = "header-driven",
};

static const char *const jitter_words[RULE_JITTER_COUNT] = {
    [RULE_JITTER_UNKNOWN] = "unknown",
    [RULE_JITTER_NONE] = "none",
    [RULE_JITTER_FULL] = "full",
    [RULE_JITTER_EQUAL] = "equal",
    [RULE_JITTER_SUBTRACTIVE] = "subtractive",
    [RULE_JITTER_PROPORTIONAL] = "proportional",
    [RULE_JITTER_AROUND] = "around",
    [RULE_JITTER_ADDITIVE] = "additive",
    [RULE_JITTER_REPEATED] = "repeated",
};

static const char *const header_words[RULE_HEADER_COUNT] = {
    [RULE_HEADER_UNSEEN] = "unseen",     [RULE_HEADER_IGNORED] = "ignored",
    [RULE_HEADER_HONOURED] = "honoured", [RULE_HEADER_CLAMPED] = "clamped",
    [RULE_HEADER_BACKOFF] = "backoff",   [RULE_HEADER_GIVES_UP] = "gives up",
    [RULE_HEADER_FLOOR] = "floor",       [RULE_HEADER_OTHER] = "other",
};

const char *rule_family_word(enum rule_family family)
{
    return family_words[family];
}

const char *rule_jitter_word(enum rule_jitter jitter)
{
    return jitter_words[jitter];
}

const char *rule_header_word(enum rule_header header)
{
    return header_words[header];
}

/* A family is sure when the next best is a thousand times less likely. */
static const double sure_cost = 6.9;
/* Of each delay, where jitter is not even. */
static const double uneven_cost = 0.5;
/* A rule is refused when its ranges would stay so badly filled in one of ten thousand cases. */
static const double gap_chance_min = 1e-4;
/* Jitter is called uneven when even one would look so in one of ten thousand cases; its ranges then
 * need not be filled to their ends, but in the same way at each retry. */
static const double even_chance_min = 1e-4;
static const double drift_chance_min = 1e-4;

/* Of a single run, beyond those that a rule's numbers can be made to fit. */
enum { SPARE_DELAYS = 2 };

/* From how often the client ended the runs by itself. */
static struct rule_number attempts_of(const struct rule_observation observations[], size_t count)
{
    struct rule_number attempts = {0};
    for (size_t i = 0; i < count; i++) {
        if (!observations[i].gave_up || observations[i].retry_after_ns >= 0)
            continue;
        double made = (double)observations[i].delay_count + 1;
        attempts.low = !attempts.known || made < attempts.low ? made : attempts.low;
        attempts.high = !attempts.known || made > attempts.high ? made : attempts.high;
        attempts.value = attempts.high;
        attempts.known = true;
    }
    return attempts;
}

static bool first_is_immediate(const struct rule_data *data)
{
    return data->index_count > 1 && data->at[0].most_ns <= data->tolerance_ns &&
           data->most_ns > 2 * data->tolerance_ns;
}

/* What the family and its numbers leave the rule to keep: what was found about the runs. */
static void take_fit(struct rule *rule, const struct rule_fit *fit)
{
    struct rule found = fit->rule;
    found.attempts_max = rule->attempts_max;
    found.first_immediate = rule->first_immediate;
    found.run_count = rule->run_count;
    found.delay_count = rule->delay_count;
    *rule = found;
}

static void take_unknown(struct rule *rule, const struct rule_data *data, enum rule_family nearest)
{
    struct rule_fit unknown = {.rule = {.family = RULE_UNKNOWN, .certainty = RULE_QUESTIONABLE}};
    take_fit(rule, &unknown);
    rule->other = nearest;
    rule->shortest_ns = data->least_ns;
    rule->longest_ns = data->most_ns;
    if (data->run_count > 1 && data->index_count > 1 && rule_data_is_same_in_all_runs(data))
        rule->jitter = RULE_JITTER_REPEATED;
}

static bool is_jittered(const struct rule *rule)
{
    return rule->family == RULE_DECORRELATED ||
           (rule->jitter != RULE_JITTER_NONE && rule->jitter != RULE_JITTER_UNKNOWN);
}

static void judge_certainty(struct rule *rule, const struct rule_data *data,
                            const struct rule_choice *choice)
{
    /* How likely a family makes the delays is said for even jitter. */
    double wanted = rule->jitter_even ? sure_cost : uneven_cost * (double)data->delay_count;
    if (choice->next.fits && choice->next.cost - choice->best.cost < wanted) {
        rule->certainty = RULE_QUESTIONABLE;
        rule->other = choice->next.rule.family;
    }
    /* In a single run jitter is not seen, and three numbers fit any three delays. */
    if (data->run_count < 2 &&
        (is_jittered(rule) || data->delay_count < choice->best.numbers + SPARE_DELAYS))
        rule->certainty = RULE_QUESTIONABLE;
}

static bool is_explained(const struct rule_fit *fit, const struct rule_fill *fill)
{
    if (!fit->fits)
        return false;
    return fit->chance >= gap_chance_min ||
           (fill->even_chance < even_chance_min && fill->drift_chance >= drift_chance_min);
}

/* Where a known client's number is possible it is likelier than the roundest. */
static void let_known_say(struct rule_number *number, const struct rule_number *known)
{
    if (number->known && known->known && known->value >= number->low &&
        known->value <= number->high)
        number->value = known->value;
}

static void take_known_numbers(struct rule *rule)
{
    struct rule known = known_client_rule(rule->known);
    if (known.family != rule->family)
        return;
    let_known_say(&rule->factor, &known.factor);
    let_known_say(&rule->cap_ns, &known.cap_ns);
    /* One range can be said in several ways, and the base is then not the same. */
    struct rule_number base = rule->base_ns;
    let_known_say(&base, &known.base_ns);
    if (base.value != known.base_ns.value)
        return;
    rule->base_ns = base;
    let_known_say(&rule->share_low, &known.share_low);
    let_known_say(&rule->share_high, &known.share_high);
    let_known_say(&rule->jitter_ns, &known.jitter_ns);
}

/* A client that is known tells which of two families that fit as well it is. */
static void let_known_decide(struct rule *rule, const struct rule_data *data,
                             const struct rule_choice *choice)
{
    known_client_find(rule, data);
    if (rule->known == NULL)
        return;
    if (rule->certainty == RULE_SURE) {
        take_known_numbers(rule);
        return;
    }
    enum rule_family family = rule->known->family;
    if (family != rule->family && family == rule->other) {
        struct rule found = *rule;
        take_fit(rule, &choice->next);
        rule->header = found.header;
        rule->header_most_ns = found.header_most_ns;
        known_client_find(rule, data);
    }
    if (family == rule->family) {
        rule->certainty = RULE_SURE;
        rule->other = RULE_UNKNOWN;
    }
    if (rule->known != NULL)
        take_known_numbers(rule);
}

static void infer_from_delays(struct rule *rule, struct rule_data *data,
                              const struct rule_observation observations[], size_t count)
{
    struct rule_data whole = *data;
    if (first_is_immediate(data)) {
        rule->first_immediate = true;
        rule_data_drop_first(data);
    }
    struct rule_choice choice;
    rule_fit_all(data, &choice);
    struct rule_fill fill = rule_fill(&choice.best.likeliest, data);
    bool too_few = data->delay_count < 2;
    if (too_few || !is_explained(&choice.best, &fill)) {
        rule->first_immediate = false;
        take_unknown(rule, &whole, too_few ? RULE_UNKNOWN : choice.best.rule.family);
        return;
    }
    take_fit(rule, &choice.best);
    rule->jitter_even = fill.even_chance >= even_chance_min;
    judge_certainty(rule, data, &choice);
    rule->shortest_ns = whole.least_ns;
    rule->longest_ns = whole.most_ns;
    rule_header_find(rule, observations, count);
    let_known_decide(rule, &whole, &choice);
}

/* Runs with the header only, or retries with the header only. */
static void infer_from_header(struct rule *rule, const struct rule_observation observations[],
                              size_t count, bool retries_without_it)
{
    struct rule silent = {.family = RULE_NONE};
    rule_header_find(&silent, observations, count);
    rule->header = silent.header;
    rule->header_most_ns = silent.header_most_ns;
    if (silent.header == RULE_HEADER_UNSEEN || silent.header == RULE_HEADER_IGNORED ||
        silent.header == RULE_HEADER_OTHER)
        return;
    rule->family = RULE_HEADER_DRIVEN;
    rule->certainty = retries_without_it ? RULE_QUESTIONABLE : RULE_SURE;
}

void rule_infer(struct rule *rule, const struct rule_observation observations[], size_t count)
{
    *rule = (struct rule){.family = RULE_UNKNOWN, .certainty = RULE_QUESTIONABLE};
    struct rule_data data;
    rule_data_collect(&data, observations, count);
    rule->run_count = data.run_count;
    rule->delay_count = data.delay_count;
    rule->attempts_max = attempts_of(observations, count);
    if (data.run_count == 0) {
        infer_from_header(rule, observations, count, true);
    } else if (data.delay_count == 0) {
        if (rule->attempts_max.known) {
            rule->family = RULE_NONE;
            rule->certainty = RULE_SURE;
        }
        infer_from_header(rule, observations, count, false);
    } else if (data.most_ns <= data.tolerance_ns) {
        rule->family = RULE_IMMEDIATE;
        rule->certainty = RULE_SURE;
        rule_header_find(rule, observations, count);
    } else {
        infer_from_delays(rule, &data, observations, count);
        if (rule->family == RULE_UNKNOWN)
            rule_header_find(rule, observations, count);
    }
}
