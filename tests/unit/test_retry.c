#include "client/retry.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Enough draws that the ends of a range are nearly reached: the chance to miss the outer 1% of a
 * uniform range in 2000 draws is 2e-9, and the seed is fixed anyway. */
enum { DRAWS = 2000 };

static const struct retry_outcome throttled = {
    .status = 429, .error_type = "requests", .error_code = "rate_limit_exceeded"};

/* A call: policy, what it remembers, its random numbers and the time. */
struct caller {
    struct retry_policy policy;
    struct retry_state state;
    struct random random;
    int64_t now_ns;
};

static struct caller caller_with(struct retry_policy policy)
{
    struct caller caller = {.policy = policy, .now_ns = 5 * NS_PER_S};
    caller.state.started_ns = caller.now_ns;
    random_seed(&caller.random, 42, 0);
    return caller;
}

static struct caller default_caller(void)
{
    return caller_with(retry_policy_default());
}

/* Fails an attempt, and waits as told. */
static struct retry_decision fail_attempt(struct caller *caller, struct retry_outcome outcome)
{
    struct retry_decision decision =
        retry_decide(&caller->policy, &caller->state, &outcome, &caller->random, caller->now_ns);
    assert_non_null(decision.reason);
    assert_true(decision.wait_ns >= 0);
    assert_true(decision.retry || decision.wait_ns == 0);
    caller->now_ns += decision.wait_ns;
    return decision;
}

static void assert_waits(struct caller *caller, int64_t wait_ns)
{
    struct retry_decision decision = fail_attempt(caller, throttled);
    assert_true(decision.retry);
    assert_int_equal(decision.wait_ns, wait_ns);
}

static void assert_gives_up(struct caller *caller, struct retry_outcome outcome, const char *reason)
{
    struct retry_decision decision = fail_attempt(caller, outcome);
    assert_false(decision.retry);
    assert_string_equal(decision.reason, reason);
}

static bool is_retried(struct retry_outcome outcome)
{
    struct caller caller = default_caller();
    return fail_attempt(&caller, outcome).retry;
}

static struct retry_outcome asked(int64_t wait_ns)
{
    struct retry_outcome outcome = throttled;
    outcome.has_retry_after = true;
    outcome.retry_after_ns = wait_ns;
    return outcome;
}

/* --- how often, how long ---------------------------------------------------------------------- */

static void waits_one_and_two_seconds_then_gives_up(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    assert_waits(&caller, NS_PER_S);
    assert_waits(&caller, 2 * NS_PER_S);
    assert_gives_up(&caller, throttled, "all attempts are used up");
    assert_int_equal(caller.state.attempts, 3);
}

static void makes_no_retry_when_one_attempt_is_the_most(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.attempts_max = 1;
    assert_gives_up(&caller, throttled, "all attempts are used up");
}

static void a_policy_of_none_makes_one_attempt(void **state)
{
    (void)state;
    struct caller caller = caller_with((struct retry_policy){.kind = RETRY_NONE});
    assert_gives_up(&caller, throttled, "the policy makes no retries");
    assert_int_equal(caller.state.attempts, 1);
}

static void a_fixed_policy_waits_the_same_each_time(void **state)
{
    (void)state;
    struct retry_policy policy = retry_policy_default();
    policy.kind = RETRY_FIXED;
    policy.attempts_max = 5;
    policy.base_ns = 90 * NS_PER_S; /* above the cap, which is of exponential policies */
    struct caller caller = caller_with(policy);
    for (int i = 0; i < 4; i++)
        assert_waits(&caller, 90 * NS_PER_S);
    assert_gives_up(&caller, throttled, "all attempts are used up");
}

static void an_exponential_policy_grows_by_its_factor(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.attempts_max = 10;
    caller.policy.base_ns = 80 * NS_PER_MS;
    caller.policy.factor = 1.5;
    assert_waits(&caller, 80 * NS_PER_MS);
    assert_waits(&caller, 120 * NS_PER_MS);
    assert_waits(&caller, 180 * NS_PER_MS);
    assert_waits(&caller, 270 * NS_PER_MS);
}

static void growth_stops_at_the_cap_and_does_not_overflow(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.attempts_max = 1000;
    caller.policy.factor = 100;
    caller.policy.cap_ns = 5 * NS_PER_S;
    assert_waits(&caller, NS_PER_S);
    for (int i = 0; i < 998; i++) /* 100^998 is past what a double holds */
        assert_waits(&caller, 5 * NS_PER_S);
    caller = default_caller();
    caller.policy.attempts_max = 1000;
    caller.policy.cap_ns = DURATION_NS_MAX;
    for (int i = 0; i < 30; i++) /* 2^30 s are above the cap */
        fail_attempt(&caller, throttled);
    assert_waits(&caller, DURATION_NS_MAX);
}

/* --- jitter ----------------------------------------------------------------------------------- */

struct spread {
    int64_t low_ns;
    int64_t high_ns;
};

/* Of the wait before retry number `retry`, over many calls. */
static struct spread spread_of(struct retry_policy policy, int retry, struct retry_outcome outcome)
{
    struct spread spread = {INT64_MAX, 0};
    struct random random;
    random_seed(&random, 1, 2);
    for (int i = 0; i < DRAWS; i++) {
        struct caller caller = caller_with(policy);
        caller.random = random;
        struct retry_decision decision = {0};
        for (int j = 0; j < retry; j++)
            decision = fail_attempt(&caller, outcome);
        random = caller.random;
        assert_true(decision.retry);
        if (decision.wait_ns < spread.low_ns)
            spread.low_ns = decision.wait_ns;
        if (decision.wait_ns > spread.high_ns)
            spread.high_ns = decision.wait_ns;
    }
    return spread;
}

/* Within [low, high], and reaching to within 2% of both ends. */
static void assert_spread(struct spread spread, int64_t low_ns, int64_t high_ns)
{
    int64_t slack_ns = (high_ns - low_ns) / 50;
    assert_in_range(spread.low_ns, low_ns, low_ns + slack_ns);
    assert_in_range(spread.high_ns, high_ns - slack_ns, high_ns);
}

static struct retry_policy policy_with(enum retry_jitter jitter)
{
    struct retry_policy policy = retry_policy_default();
    policy.attempts_max = 10;
    policy.jitter = jitter;
    return policy;
}

static void full_jitter_draws_from_zero_to_the_delay(void **state)
{
    (void)state;
    assert_spread(spread_of(policy_with(RETRY_JITTER_FULL), 1, throttled), 0, NS_PER_S);
    assert_spread(spread_of(policy_with(RETRY_JITTER_FULL), 3, throttled), 0, 4 * NS_PER_S);
}

static void equal_jitter_draws_from_half_the_delay_to_the_delay(void **state)
{
    (void)state;
    assert_spread(spread_of(policy_with(RETRY_JITTER_EQUAL), 1, throttled), NS_PER_S / 2, NS_PER_S);
    assert_spread(spread_of(policy_with(RETRY_JITTER_EQUAL), 3, throttled), 2 * NS_PER_S,
                  4 * NS_PER_S);
}

static void decorrelated_jitter_draws_from_base_to_three_times_the_delay_before(void **state)
{
    (void)state;
    struct retry_policy policy = policy_with(RETRY_JITTER_DECORRELATED);
    assert_spread(spread_of(policy, 1, throttled), NS_PER_S, 3 * NS_PER_S);
    struct random random;
    random_seed(&random, 3, 4);
    double share_most = 0;
    for (int i = 0; i < DRAWS; i++) {
        struct caller caller = caller_with(policy);
        caller.random = random;
        int64_t before_ns = fail_attempt(&caller, throttled).wait_ns;
        int64_t wait_ns = fail_attempt(&caller, throttled).wait_ns;
        random = caller.random;
        assert_in_range(wait_ns, NS_PER_S, 3 * before_ns);
        double share = (double)wait_ns / (double)before_ns;
        if (share > share_most)
            share_most = share;
    }
    assert_true(share_most > 2.9); /* grows with the delay before, not with the base */
}

static void decorrelated_jitter_keeps_to_the_cap(void **state)
{
    (void)state;
    struct retry_policy policy = policy_with(RETRY_JITTER_DECORRELATED);
    policy.attempts_max = 1000;
    policy.cap_ns = 4 * NS_PER_S;
    struct caller caller = caller_with(policy);
    int capped = 0;
    for (int i = 0; i < 999; i++) {
        struct retry_decision decision = fail_attempt(&caller, throttled);
        assert_in_range(decision.wait_ns, NS_PER_S, 4 * NS_PER_S);
        capped += decision.wait_ns == 4 * NS_PER_S;
    }
    assert_in_range(capped, 100, 998);
}

static void the_same_seed_draws_the_same_delays(void **state)
{
    (void)state;
    struct caller a = caller_with(policy_with(RETRY_JITTER_FULL));
    struct caller b = caller_with(policy_with(RETRY_JITTER_FULL));
    struct caller c = caller_with(policy_with(RETRY_JITTER_FULL));
    random_seed(&c.random, 43, 0);
    int different = 0;
    for (int i = 0; i < 9; i++) {
        int64_t wait_ns = fail_attempt(&a, throttled).wait_ns;
        assert_int_equal(fail_attempt(&b, throttled).wait_ns, wait_ns);
        different += fail_attempt(&c, throttled).wait_ns != wait_ns;
    }
    assert_true(different > 6);
}

static void without_jitter_nothing_is_drawn(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    struct random before = caller.random;
    fail_attempt(&caller, asked(NS_PER_S));
    fail_attempt(&caller, throttled);
    assert_memory_equal(&before, &caller.random, sizeof before);
}

/* --- Retry-After ------------------------------------------------------------------------------ */

static void retry_after_takes_the_place_of_the_delay(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    assert_int_equal(fail_attempt(&caller, asked(20 * NS_PER_S)).wait_ns, 20 * NS_PER_S);
    assert_int_equal(fail_attempt(&caller, asked(20 * NS_PER_MS)).wait_ns, 20 * NS_PER_MS);
    assert_gives_up(&caller, asked(NS_PER_MS), "all attempts are used up");
}

static void retry_after_zero_is_no_hot_loop(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    assert_int_equal(fail_attempt(&caller, asked(0)).wait_ns, NS_PER_S);
}

static void jitter_never_returns_before_retry_after(void **state)
{
    (void)state;
    static const enum retry_jitter jitters[] = {RETRY_JITTER_FULL, RETRY_JITTER_EQUAL,
                                                RETRY_JITTER_DECORRELATED};
    for (size_t i = 0; i < 3; i++) {
        /* A tenth of what was asked is added at the most, */
        assert_spread(spread_of(policy_with(jitters[i]), 1, asked(5 * NS_PER_S)), 5 * NS_PER_S,
                      5500 * NS_PER_MS);
        /* and never more than the delay would have been. */
        assert_spread(spread_of(policy_with(jitters[i]), 1, asked(100 * NS_PER_S)), 100 * NS_PER_S,
                      101 * NS_PER_S);
    }
}

static void asking_longer_than_the_cap_is_not_cut_short(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    assert_int_equal(fail_attempt(&caller, asked(120 * NS_PER_S)).wait_ns, 120 * NS_PER_S);
    assert_gives_up(&caller, asked(120 * NS_PER_S + 1),
                    "the server asks to wait longer than the policy does");
}

static void retry_after_can_be_ignored(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.honours_retry_after = false;
    assert_int_equal(fail_attempt(&caller, asked(20 * NS_PER_S)).wait_ns, NS_PER_S);
    assert_int_equal(fail_attempt(&caller, asked(500 * NS_PER_S)).wait_ns, 2 * NS_PER_S);
}

static void retry_after_that_was_not_said_has_no_value(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    struct retry_outcome outcome = throttled;
    outcome.retry_after_ns = 7 * NS_PER_S; /* left over, has_retry_after is false */
    assert_int_equal(fail_attempt(&caller, outcome).wait_ns, NS_PER_S);
}

static void a_fixed_policy_honours_retry_after(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.kind = RETRY_FIXED;
    assert_int_equal(fail_attempt(&caller, asked(20 * NS_PER_S)).wait_ns, 20 * NS_PER_S);
}

/* --- what is retried -------------------------------------------------------------------------- */

static void retries_the_statuses_that_the_sdks_retry(void **state)
{
    (void)state;
    static const int retried[] = {0, 408, 409, 429, 500, 502, 503, 504, 520, 529, 599};
    static const int not_retried[] = {200, 204, 301, 307, 400, 401, 402, 403, 404, 405,
                                      407, 410, 413, 422, 425, 428, 430, 451, 499};
    for (size_t i = 0; i < sizeof retried / sizeof retried[0]; i++) {
        if (!is_retried((struct retry_outcome){.status = retried[i]}))
            fail_msg("%d was not retried", retried[i]);
    }
    for (size_t i = 0; i < sizeof not_retried / sizeof not_retried[0]; i++) {
        struct caller caller = default_caller();
        assert_gives_up(&caller, (struct retry_outcome){.status = not_retried[i]},
                        "an error that a retry does not mend");
    }
}

static void obeys_x_should_retry_both_ways(void **state)
{
    (void)state;
    assert_true(is_retried((struct retry_outcome){.status = 400, .wish = RETRY_WISH_YES}));
    struct caller caller = default_caller();
    assert_gives_up(&caller, (struct retry_outcome){.status = 429, .wish = RETRY_WISH_NO},
                    "the server asks for no retry (x-should-retry: false)");
}

static void x_should_retry_does_not_lengthen_a_policy(void **state)
{
    (void)state;
    struct retry_outcome outcome = {.status = 429, .wish = RETRY_WISH_YES};
    struct caller caller = default_caller();
    caller.policy.attempts_max = 1;
    assert_gives_up(&caller, outcome, "all attempts are used up");
    caller = caller_with((struct retry_policy){.kind = RETRY_NONE});
    assert_gives_up(&caller, outcome, "the policy makes no retries");
}

static void never_retries_what_no_waiting_mends(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct caller caller = default_caller();
        struct retry_outcome outcome = asked(NS_PER_S); /* that it says when does not matter */
        outcome.error_type = NULL;
        outcome.error_code = codes[i];
        outcome.wish = RETRY_WISH_YES;
        assert_gives_up(&caller, outcome, "the quota is used up; waiting does not help");
    }
    struct caller caller = default_caller();
    assert_gives_up(&caller,
                    (struct retry_outcome){.status = 429, .error_type = "insufficient_quota"},
                    "the quota is used up; waiting does not help");
}

static void retries_codes_that_only_look_like_a_used_up_quota(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "rate_limit_exceeded",  "slow_down",      "", "spend_limit_exceeded_soon", "insufficient",
        "insufficient_quota_2", "limit_exceeded",
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct retry_outcome outcome = {
            .status = 429, .error_type = "requests", .error_code = codes[i]};
        if (!is_retried(outcome))
            fail_msg("\"%s\" was not retried", codes[i]);
    }
    assert_true(is_retried((struct retry_outcome){.status = 429})); /* Cloudflare's text body */
}

/* --- the total time --------------------------------------------------------------------------- */

static void gives_up_at_once_when_the_next_attempt_would_be_too_late(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.attempts_max = 10;
    caller.policy.total_ns = 3 * NS_PER_S;
    assert_waits(&caller, NS_PER_S);
    assert_waits(&caller, 2 * NS_PER_S); /* ends at 3 s sharp, which is within */
    assert_gives_up(&caller, throttled, "the next attempt would come after the total time");
}

static void the_total_counts_the_attempts_as_well(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.attempts_max = 10;
    caller.policy.total_ns = 3 * NS_PER_S;
    caller.now_ns += 2 * NS_PER_S + 1; /* the first attempt took so long */
    assert_gives_up(&caller, throttled, "the next attempt would come after the total time");
    caller = default_caller();
    caller.policy.total_ns = 3 * NS_PER_S;
    caller.now_ns += 100 * NS_PER_S;
    assert_gives_up(&caller, throttled, "the next attempt would come after the total time");
}

static void the_total_is_held_against_retry_after(void **state)
{
    (void)state;
    struct caller caller = default_caller();
    caller.policy.total_ns = 3 * NS_PER_S;
    assert_gives_up(&caller, asked(4 * NS_PER_S),
                    "the next attempt would come after the total time");
}

/* --- what the official SDKs do ---------------------------------------------------------------- */

static struct retry_policy sdk_policy(void)
{
    return (struct retry_policy){.kind = RETRY_EXPONENTIAL,
                                 .jitter = RETRY_JITTER_QUARTER,
                                 .attempts_max = 6,
                                 .base_ns = 500 * NS_PER_MS,
                                 .factor = 2,
                                 .cap_ns = 8 * NS_PER_S,
                                 .honours_retry_after = true,
                                 .retry_after_cap_ns = 60 * NS_PER_S};
}

static void quarter_jitter_takes_up_to_a_quarter_off(void **state)
{
    (void)state;
    static const int64_t full_ns[] = {500 * NS_PER_MS, NS_PER_S, 2 * NS_PER_S, 4 * NS_PER_S,
                                      8 * NS_PER_S};
    struct random random;
    random_seed(&random, 7, 0);
    for (int attempt = 0; attempt < 5; attempt++) {
        int64_t least_ns = INT64_MAX;
        int64_t most_ns = 0;
        for (int i = 0; i < DRAWS; i++) {
            struct caller caller = caller_with(sdk_policy());
            caller.random = random;
            caller.state.attempts = attempt;
            int64_t wait_ns = fail_attempt(&caller, throttled).wait_ns;
            random = caller.random;
            least_ns = wait_ns < least_ns ? wait_ns : least_ns;
            most_ns = wait_ns > most_ns ? wait_ns : most_ns;
        }
        int64_t quarter_ns = full_ns[attempt] / 4;
        assert_in_range(least_ns, full_ns[attempt] - quarter_ns,
                        full_ns[attempt] - quarter_ns + quarter_ns / 100);
        assert_in_range(most_ns, full_ns[attempt] - quarter_ns / 100, full_ns[attempt]);
    }
}

static void quarter_jitter_adds_nothing_to_retry_after(void **state)
{
    (void)state;
    struct caller caller = caller_with(sdk_policy());
    for (int i = 0; i < 5; i++)
        assert_int_equal(fail_attempt(&caller, asked(3 * NS_PER_S)).wait_ns, 3 * NS_PER_S);
}

static void a_retry_after_above_the_cap_ends_the_call_or_is_cut_or_passed_over(void **state)
{
    (void)state;
    struct retry_policy policy = sdk_policy();
    policy.jitter = RETRY_JITTER_NONE;
    struct caller gives_up = caller_with(policy);
    assert_gives_up(&gives_up, asked(60 * NS_PER_S + 1),
                    "the server asks to wait longer than the policy does");
    policy.above_cap = RETRY_ABOVE_CAP_BACKOFF;
    struct caller backs_off = caller_with(policy);
    assert_int_equal(fail_attempt(&backs_off, asked(60 * NS_PER_S)).wait_ns, 60 * NS_PER_S);
    assert_int_equal(fail_attempt(&backs_off, asked(60 * NS_PER_S + 1)).wait_ns, NS_PER_S);
    policy.above_cap = RETRY_ABOVE_CAP_CLAMP;
    struct caller clamps = caller_with(policy);
    assert_int_equal(fail_attempt(&clamps, asked(NS_PER_HOUR)).wait_ns, 60 * NS_PER_S);
}

static void a_drawn_delay_is_raised_to_the_least(void **state)
{
    (void)state;
    struct retry_policy policy = retry_policy_default();
    policy.jitter = RETRY_JITTER_FULL;
    policy.delay_min_ns = 900 * NS_PER_MS;
    bool was_raised = false;
    for (uint64_t i = 0; i < 100; i++) {
        struct caller caller = caller_with(policy);
        random_seed(&caller.random, i, 0);
        int64_t wait_ns = fail_attempt(&caller, throttled).wait_ns;
        assert_in_range(wait_ns, 900 * NS_PER_MS, NS_PER_S);
        was_raised |= wait_ns == 900 * NS_PER_MS;
    }
    assert_true(was_raised);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_one_and_two_seconds_then_gives_up),
        cmocka_unit_test(makes_no_retry_when_one_attempt_is_the_most),
        cmocka_unit_test(a_policy_of_none_makes_one_attempt),
        cmocka_unit_test(a_fixed_policy_waits_the_same_each_time),
        cmocka_unit_test(an_exponential_policy_grows_by_its_factor),
        cmocka_unit_test(growth_stops_at_the_cap_and_does_not_overflow),
        cmocka_unit_test(full_jitter_draws_from_zero_to_the_delay),
        cmocka_unit_test(equal_jitter_draws_from_half_the_delay_to_the_delay),
        cmocka_unit_test(decorrelated_jitter_draws_from_base_to_three_times_the_delay_before),
        cmocka_unit_test(decorrelated_jitter_keeps_to_the_cap),
        cmocka_unit_test(the_same_seed_draws_the_same_delays),
        cmocka_unit_test(without_jitter_nothing_is_drawn),
        cmocka_unit_test(retry_after_takes_the_place_of_the_delay),
        cmocka_unit_test(retry_after_zero_is_no_hot_loop),
        cmocka_unit_test(jitter_never_returns_before_retry_after),
        cmocka_unit_test(asking_longer_than_the_cap_is_not_cut_short),
        cmocka_unit_test(retry_after_can_be_ignored),
        cmocka_unit_test(retry_after_that_was_not_said_has_no_value),
        cmocka_unit_test(a_fixed_policy_honours_retry_after),
        cmocka_unit_test(retries_the_statuses_that_the_sdks_retry),
        cmocka_unit_test(obeys_x_should_retry_both_ways),
        cmocka_unit_test(x_should_retry_does_not_lengthen_a_policy),
        cmocka_unit_test(never_retries_what_no_waiting_mends),
        cmocka_unit_test(retries_codes_that_only_look_like_a_used_up_quota),
        cmocka_unit_test(gives_up_at_once_when_the_next_attempt_would_be_too_late),
        cmocka_unit_test(the_total_counts_the_attempts_as_well),
        cmocka_unit_test(the_total_is_held_against_retry_after),
        cmocka_unit_test(quarter_jitter_takes_up_to_a_quarter_off),
        cmocka_unit_test(quarter_jitter_adds_nothing_to_retry_after),
        cmocka_unit_test(a_retry_after_above_the_cap_ends_the_call_or_is_cut_or_passed_over),
        cmocka_unit_test(a_drawn_delay_is_raised_to_the_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
