#include "grade/rule_reading.h"

#include "grade/rule_number.h"

#include <string.h>

struct reading {
    enum rule_jitter jitter;
    struct rule_number base_ns;
    struct rule_number share_low;
    struct rule_number share_high;
    int effort; /* digits to write */
};

static struct rule_number one(void)
{
    return (struct rule_number){true, 1, 1, 1, 1};
}

static struct rule_number less(struct rule_number off)
{
    return (struct rule_number){true, 1 - off.value, 1 - off.likeliest, 1 - off.high, 1 - off.low};
}

static struct rule_number more(struct rule_number on)
{
    return (struct rule_number){true, 1 + on.value, 1 + on.likeliest, 1 + on.low, 1 + on.high};
}

static struct rule_number rounded(double low, double high, double value, int *effort)
{
    low = low > 0 ? low : 0;
    return rule_number_rounded(low, high, value, effort);
}

static struct reading subtractive(struct rule_number low, struct rule_number high)
{
    struct reading reading = {.jitter = RULE_JITTER_SUBTRACTIVE, .share_high = one()};
    reading.base_ns = rounded(high.low, high.high, high.value, &reading.effort);
    /* What is taken off is written, not what is left. */
    struct rule_number off = rounded(1 - low.high / high.low, 1 - low.low / high.high,
                                     1 - low.value / high.value, &reading.effort);
    reading.share_low = less(off);
    if (off.value == 0.5)
        reading.jitter = RULE_JITTER_EQUAL;
    return reading;
}

static struct reading proportional(struct rule_number low, struct rule_number high)
{
    struct reading reading = {.jitter = RULE_JITTER_PROPORTIONAL, .share_low = one()};
    reading.base_ns = rounded(low.low, low.high, low.value, &reading.effort);
    struct rule_number on = rounded(high.low / low.high - 1, high.high / low.low - 1,
                                    high.value / low.value - 1, &reading.effort);
    reading.share_high = more(on);
    return reading;
}

static struct reading around(struct rule_number low, struct rule_number high)
{
    struct reading reading = {.jitter = RULE_JITTER_AROUND};
    reading.base_ns = rounded((low.low + high.low) / 2, (low.high + high.high) / 2,
                              (low.value + high.value) / 2, &reading.effort);
    struct rule_number off =
        rounded((high.low - low.high) / (high.low + low.high),
                (high.high - low.low) / (high.high + low.low),
                (high.value - low.value) / (high.value + low.value), &reading.effort);
    reading.share_low = less(off);
    reading.share_high = more(off);
    return reading;
}

static void take(struct rule *rule, const struct reading *reading)
{
    rule->jitter = reading->jitter;
    rule->base_ns = reading->base_ns;
    rule->share_low = reading->share_low;
    rule->share_high = reading->share_high;
}

void rule_reading_take(struct rule *rule, struct rule_number low_ns, struct rule_number high_ns)
{
    if (low_ns.high <= 0) {
        int effort = 0;
        rule->jitter = RULE_JITTER_FULL;
        rule->base_ns = rounded(high_ns.low, high_ns.high, high_ns.value, &effort);
        rule->share_low = (struct rule_number){.known = true};
        rule->share_high = one();
        return;
    }
    /* In this order where two are as round: the SDKs of OpenAI take off. */
    struct reading best = subtractive(low_ns, high_ns);
    struct reading others[] = {proportional(low_ns, high_ns), around(low_ns, high_ns)};
    for (size_t i = 0; i < 2; i++) {
        if (others[i].effort < best.effort)
            best = others[i];
    }
    take(rule, &best);
}
