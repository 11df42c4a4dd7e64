#include "base/duration.h"
#include "grade/known_client.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct sentence {
    char *text;
    size_t length;
};

static void say(struct sentence *sentence, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct sentence *sentence, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(sentence->text + sentence->length,
                            RULE_SENTENCE_SIZE - sentence->length, format, arguments);
    va_end(arguments);
    if (written > 0)
        sentence->length += (size_t)written;
    if (sentence->length >= RULE_SENTENCE_SIZE)
        sentence->length = RULE_SENTENCE_SIZE - 1;
}

/* Seconds below a minute, as rules are written; three digits, more are not known. */
static void say_time(struct sentence *sentence, double ns)
{
    char text[DURATION_TEXT_SIZE];
    if (ns > 0 && ns < (double)NS_PER_MINUTE)
        say(sentence, "%.3g s", ns / (double)NS_PER_S);
    else
        say(sentence, "%s", duration_text((int64_t)llround(ns), text));
}

static void say_percent(struct sentence *sentence, const char *words, double share)
{
    say(sentence, "%s %.3g %%", words, 100 * share);
}

static void say_growth(struct sentence *sentence, const struct rule *rule)
{
    switch (rule->family) {
    case RULE_FIXED:
        say(sentence, " each time");
        break;
    case RULE_LINEAR:
        say(sentence, ", longer by ");
        say_time(sentence, rule->step_ns.value);
        say(sentence, " each time");
        break;
    default:
        if (rule->factor.value == 2)
            say(sentence, ", doubled each time");
        else
            say(sentence, ", times %.3g each time", rule->factor.value);
        break;
    }
}

static void say_cap(struct sentence *sentence, const struct rule *rule)
{
    if (!rule->cap_ns.known)
        return;
    say(sentence, ", at most ");
    say_time(sentence, rule->cap_ns.value);
    if (rule->cap_is_last && rule->family != RULE_DECORRELATED)
        say(sentence, " jitter and all");
}

static void say_jitter(struct sentence *sentence, const struct rule *rule)
{
    switch (rule->jitter) {
    case RULE_JITTER_FULL:
        say(sentence, ", drawn from ");
        say_time(sentence, rule->floor_ns.known ? rule->floor_ns.value : 0);
        say(sentence, " to that (full jitter)");
        break;
    case RULE_JITTER_EQUAL:
        say(sentence, ", drawn from half of that (equal jitter)");
        break;
    case RULE_JITTER_SUBTRACTIVE:
        say_percent(sentence, ", minus up to", 1 - rule->share_low.value);
        break;
    case RULE_JITTER_PROPORTIONAL:
        say_percent(sentence, ", plus up to", rule->share_high.value - 1);
        break;
    case RULE_JITTER_AROUND:
        say_percent(sentence, ", plus or minus up to", rule->share_high.value - 1);
        break;
    case RULE_JITTER_ADDITIVE:
        say(sentence, ", plus up to ");
        say_time(sentence, rule->jitter_ns.value);
        break;
    case RULE_JITTER_NONE:
        say(sentence, ", without jitter");
        break;
    default:
        break;
    }
    if (rule->floor_ns.known && rule->jitter != RULE_JITTER_FULL) {
        say(sentence, ", at least ");
        say_time(sentence, rule->floor_ns.value);
    }
    if (!rule->jitter_even)
        say(sentence, " (not spread evenly)");
}

static void say_growing(struct sentence *sentence, const struct rule *rule)
{
    if (rule->first_immediate)
        say(sentence, "at once, then ");
    say_time(sentence, rule->base_ns.value);
    say_growth(sentence, rule);
    say_cap(sentence, rule);
    say_jitter(sentence, rule);
}

static void say_chained(struct sentence *sentence, const struct rule *rule)
{
    if (rule->family == RULE_DECORRELATED) {
        say(sentence, "drawn from ");
        say_time(sentence, rule->base_ns.value);
        say(sentence, " to %.3g times the delay before (decorrelated jitter)", rule->factor.value);
    } else {
        say_time(sentence, rule->base_ns.value);
        say(sentence, ", times %.3g to %.3g each time, so that jitter adds up", rule->factor.value,
            rule->factor.value * rule->share_high.value);
    }
    say_cap(sentence, rule);
}

static void say_unknown(struct sentence *sentence, const struct rule *rule)
{
    if (rule->run_count == 0) {
        say(sentence, "no rule: the client was never refused without Retry-After");
        return;
    }
    if (rule->delay_count == 0) {
        say(sentence, "no rule: no run was seen to its end, and none made a retry");
        return;
    }
    say(sentence, "no rule that is known here: %zu delay%s from ", rule->delay_count,
        rule->delay_count == 1 ? "" : "s");
    say_time(sentence, rule->shortest_ns);
    say(sentence, " to ");
    say_time(sentence, rule->longest_ns);
    if (rule->delay_count < 2)
        say(sentence, ", too few to tell");
    if (rule->jitter == RULE_JITTER_REPEATED)
        say(sentence, ", the same in each run (where chance is meant, its seed is fixed)");
}

static void say_rule(struct sentence *sentence, const struct rule *rule)
{
    switch (rule->family) {
    case RULE_NONE:
        say(sentence, "no retry");
        break;
    case RULE_IMMEDIATE:
        say(sentence, "retries at once, without any wait");
        break;
    case RULE_FIXED:
    case RULE_LINEAR:
    case RULE_EXPONENTIAL:
        say_growing(sentence, rule);
        break;
    case RULE_DECORRELATED:
    case RULE_COMPOUNDING:
        say_chained(sentence, rule);
        break;
    case RULE_HEADER_DRIVEN:
        say(sentence, rule->run_count > 0
                          ? "waits as Retry-After asks, and makes no retry without it"
                          : "waits as Retry-After asks");
        break;
    default:
        say_unknown(sentence, rule);
        break;
    }
}

static void say_header(struct sentence *sentence, const struct rule *rule)
{
    if (rule->family == RULE_HEADER_DRIVEN && rule->header == RULE_HEADER_HONOURED)
        return;
    switch (rule->header) {
    case RULE_HEADER_IGNORED:
        say(sentence, "; ignores Retry-After");
        break;
    case RULE_HEADER_HONOURED:
        say(sentence, "; honours Retry-After (up to ");
        say_time(sentence, rule->header_most_ns.value);
        say(sentence, " seen)");
        break;
    case RULE_HEADER_CLAMPED:
        say(sentence, "; cuts Retry-After to ");
        say_time(sentence, rule->header_most_ns.value);
        break;
    case RULE_HEADER_BACKOFF:
    case RULE_HEADER_GIVES_UP:
        say(sentence, "; honours Retry-After up to ");
        say_time(sentence, rule->header_most_ns.low);
        say(sentence, rule->header == RULE_HEADER_BACKOFF ? ", but not " : ", and gives up at ");
        say_time(sentence, rule->header_most_ns.high);
        break;
    case RULE_HEADER_FLOOR:
        say(sentence, "; never earlier than Retry-After asks");
        break;
    case RULE_HEADER_OTHER:
        say(sentence, "; takes Retry-After in a way of its own");
        break;
    default:
        break;
    }
}

/* Its own numbers, the same for every run, and not the estimates: those are in the JSON. */
static void say_known(struct sentence *sentence, const struct rule *rule)
{
    int attempts = rule->known->attempts_max;
    bool are_defaults =
        attempts == 0 || !rule->attempts_max.known || rule->attempts_max.value == attempts;
    const char *what = are_defaults ? "defaults" : "rule";
    if (rule->header == RULE_HEADER_OTHER)
        say(sentence, "backs off as %s does: %s", rule->known->name, rule->known->rule);
    else if (strchr(rule->known->name, ' ') == NULL)
        say(sentence, "matches %s's %s: %s", rule->known->name, what, rule->known->rule);
    else
        say(sentence, "matches the %s of %s: %s", what, rule->known->name, rule->known->rule);
    const struct known_client *const *also = rule->known_also;
    for (size_t i = 0; i < RULE_ALSO_MAX && also[i] != NULL; i++) {
        const char *first = also[1] == NULL ? " (as does " : " (as do ";
        say(sentence, "%s%s", i == 0 ? first : ", ", also[i]->name);
    }
    if (also[0] != NULL)
        say(sentence, ")");
}

static void say_doubt(struct sentence *sentence, const struct rule *rule)
{
    if (rule->certainty == RULE_SURE || rule->family == RULE_UNKNOWN)
        return;
    say(sentence, "; questionable");
    if (rule->other != RULE_UNKNOWN)
        say(sentence, ", %s fits nearly as well", rule_family_word(rule->other));
}

const char *rule_sentence(const struct rule *rule, char text[RULE_SENTENCE_SIZE])
{
    struct sentence sentence = {text, 0};
    text[0] = '\0';
    if (rule->known != NULL)
        say_known(&sentence, rule);
    else
        say_rule(&sentence, rule);
    say_header(&sentence, rule);
    say_doubt(&sentence, rule);
    return text;
}
