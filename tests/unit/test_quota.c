#include "mockserver/quota.h"

#include "base/duration.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct quota_pool pool_with(enum quota_dimension dimension, int64_t limit)
{
    static struct quota_limits some[64]; /* a pool keeps no limits of its own */
    static size_t next;
    struct quota_limits *limits = &some[next++ % 64];
    struct quota_pool pool;
    quota_limits_init(limits);
    limits->limit[dimension] = limit;
    quota_init(&pool, limits, 0);
    return pool;
}

static void dimensions_have_names_and_windows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *label;
        int64_t window_ns;
        bool counts_tokens;
    } expected[QUOTA_DIMENSION_COUNT] = {
        [QUOTA_REQUESTS_PER_MINUTE] = {"requests_per_minute", "requests per min (RPM)",
                                       NS_PER_MINUTE, false},
        [QUOTA_REQUESTS_PER_DAY] = {"requests_per_day", "requests per day (RPD)", NS_PER_DAY,
                                    false},
        [QUOTA_TOKENS_PER_MINUTE] = {"tokens_per_minute", "tokens per min (TPM)", NS_PER_MINUTE,
                                     true},
        [QUOTA_TOKENS_PER_DAY] = {"tokens_per_day", "tokens per day (TPD)", NS_PER_DAY, true},
        [QUOTA_IMAGES_PER_MINUTE] = {"images_per_minute", "images per minute", NS_PER_MINUTE,
                                     false},
        [QUOTA_CONCURRENT_REQUESTS] = {"concurrent_requests", "concurrent requests", 0, false},
        [QUOTA_REQUESTS_TOTAL] = {"requests_total", "requests in total", 0, false},
    };
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        enum quota_dimension dimension = (enum quota_dimension)i;
        assert_string_equal(quota_dimension_name(dimension), expected[i].name);
        assert_string_equal(quota_dimension_label(dimension), expected[i].label);
        assert_int_equal(quota_dimension_window_ns(dimension), expected[i].window_ns);
        assert_int_equal(quota_dimension_counts_tokens(dimension), expected[i].counts_tokens);
    }
}

/* Messages of api.openai.com (and, for tokens per day, of a service that speaks the same) as
 * people pasted them into public issues. */
static void waits_as_logged_messages_say(void **state)
{
    (void)state;
    static const struct {
        enum quota_dimension dimension;
        int64_t limit;
        int64_t used;
        int64_t requested;
        const char *wait;
    } messages[] = {
        {QUOTA_TOKENS_PER_MINUTE, 30000, 14567, 24754, "18.642s"}, /* semanser/codel#72 */
        {QUOTA_TOKENS_PER_MINUTE, 25000, 23255, 5872, "9.904s"},   /* community t/1371786 */
        {QUOTA_TOKENS_PER_MINUTE, 30000, 29937, 385, "644ms"},     /* BuilderIO/micro-agent#86 */
        {QUOTA_TOKENS_PER_MINUTE, 10000, 8554, 3082, "9.816s"}, /* FoundationAgents/MetaGPT#523 */
        {QUOTA_TOKENS_PER_MINUTE, 10000, 6701, 4497, "7.188s"}, /* abi/screenshot-to-code#76 */
        {QUOTA_REQUESTS_PER_MINUTE, 3, 3, 1, "20s"},            /* OpenBMB/ChatDev#26 */
        {QUOTA_REQUESTS_PER_DAY, 200, 200, 1, "7m12s"},         /* openai/codex#797 */
        {QUOTA_REQUESTS_PER_DAY, 50, 50, 1, "28m48s"},
        {QUOTA_REQUESTS_PER_DAY, 2000, 2000, 1, "43.2s"},
        {QUOTA_TOKENS_PER_DAY, 200000, 197494, 4035, "11m0.528s"},
        /* Older ones say the limit and the wait: that of one more than there is. 114h18m0s of a
         * month, which no limit here has, is in test_duration.c. */
        {QUOTA_TOKENS_PER_MINUTE, 40000, 40000, 1, "1ms"}, /* OpenBMB/ChatDev#171 */
        {QUOTA_TOKENS_PER_MINUTE, 10000, 10000, 1, "6ms"}, /* daveshap/Medical_Intake#9 */
        {QUOTA_REQUESTS_PER_MINUTE, 60, 60, 1, "1s"},      /* hwchase17/notion-qa#19 */
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct quota_pool pool = pool_with(messages[i].dimension, messages[i].limit);
        if (quota_dimension_counts_tokens(messages[i].dimension)) {
            assert_true(quota_admit(&pool, 0, messages[i].used).admitted);
        } else {
            for (int64_t j = 0; j < messages[i].used; j++)
                assert_true(quota_admit(&pool, 0, 0).admitted);
        }
        struct quota_answer answer = quota_admit(&pool, 0, messages[i].requested);
        char wait[DURATION_TEXT_SIZE];
        assert_false(answer.admitted);
        assert_int_equal(answer.stopped_by, messages[i].dimension);
        assert_int_equal(answer.limit, messages[i].limit);
        assert_int_equal(answer.used, messages[i].used);
        assert_int_equal(answer.requested, messages[i].requested);
        assert_false(answer.too_large);
        assert_string_equal(duration_go(answer.wait_ns, wait), messages[i].wait);
    }
}

/* Header captures: limit, what was taken, remaining and reset as they were sent. */
static void remaining_and_reset_are_those_of_captured_headers(void **state)
{
    (void)state;
    static const struct {
        enum quota_dimension dimension;
        int64_t limit;
        int64_t taken;
        int64_t remaining;
        const char *reset;
    } captures[] = {
        {QUOTA_REQUESTS_PER_DAY, 10000, 1, 9999, "8.64s"},
        {QUOTA_TOKENS_PER_MINUTE, 10000, 519, 9481, "3.114s"},
        {QUOTA_TOKENS_PER_MINUTE, 200000, 22, 199978, "6ms"},
        {QUOTA_REQUESTS_PER_MINUTE, 500, 1, 499, "120ms"},
        {QUOTA_TOKENS_PER_MINUTE, 30000, 4, 29996, "8ms"},
        {QUOTA_TOKENS_PER_MINUTE, 150000000, 5, 149999995, "0s"},
        {QUOTA_REQUESTS_PER_MINUTE, 60, 1, 59, "1s"},
        {QUOTA_REQUESTS_PER_MINUTE, 30000, 1, 29999, "2ms"},
        {QUOTA_REQUESTS_PER_MINUTE, 20000, 1, 19999, "3ms"},
        {QUOTA_REQUESTS_PER_MINUTE, 15000, 1, 14999, "4ms"},
        {QUOTA_REQUESTS_PER_MINUTE, 10000, 1, 9999, "6ms"},
        {QUOTA_REQUESTS_PER_MINUTE, 3000, 1, 2999, "20ms"},
        {QUOTA_REQUESTS_PER_MINUTE, 1000, 1, 999, "60ms"},
    };
    for (size_t i = 0; i < sizeof captures / sizeof captures[0]; i++) {
        struct quota_pool pool = pool_with(captures[i].dimension, captures[i].limit);
        assert_true(quota_admit(&pool, 0, captures[i].taken).admitted);
        char reset[DURATION_TEXT_SIZE];
        assert_int_equal(quota_remaining(&pool, captures[i].dimension, 0), captures[i].remaining);
        assert_int_equal(quota_used(&pool, captures[i].dimension, 0), captures[i].taken);
        int64_t reset_ns = quota_reset(&pool, captures[i].dimension, 0);
        assert_string_equal(duration_go(reset_ns, reset), captures[i].reset);
        /* And it holds: full then, not full one nanosecond before. */
        assert_int_equal(quota_used(&pool, captures[i].dimension, reset_ns), 0);
        assert_int_equal(quota_used(&pool, captures[i].dimension, reset_ns - 1), 1);
    }
}

static void what_waits_as_told_is_admitted_and_a_nanosecond_earlier_is_not(void **state)
{
    (void)state;
    static const int64_t limits[] = {1, 3, 7, 11, 60, 61, 499, 3500, 9973, 10000};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct quota_pool pool = pool_with(QUOTA_REQUESTS_PER_MINUTE, limits[i]);
        int64_t now_ns = 0;
        for (int64_t j = 0; j < limits[i]; j++)
            assert_true(quota_admit(&pool, now_ns, 10).admitted);
        for (int j = 0; j < 100; j++) {
            struct quota_answer answer = quota_admit(&pool, now_ns, 10);
            assert_false(answer.admitted);
            assert_true(answer.wait_ns > 0);
            assert_false(quota_admit(&pool, now_ns + answer.wait_ns - 1, 10).admitted);
            now_ns += answer.wait_ns;
            assert_true(quota_admit(&pool, now_ns, 10).admitted);
        }
    }
}

/* Whoever asks all the time gets N at once and then one each time another N-th of the minute has
 * passed: N + floor(N * t / 60 s) by the time t, since nothing of the refill is ever lost. */
static void serves_exactly_what_the_refill_rule_allows(void **state)
{
    (void)state;
    static const struct {
        enum quota_dimension dimension;
        int64_t limit;
        int64_t tokens;
        int64_t step_ns;
        int64_t steps;
    } cases[] = {
        {QUOTA_REQUESTS_PER_MINUTE, 60, 0, NS_PER_MS, 600000},
        {QUOTA_REQUESTS_PER_MINUTE, 7, 0, NS_PER_MS, 600000},
        {QUOTA_REQUESTS_PER_MINUTE, 61, 0, 999983, 300000},
        {QUOTA_REQUESTS_PER_MINUTE, 3500, 0, 777777, 300000},
        {QUOTA_REQUESTS_PER_MINUTE, 10000, 0, 100003, 300000},
        {QUOTA_REQUESTS_PER_DAY, 200, 0, NS_PER_S, 200000},
        {QUOTA_TOKENS_PER_MINUTE, 30000, 1, 31 * NS_PER_US, 300000},
        {QUOTA_TOKENS_PER_DAY, 40000, 1, NS_PER_S, 200000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quota_pool pool = pool_with(cases[i].dimension, cases[i].limit);
        int64_t window_ns = quota_dimension_window_ns(cases[i].dimension);
        int64_t served = 0;
        for (int64_t j = 0; j <= cases[i].steps; j++) {
            int64_t now_ns = j * cases[i].step_ns;
            /* Asked until refused: the whole burst comes at the first moment. */
            while (quota_admit(&pool, now_ns, cases[i].tokens).admitted)
                served++;
            __extension__ __int128 refilled = (__int128)cases[i].limit * now_ns / window_ns;
            assert_int_equal(served, cases[i].limit + (int64_t)refilled);
        }
        assert_true(served > cases[i].limit); /* something was refilled, or nothing was tested */
    }
}

static void an_idle_pool_fills_to_its_limit_and_no_further(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_REQUESTS_PER_MINUTE, 5);
    int64_t now_ns = 0;
    for (int hour = 0; hour < 10; hour++) {
        int served = 0;
        while (quota_admit(&pool, now_ns, 1).admitted)
            served++;
        assert_int_equal(served, 5);
        now_ns += NS_PER_HOUR;
    }
}

static void a_request_is_admitted_in_every_dimension_or_in_none(void **state)
{
    (void)state;
    struct quota_limits limits = {.limit = {10, 10, 100, 1000, 50, 2, 10}};
    struct quota_pool pool;
    quota_init(&pool, &limits, 0);
    assert_true(quota_admit(&pool, 0, 60).admitted);
    struct quota_pool before = pool;
    struct quota_answer answer = quota_admit(&pool, 0, 41); /* one token too many */
    assert_false(answer.admitted);
    assert_int_equal(answer.stopped_by, QUOTA_TOKENS_PER_MINUTE);
    assert_memory_equal(pool.use, before.use, sizeof pool.use);
    assert_int_equal(pool.in_flight, before.in_flight);
    assert_int_equal(pool.total, before.total);
    assert_true(quota_admit(&pool, 0, 40).admitted);
    static const int64_t used[QUOTA_DIMENSION_COUNT] = {2, 2, 100, 100, 0, 2, 2};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        assert_int_equal(quota_used(&pool, (enum quota_dimension)i, 0), used[i]);
        assert_int_equal(quota_remaining(&pool, (enum quota_dimension)i, 0),
                         limits.limit[i] - used[i]);
        assert_int_equal(quota_peak(&pool, (enum quota_dimension)i), used[i]);
    }
}

/* 60 a minute: half a unit comes back in 500 ms. */
static void a_peak_is_what_was_used_in_whole_units_rounded_up(void **state)
{
    (void)state;
    static const struct {
        int64_t now_ns;
        int64_t tokens;
        int64_t peak;
    } steps[] = {
        {0, 10, 10},              /* 10 */
        {500 * NS_PER_MS, 2, 12}, /* 9.5 + 2 */
        {500 * NS_PER_MS, 1, 13}, /* 11.5 + 1 */
        {NS_PER_S, 1, 13},        /* 12 + 1 */
        {NS_PER_S, 1, 14},        /* 13 + 1 */
    };
    struct quota_pool pool = pool_with(QUOTA_TOKENS_PER_MINUTE, 60);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_true(quota_admit(&pool, steps[i].now_ns, steps[i].tokens).admitted);
        assert_int_equal(quota_peak(&pool, QUOTA_TOKENS_PER_MINUTE), steps[i].peak);
    }
}

static void concurrency_is_given_back_by_those_who_finish_and_not_by_time(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_CONCURRENT_REQUESTS, 2);
    assert_true(quota_admit(&pool, 0, 1).admitted);
    assert_true(quota_admit(&pool, 0, 1).admitted);
    struct quota_answer answer = quota_admit(&pool, NS_PER_DAY, 1);
    assert_false(answer.admitted);
    assert_int_equal(answer.stopped_by, QUOTA_CONCURRENT_REQUESTS);
    assert_int_equal(answer.used, 2);
    assert_int_equal(answer.wait_ns, -1);
    assert_false(answer.too_large);
    assert_int_equal(quota_reset(&pool, QUOTA_CONCURRENT_REQUESTS, NS_PER_DAY), 0);
    quota_finish(&pool);
    assert_true(quota_admit(&pool, NS_PER_DAY, 1).admitted);
    assert_false(quota_admit(&pool, NS_PER_DAY, 1).admitted);
    assert_int_equal(quota_peak(&pool, QUOTA_CONCURRENT_REQUESTS), 2);
}

static void what_the_plan_has_paid_for_never_refills(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_REQUESTS_TOTAL, 1);
    assert_true(quota_admit(&pool, 0, 1).admitted);
    struct quota_answer answer = quota_admit(&pool, 365 * NS_PER_DAY, 1);
    assert_false(answer.admitted);
    assert_int_equal(answer.stopped_by, QUOTA_REQUESTS_TOTAL);
    assert_int_equal(answer.wait_ns, -1);
    struct quota_limits raised = *pool.limits;
    raised.limit[QUOTA_REQUESTS_TOTAL] = 3;
    quota_change(&pool, &raised, 365 * NS_PER_DAY);
    assert_true(quota_admit(&pool, 365 * NS_PER_DAY, 1).admitted);
    assert_true(quota_admit(&pool, 365 * NS_PER_DAY, 1).admitted);
    assert_false(quota_admit(&pool, 365 * NS_PER_DAY, 1).admitted);
}

static void too_large_is_not_cured_by_waiting(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_TOKENS_PER_MINUTE, 30000);
    struct quota_answer answer = quota_admit(&pool, 0, 36278); /* Aider-AI/aider#1880 */
    assert_false(answer.admitted);
    assert_true(answer.too_large);
    assert_int_equal(answer.limit, 30000);
    assert_int_equal(answer.requested, 36278);
    assert_int_equal(answer.wait_ns, -1);
    assert_true(quota_admit(&pool, 0, 30000).admitted); /* the limit itself fits */
    assert_false(quota_admit(&pool, 0, 30001).wait_ns >= 0);
}

static void a_limit_of_zero_admits_nothing_for_ever(void **state)
{
    (void)state;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        struct quota_pool pool = pool_with((enum quota_dimension)i, 0);
        struct quota_cost cost = {.requests = 1, .tokens = 5, .images = 1};
        struct quota_answer answer = quota_admit_cost(&pool, 0, &cost);
        assert_false(answer.admitted);
        assert_int_equal(answer.stopped_by, i);
        assert_int_equal(answer.wait_ns, -1);
        assert_int_equal(answer.too_large, quota_dimension_counts_tokens((enum quota_dimension)i));
        assert_int_equal(quota_remaining(&pool, (enum quota_dimension)i, NS_PER_DAY), 0);
        assert_int_equal(quota_reset(&pool, (enum quota_dimension)i, NS_PER_DAY), 0);
    }
    /* Lowered to 0 while something is used: then not even what costs nothing passes. */
    struct quota_pool pool = pool_with(QUOTA_TOKENS_PER_MINUTE, 10);
    assert_true(quota_admit(&pool, 0, 10).admitted);
    struct quota_limits none = *pool.limits;
    none.limit[QUOTA_TOKENS_PER_MINUTE] = 0;
    quota_change(&pool, &none, 0);
    assert_false(quota_admit(&pool, NS_PER_DAY, 0).admitted);
    assert_int_equal(quota_admit(&pool, NS_PER_DAY, 0).wait_ns, -1);
}

static void the_gravest_refusal_is_told(void **state)
{
    (void)state;
    static const struct {
        struct quota_limits limits;
        int64_t tokens;
        enum quota_dimension stopped_by;
    } cases[] = {
        /* Two waits: the longer one, so that who waits is not refused by the other. */
        {{.limit = {1, 1, -1, -1, -1, -1, -1}}, 1, QUOTA_REQUESTS_PER_DAY},
        {{.limit = {1, -1, 100, -1, -1, -1, -1}},
         60,
         QUOTA_REQUESTS_PER_MINUTE}, /* 60 s against 12 s */
        {{.limit = {2, -1, 100, -1, -1, -1, -1}},
         100,
         QUOTA_TOKENS_PER_MINUTE}, /* free against 60 s */
        {{.limit = {60, -1, 60, -1, -1, 1, -1}},
         60,
         QUOTA_TOKENS_PER_MINUTE}, /* a full house comes last */
        {{.limit = {1, 1, 100, 100, -1, 1, 1}}, 100, QUOTA_REQUESTS_TOTAL},
        {{.limit = {1, 1, -1, -1, -1, 1, -1}}, 1, QUOTA_REQUESTS_PER_DAY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quota_pool pool;
        quota_init(&pool, &cases[i].limits, 0);
        assert_true(quota_admit(&pool, 0, cases[i].tokens).admitted);
        struct quota_answer answer = quota_admit(&pool, 0, cases[i].tokens);
        assert_false(answer.admitted);
        assert_int_equal(answer.stopped_by, cases[i].stopped_by);
    }
}

static void raising_a_limit_frees_the_difference_at_once(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_REQUESTS_PER_MINUTE, 3);
    for (int i = 0; i < 3; i++)
        assert_true(quota_admit(&pool, 0, 1).admitted);
    struct quota_limits raised = *pool.limits;
    raised.limit[QUOTA_REQUESTS_PER_MINUTE] = 5;
    quota_change(&pool, &raised, 0);
    assert_true(quota_admit(&pool, 0, 1).admitted);
    assert_true(quota_admit(&pool, 0, 1).admitted);
    struct quota_answer answer = quota_admit(&pool, 0, 1);
    assert_false(answer.admitted);
    assert_int_equal(answer.used, 5);
    assert_int_equal(answer.wait_ns, 12 * NS_PER_S);
}

static void lowering_a_limit_keeps_what_is_used(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_REQUESTS_PER_MINUTE, 10);
    for (int i = 0; i < 10; i++)
        assert_true(quota_admit(&pool, 0, 1).admitted);
    struct quota_limits lowered = *pool.limits;
    lowered.limit[QUOTA_REQUESTS_PER_MINUTE] = 2;
    /* Half of a minute at the old limit has given 5 back. */
    quota_change(&pool, &lowered, 30 * NS_PER_S);
    assert_int_equal(quota_used(&pool, QUOTA_REQUESTS_PER_MINUTE, 30 * NS_PER_S), 5);
    assert_int_equal(quota_remaining(&pool, QUOTA_REQUESTS_PER_MINUTE, 30 * NS_PER_S), 0);
    struct quota_answer answer = quota_admit(&pool, 30 * NS_PER_S, 1);
    assert_int_equal(answer.used, 5);
    assert_int_equal(answer.wait_ns, 120 * NS_PER_S); /* four must go, at two a minute */
    assert_false(quota_admit(&pool, 150 * NS_PER_S - 1, 1).admitted);
    assert_true(quota_admit(&pool, 150 * NS_PER_S, 1).admitted);
}

static void a_limit_that_is_set_anew_starts_full(void **state)
{
    (void)state;
    struct quota_limits limits;
    quota_limits_init(&limits);
    struct quota_pool pool;
    quota_init(&pool, &limits, 0);
    for (int i = 0; i < 50; i++)
        assert_true(quota_admit(&pool, i, 1000).admitted);
    struct quota_limits set = limits;
    set.limit[QUOTA_REQUESTS_PER_MINUTE] = 2;
    set.limit[QUOTA_CONCURRENT_REQUESTS] = 51;
    set.limit[QUOTA_REQUESTS_TOTAL] = 51;
    quota_change(&pool, &set, 50);
    assert_int_equal(quota_used(&pool, QUOTA_REQUESTS_PER_MINUTE, 50), 0);
    /* In flight and in total are not of a window: they stay counted. */
    assert_int_equal(quota_used(&pool, QUOTA_CONCURRENT_REQUESTS, 50), 50);
    assert_int_equal(quota_used(&pool, QUOTA_REQUESTS_TOTAL, 50), 50);
    assert_true(quota_admit(&pool, 50, 1).admitted);
    assert_false(quota_admit(&pool, 50, 1).admitted);
}

static void the_largest_limits_and_times_stay_exact(void **state)
{
    (void)state;
    struct quota_pool pool = pool_with(QUOTA_TOKENS_PER_DAY, QUOTA_LIMIT_MAX);
    int64_t now_ns = INT64_C(8000000000000000000); /* 253 years */
    assert_true(quota_admit(&pool, now_ns, QUOTA_LIMIT_MAX).admitted);
    struct quota_answer answer = quota_admit(&pool, now_ns, QUOTA_LIMIT_MAX);
    assert_int_equal(answer.wait_ns, NS_PER_DAY);
    assert_int_equal(answer.used, QUOTA_LIMIT_MAX);
    assert_false(quota_admit(&pool, now_ns + NS_PER_DAY - 1, QUOTA_LIMIT_MAX).admitted);
    assert_true(quota_admit(&pool, now_ns + NS_PER_DAY, QUOTA_LIMIT_MAX).admitted);
    assert_int_equal(quota_admit(&pool, now_ns + NS_PER_DAY, 1).wait_ns, 87); /* 86.4, up */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimensions_have_names_and_windows),
        cmocka_unit_test(waits_as_logged_messages_say),
        cmocka_unit_test(remaining_and_reset_are_those_of_captured_headers),
        cmocka_unit_test(what_waits_as_told_is_admitted_and_a_nanosecond_earlier_is_not),
        cmocka_unit_test(serves_exactly_what_the_refill_rule_allows),
        cmocka_unit_test(an_idle_pool_fills_to_its_limit_and_no_further),
        cmocka_unit_test(a_request_is_admitted_in_every_dimension_or_in_none),
        cmocka_unit_test(a_peak_is_what_was_used_in_whole_units_rounded_up),
        cmocka_unit_test(concurrency_is_given_back_by_those_who_finish_and_not_by_time),
        cmocka_unit_test(what_the_plan_has_paid_for_never_refills),
        cmocka_unit_test(too_large_is_not_cured_by_waiting),
        cmocka_unit_test(a_limit_of_zero_admits_nothing_for_ever),
        cmocka_unit_test(the_gravest_refusal_is_told),
        cmocka_unit_test(raising_a_limit_frees_the_difference_at_once),
        cmocka_unit_test(lowering_a_limit_keeps_what_is_used),
        cmocka_unit_test(a_limit_that_is_set_anew_starts_full),
        cmocka_unit_test(the_largest_limits_and_times_stay_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
