#include "grade/rule_header.h"

#include "grade/rule_bounds.h"
#include "grade/rule_number.h"

#include <math.h>

/* What is added to Retry-After, so that clients sent away together do not return together, is
 * mostly a share of it, or bounded: LiteLLM adds up to 0.75 s, the C client of this project a
 * tenth, but no more than its own backoff. */
static const double added_share_max = 0.25;
static const double added_ns_max = 10e9;

/* Where a cut that all waits share is called a clamp. */
static const double clamp_ns_min = 1e6;

enum sight { /* what one run shows */
             SIGHT_NOTHING,
             SIGHT_HONOURED,
             SIGHT_BACKOFF,
             SIGHT_FLOOR, /* asked or backoff, whichever is longer, and it was the backoff */
             SIGHT_CLAMPED,
             SIGHT_GIVES_UP,
             SIGHT_OTHER,
             SIGHT_COUNT,
};

static bool is_about(double delay_ns, double asked_ns, double tolerance_ns)
{
    double added_ns = asked_ns * added_share_max;
    added_ns = added_ns < added_ns_max ? added_ns : added_ns_max;
    return delay_ns >= asked_ns - tolerance_ns && delay_ns <= asked_ns + added_ns + tolerance_ns;
}

static bool is_as_asked(const struct rule_observation *seen)
{
    for (size_t i = 0; i < seen->delay_count; i++) {
        if (!is_about((double)seen->delays_ns[i], (double)seen->retry_after_ns,
                      (double)seen->tolerance_ns))
            return false;
    }
    return true;
}

/* Whether the delays are those of the rule without the header, or, with a floor, the longer of
 * those and what was asked. */
static bool is_backoff(const struct rule *rule, const struct rule_observation *seen,
                       double floor_ns)
{
    double before_ns = 0;
    for (size_t i = 0; i < seen->delay_count; i++) {
        double low = 0;
        double high = 0;
        if (!rule_bounds(rule, i, before_ns, &low, &high))
            return false;
        /* The numbers of the rule are known to a few percent. */
        double slack = (double)seen->tolerance_ns + high / 20;
        double delay_ns = (double)seen->delays_ns[i];
        before_ns = delay_ns;
        low = low > floor_ns ? low : floor_ns;
        high = high > floor_ns ? high : floor_ns;
        if (delay_ns < low - slack || delay_ns > high + slack)
            return false;
    }
    return true;
}

static bool is_all_alike(const struct rule_observation *seen)
{
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (size_t i = 0; i < seen->delay_count; i++) {
        least = seen->delays_ns[i] < least ? seen->delays_ns[i] : least;
        most = seen->delays_ns[i] > most ? seen->delays_ns[i] : most;
    }
    return most - least <= 2 * seen->tolerance_ns;
}

static enum sight look(const struct rule *rule, const struct rule_observation *seen)
{
    double asked_ns = (double)seen->retry_after_ns;
    if (seen->delay_count == 0)
        return seen->gave_up ? SIGHT_GIVES_UP : SIGHT_NOTHING;
    bool backoff = is_backoff(rule, seen, 0);
    if (is_as_asked(seen)) /* a fixed rule of 5 s, asked for 5 s, shows nothing */
        return backoff ? SIGHT_NOTHING : SIGHT_HONOURED;
    if (backoff)
        return asked_ns <= (double)seen->tolerance_ns ? SIGHT_NOTHING : SIGHT_BACKOFF;
    if (is_backoff(rule, seen, asked_ns))
        return SIGHT_FLOOR;
    if (is_all_alike(seen) && (double)seen->delays_ns[0] < asked_ns &&
        (double)seen->delays_ns[0] > clamp_ns_min)
        return SIGHT_CLAMPED;
    return SIGHT_OTHER;
}

/* A backoff in which a short Retry-After is not heeded, and is never undercut either, is a floor.
 */
static bool may_be_floor(const struct rule *rule, const struct rule_observation *seen)
{
    return is_backoff(rule, seen, (double)seen->retry_after_ns);
}

struct tally {
    size_t count[SIGHT_COUNT];
    double honoured_most_ns;
    double other_least_ns; /* the shortest that was not honoured */
    double clamp_low_ns;   /* what waits were cut to, ... */
    double clamp_high_ns;
    double clamp_tolerance_ns;
    size_t clamped_count; /* ... and how many were */
    bool always_floor;
};

static void count_clamped(struct tally *tally, const struct rule_observation *seen)
{
    double delay_ns = (double)seen->delays_ns[0];
    double tolerance_ns = 2 * (double)seen->tolerance_ns;
    bool is_first = tally->clamped_count == 0;
    if (is_first || delay_ns < tally->clamp_low_ns)
        tally->clamp_low_ns = delay_ns;
    if (is_first || delay_ns > tally->clamp_high_ns)
        tally->clamp_high_ns = delay_ns;
    if (is_first || tolerance_ns > tally->clamp_tolerance_ns)
        tally->clamp_tolerance_ns = tolerance_ns;
    tally->clamped_count += seen->delay_count;
}

/* Whether all were cut to the same, and more than one, which may be chance. */
static bool is_one_clamp(const struct tally *tally)
{
    return tally->clamped_count >= 2 &&
           tally->clamp_high_ns - tally->clamp_low_ns <= tally->clamp_tolerance_ns;
}

static void count_run(struct tally *tally, const struct rule *rule,
                      const struct rule_observation *seen)
{
    enum sight sight = look(rule, seen);
    double asked_ns = (double)seen->retry_after_ns;
    tally->count[sight]++;
    if (sight == SIGHT_HONOURED) {
        tally->honoured_most_ns =
            asked_ns > tally->honoured_most_ns ? asked_ns : tally->honoured_most_ns;
    } else if (sight != SIGHT_NOTHING && sight != SIGHT_FLOOR) {
        tally->other_least_ns = asked_ns < tally->other_least_ns ? asked_ns : tally->other_least_ns;
    }
    if (sight == SIGHT_CLAMPED)
        count_clamped(tally, seen);
    if (sight != SIGHT_NOTHING && sight != SIGHT_HONOURED && !may_be_floor(rule, seen))
        tally->always_floor = false;
}

static enum rule_header conclude(const struct tally *tally)
{
    const size_t *count = tally->count;
    size_t told = 0;
    for (int sight = SIGHT_HONOURED; sight < SIGHT_COUNT; sight++)
        told += count[sight];
    if (told == 0)
        return RULE_HEADER_UNSEEN;
    if (count[SIGHT_HONOURED] == told)
        return RULE_HEADER_HONOURED;
    if (count[SIGHT_BACKOFF] == told && !tally->always_floor)
        return RULE_HEADER_IGNORED;
    if (count[SIGHT_FLOOR] > 0 && tally->always_floor)
        return RULE_HEADER_FLOOR;
    if (count[SIGHT_OTHER] > 0 || tally->honoured_most_ns >= tally->other_least_ns)
        return RULE_HEADER_OTHER;
    if (count[SIGHT_HONOURED] + count[SIGHT_CLAMPED] == told)
        return is_one_clamp(tally) ? RULE_HEADER_CLAMPED : RULE_HEADER_OTHER;
    if (count[SIGHT_HONOURED] > 0 && count[SIGHT_HONOURED] + count[SIGHT_BACKOFF] == told)
        return RULE_HEADER_BACKOFF;
    if (count[SIGHT_HONOURED] > 0 && count[SIGHT_HONOURED] + count[SIGHT_GIVES_UP] == told)
        return RULE_HEADER_GIVES_UP;
    return RULE_HEADER_OTHER;
}

void rule_header_find(struct rule *rule, const struct rule_observation observations[], size_t count)
{
    struct tally tally = {.other_least_ns = HUGE_VAL, .always_floor = true};
    for (size_t i = 0; i < count; i++) {
        if (observations[i].retry_after_ns >= 0)
            count_run(&tally, rule, &observations[i]);
    }
    rule->header = conclude(&tally);
    double low = tally.honoured_most_ns;
    double high = tally.other_least_ns;
    if (rule->header == RULE_HEADER_CLAMPED)
        rule->header_most_ns =
            rule_number_between(tally.clamp_low_ns - tally.clamp_tolerance_ns,
                                tally.clamp_high_ns + tally.clamp_tolerance_ns, tally.clamp_low_ns);
    else if (rule->header == RULE_HEADER_HONOURED)
        rule->header_most_ns = (struct rule_number){true, low, low, low, HUGE_VAL};
    else if (rule->header == RULE_HEADER_BACKOFF || rule->header == RULE_HEADER_GIVES_UP)
        rule->header_most_ns = rule_number_between(low, high, low);
}
