#include "client/retry.h"

#include "base/duration.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Of what Retry-After asks, the part by which jitter may prolong it. */
enum { RETRY_AFTER_SPREAD_DIVISOR = 10 };

struct retry_policy retry_policy_default(void)
{
    return (struct retry_policy){
        .kind = RETRY_EXPONENTIAL,
        .jitter = RETRY_JITTER_NONE,
        .attempts_max = 3,
        .base_ns = NS_PER_S,
        .factor = 2,
        .cap_ns = 60 * NS_PER_S,
        .honours_retry_after = true,
        .retry_after_cap_ns = 120 * NS_PER_S,
    };
}

/* Most texts differ in their first letter, and this is asked of every refusal. */
static bool is_same(const char *text, const char *other)
{
    return text[0] == other[0] && strcmp(text, other) == 0;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t ending_length = strlen(ending);
    return length >= ending_length && is_same(text + length - ending_length, ending);
}

bool retry_is_quota_used_up(const char *error_type, const char *error_code)
{
    static const char *const codes[] = {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    };
    if (error_type != NULL && is_same(error_type, "insufficient_quota"))
        return true;
    if (error_code == NULL)
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (is_same(error_code, codes[i]))
            return true;
    }
    return ends_with(error_code, "_spend_limit_exceeded");
}

static bool is_retried_status(int status)
{
    return status == 0 || status == 408 || status == 409 || status == 429 || status >= 500;
}

static struct retry_decision give_up(const char *reason)
{
    return (struct retry_decision){.retry = false, .reason = reason};
}

/* Uniform from low_ns to high_ns, both included. */
static int64_t between(struct random *random, int64_t low_ns, int64_t high_ns)
{
    if (high_ns <= low_ns)
        return low_ns;
    return low_ns + (int64_t)random_below(random, (uint64_t)(high_ns - low_ns) + 1);
}

static int64_t at_most(int64_t ns, int64_t most_ns)
{
    return ns < most_ns ? ns : most_ns;
}

/* d of the header: the delay before the retry that follows the attempts made so far. */
static int64_t delay_without_jitter(const struct retry_policy *policy, int attempts)
{
    if (policy->kind == RETRY_FIXED)
        return policy->base_ns;
    /* By multiplying and not by pow(), whose last digit is the library's: a run has to come out
     * the same everywhere. */
    double delay_ns = (double)policy->base_ns;
    double cap_ns = (double)policy->cap_ns;
    if (policy->factor > 1) {
        for (int i = 1; i < attempts && delay_ns < cap_ns; i++)
            delay_ns *= policy->factor;
    }
    return delay_ns < cap_ns ? (int64_t)delay_ns : policy->cap_ns;
}

static int64_t decorrelated_delay(const struct retry_policy *policy, struct retry_state *state,
                                  struct random *random)
{
    int64_t previous_ns = state->delay_previous_ns > 0 ? state->delay_previous_ns : policy->base_ns;
    assert(previous_ns <= INT64_MAX / 3);
    int64_t drawn_ns = between(random, policy->base_ns, previous_ns * 3);
    state->delay_previous_ns = at_most(drawn_ns, policy->cap_ns);
    return state->delay_previous_ns;
}

static int64_t jittered_delay(const struct retry_policy *policy, struct retry_state *state,
                              struct random *random)
{
    int64_t delay_ns = delay_without_jitter(policy, state->attempts);
    switch (policy->jitter) {
    case RETRY_JITTER_FULL:
        return between(random, 0, delay_ns);
    case RETRY_JITTER_EQUAL:
        return between(random, delay_ns - delay_ns / 2, delay_ns);
    case RETRY_JITTER_DECORRELATED:
        return decorrelated_delay(policy, state, random);
    case RETRY_JITTER_QUARTER:
        return between(random, delay_ns - delay_ns / 4, delay_ns);
    case RETRY_JITTER_NONE:
        break;
    }
    return delay_ns;
}

static int64_t backoff_delay(const struct retry_policy *policy, struct retry_state *state,
                             struct random *random)
{
    int64_t delay_ns = jittered_delay(policy, state, random);
    return delay_ns > policy->delay_min_ns ? delay_ns : policy->delay_min_ns;
}

static int64_t asked_delay(const struct retry_policy *policy, const struct retry_state *state,
                           int64_t asked_ns, struct random *random)
{
    if (policy->jitter == RETRY_JITTER_NONE || policy->jitter == RETRY_JITTER_QUARTER)
        return asked_ns;
    int64_t spread_ns = at_most(asked_ns / RETRY_AFTER_SPREAD_DIVISOR,
                                delay_without_jitter(policy, state->attempts));
    return asked_ns + between(random, 0, spread_ns);
}

static bool is_sound(const struct retry_policy *policy)
{
    if (policy->kind == RETRY_NONE)
        return true;
    if (policy->attempts_max < 1 || policy->base_ns < 0)
        return false;
    return policy->kind == RETRY_FIXED ? policy->jitter != RETRY_JITTER_DECORRELATED
                                       : policy->factor >= 1 && policy->cap_ns >= policy->base_ns;
}

struct retry_decision retry_decide(const struct retry_policy *policy, struct retry_state *state,
                                   const struct retry_outcome *outcome, struct random *random,
                                   int64_t now_ns)
{
    assert(is_sound(policy) && now_ns >= state->started_ns);
    state->attempts++;

    if (retry_is_quota_used_up(outcome->error_type, outcome->error_code))
        return give_up("the quota is used up; waiting does not help");
    if (outcome->wish == RETRY_WISH_NO)
        return give_up("the server asks for no retry (x-should-retry: false)");
    if (outcome->wish != RETRY_WISH_YES && !is_retried_status(outcome->status))
        return give_up("an error that a retry does not mend");
    if (policy->kind == RETRY_NONE)
        return give_up("the policy makes no retries");
    if (state->attempts >= policy->attempts_max)
        return give_up("all attempts are used up");

    bool is_asked =
        policy->honours_retry_after && outcome->has_retry_after && outcome->retry_after_ns > 0;
    int64_t asked_ns = outcome->retry_after_ns;
    if (is_asked && asked_ns > policy->retry_after_cap_ns) {
        if (policy->above_cap == RETRY_ABOVE_CAP_GIVE_UP)
            return give_up("the server asks to wait longer than the policy does");
        is_asked = policy->above_cap == RETRY_ABOVE_CAP_CLAMP;
        asked_ns = policy->retry_after_cap_ns;
    }
    struct retry_decision decision = {.retry = true};
    if (is_asked) {
        decision.wait_ns = asked_delay(policy, state, asked_ns, random);
        decision.reason = "as Retry-After asks";
    } else {
        decision.wait_ns = backoff_delay(policy, state, random);
        decision.reason = "backoff";
    }
    int64_t elapsed_ns = now_ns - state->started_ns;
    if (policy->total_ns > 0 && decision.wait_ns > policy->total_ns - elapsed_ns)
        return give_up("the next attempt would come after the total time");
    return decision;
}
