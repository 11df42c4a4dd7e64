#include "grade/rule.h"

#include "base/duration.h"

#include <stdio.h>
#include <string.h>

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

/* A first version: it tells those rules that need no more than looking at the delays. */
void rule_infer(struct rule *rule, const struct rule_observation observations[], size_t count)
{
    *rule = (struct rule){.family = RULE_UNKNOWN, .certainty = RULE_QUESTIONABLE};
    int64_t least_ns = INT64_MAX;
    int64_t most_ns = 0;
    int64_t tolerance_ns = 0;
    for (size_t i = 0; i < count; i++) {
        const struct rule_observation *run = &observations[i];
        if (run->retry_after_ns >= 0)
            continue;
        rule->run_count++;
        rule->delay_count += run->delay_count;
        tolerance_ns = run->tolerance_ns > tolerance_ns ? run->tolerance_ns : tolerance_ns;
        for (size_t j = 0; j < run->delay_count; j++) {
            least_ns = run->delays_ns[j] < least_ns ? run->delays_ns[j] : least_ns;
            most_ns = run->delays_ns[j] > most_ns ? run->delays_ns[j] : most_ns;
        }
    }
    if (rule->run_count == 0)
        return;
    if (rule->delay_count == 0) {
        rule->family = RULE_NONE;
        rule->certainty = RULE_SURE;
    } else if (most_ns <= tolerance_ns) {
        rule->family = RULE_IMMEDIATE;
        rule->certainty = RULE_SURE;
    } else if (rule->delay_count >= 2 && most_ns - least_ns <= 2 * tolerance_ns) {
        rule->family = RULE_FIXED;
        rule->certainty = RULE_SURE;
        rule->jitter = RULE_JITTER_NONE;
        rule->base_ns =
            (struct rule_number){true, (double)least_ns, (double)(most_ns - tolerance_ns),
                                 (double)(least_ns + tolerance_ns)};
    }
}

const char *rule_sentence(const struct rule *rule, char text[RULE_SENTENCE_SIZE])
{
    char base[DURATION_TEXT_SIZE];
    switch (rule->family) {
    case RULE_NONE:
        snprintf(text, RULE_SENTENCE_SIZE, "no retry");
        break;
    case RULE_IMMEDIATE:
        snprintf(text, RULE_SENTENCE_SIZE, "retries at once, without any wait");
        break;
    case RULE_FIXED:
        snprintf(text, RULE_SENTENCE_SIZE, "%s each time",
                 duration_text((int64_t)rule->base_ns.value, base));
        break;
    default:
        snprintf(text, RULE_SENTENCE_SIZE, "a rule that is not known here");
        break;
    }
    return text;
}
