#include "lab/recorder.h"

#include "base/duration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct recorder recorder;
static struct run_result result;
static struct quota_pool pool;
static struct experiment experiment;

static int start(void **state)
{
    (void)state;
    /* At most 60 requests from the full pool and 60 that come back: 2 a second, of 10 tokens. */
    experiment = (struct experiment){.duration_ns = 60 * NS_PER_S,
                                     .herd_window_ns = 10 * NS_PER_MS,
                                     .request_tokens = {.mean = 10}};
    quota_limits_init(&experiment.limits);
    experiment.limits.limit[QUOTA_REQUESTS_PER_MINUTE] = 60;
    quota_init(&pool, &experiment.limits, 0);
    const struct recorder_settings settings = recorder_settings_of(&experiment, &pool);
    recorder_init(&recorder, &settings);
    return 0;
}

static double measured(enum measure measure)
{
    return result.measures[measure];
}

static void assert_measured(enum measure measure, double expected)
{
    if (fabs(measured(measure) - expected) > 1e-9 * (1 + fabs(expected)))
        fail_msg("%s: found %.17g, expected %.17g", measure_describe(measure)->name,
                 measured(measure), expected);
}

static void counts_a_call_with_one_retry(void **state)
{
    (void)state;
    static const uint32_t served[] = {1};
    recorder_call_begins(&recorder, 0);
    recorder_arrives(&recorder, 0, false, true);
    recorder_wait_begins(&recorder, 10 * NS_PER_MS);
    recorder_wait_ends(&recorder, 10 * NS_PER_MS, 1010 * NS_PER_MS);
    recorder_arrives(&recorder, 1010 * NS_PER_MS, true, false);
    recorder_served(&recorder, 1510 * NS_PER_MS, 120);
    recorder_call_ends(&recorder, 0, 1510 * NS_PER_MS, 2, true);
    recorder_finish(&recorder, 2 * NS_PER_S, true, served, 1, &result);
    /* A run that is over early lasted as long as it was to last. */
    assert_int_equal(result.measured_ns, 60 * NS_PER_S);
    assert_measured(MEASURE_OFFERED, 1 / 60.0);
    assert_measured(MEASURE_ATTEMPTS, 2 / 60.0);
    assert_measured(MEASURE_GOODPUT_REQUESTS, 1 / 60.0);
    assert_measured(MEASURE_GOODPUT_TOKENS, 2);
    assert_measured(MEASURE_QUOTA_SHARE, 1 / 120.0);
    assert_measured(MEASURE_THROTTLED_SHARE, 0.5);
    assert_measured(MEASURE_ATTEMPTS_PER_SUCCESS, 2);
    assert_measured(MEASURE_CALLS_LOST, 0);
    assert_measured(MEASURE_CALLS_OPEN, 0);
    assert_true(measured(MEASURE_COMPLETION_P50) >= 1.51);
    assert_measured(MEASURE_COMPLETION_MAX, 1.51);
    assert_measured(MEASURE_WAITED, 1);
    assert_measured(MEASURE_HERD, 1);
    assert_measured(MEASURE_FAIRNESS, 1);
    assert_int_equal(result.herd_at_ns, 1010 * NS_PER_MS);
    assert_int_equal(result.bins[0].throttled, 1);
    assert_int_equal(result.bins[10].attempts, 1);
    assert_int_equal(result.bins[15].served, 1);
}

static void waiting_is_wasted_while_the_quota_has_room(void **state)
{
    (void)state;
    /* Three calls wait for 10 s. The pool is used up at first: a place comes back each second, so
     * 1 + 2 + 3 * 7 of the 30 s are wasted, from the second second on. */
    for (int i = 0; i < 60; i++)
        assert_true(quota_admit(&pool, 0, 1).admitted);
    for (int i = 0; i < 3; i++) {
        recorder_call_begins(&recorder, 0);
        recorder_wait_begins(&recorder, 0);
    }
    for (int i = 0; i < 3; i++) {
        recorder_wait_ends(&recorder, 0, 10 * NS_PER_S);
        recorder_call_ends(&recorder, 0, 10 * NS_PER_S, 1, false);
    }
    recorder_finish(&recorder, 60 * NS_PER_S, true, NULL, 0, &result);
    assert_measured(MEASURE_WAITED, 10);
    assert_measured(MEASURE_WASTED, 24 / 3.0);
    assert_measured(MEASURE_CALLS_LOST, 1);
    assert_true(isnan(measured(MEASURE_COMPLETION_P50)));
    assert_true(isnan(measured(MEASURE_FAIRNESS)));
}

static void what_comes_in_the_drain_does_not_count_as_a_rate(void **state)
{
    (void)state;
    recorder_call_begins(&recorder, 59 * NS_PER_S);
    recorder_arrives(&recorder, 60 * NS_PER_S, false, false);
    recorder_served(&recorder, 61 * NS_PER_S, 10);
    recorder_call_ends(&recorder, 59 * NS_PER_S, 61 * NS_PER_S, 1, true);
    recorder_finish(&recorder, 61 * NS_PER_S, true, NULL, 0, &result);
    assert_measured(MEASURE_ATTEMPTS, 0);
    assert_measured(MEASURE_GOODPUT_REQUESTS, 0);
    assert_true(isnan(measured(MEASURE_THROTTLED_SHARE)));
    assert_measured(MEASURE_COMPLETION_MAX, 2);
    assert_int_equal(result.attempts, 1);
    assert_int_equal(result.calls_served, 1);
}

static void a_herd_is_seen_on_the_border_of_two_windows(void **state)
{
    (void)state;
    recorder_arrives(&recorder, NS_PER_S, false, false); /* no retry */
    for (int i = 0; i < 4; i++)
        recorder_arrives(&recorder, 9998 * NS_PER_MS, true, true);
    for (int i = 0; i < 3; i++)
        recorder_arrives(&recorder, 10002 * NS_PER_MS, true, true);
    recorder_arrives(&recorder, 10006 * NS_PER_MS, true, true);
    for (int i = 0; i < 6; i++)
        recorder_arrives(&recorder, 20 * NS_PER_S + i * 20 * NS_PER_MS, true, true);
    recorder_finish(&recorder, 60 * NS_PER_S, true, NULL, 0, &result);
    assert_measured(MEASURE_HERD, 7);
    assert_int_equal(result.herd_at_ns, 10002 * NS_PER_MS);
}

static void a_run_that_was_stopped_counts_as_long_as_it_went(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 30; i++)
        recorder_served(&recorder, i * NS_PER_S, 1);
    recorder_finish(&recorder, 30 * NS_PER_S, false, NULL, 0, &result);
    assert_false(result.is_complete);
    assert_int_equal(result.measured_ns, 30 * NS_PER_S);
    assert_measured(MEASURE_GOODPUT_REQUESTS, 1);
    assert_measured(MEASURE_QUOTA_SHARE, 30 / (60 + 30.0));
}

/* The burst of a full pool is all there in the first second. */
static void a_run_that_was_stopped_soon_has_no_more_than_the_quota(void **state)
{
    (void)state;
    for (int i = 0; i < 65; i++)
        recorder_served(&recorder, 4 * NS_PER_S, 1);
    recorder_finish(&recorder, 5 * NS_PER_S, false, NULL, 0, &result);
    assert_measured(MEASURE_GOODPUT_REQUESTS, 13);
    assert_measured(MEASURE_QUOTA_SHARE, 1);
}

static void fairness_is_jains_index(void **state)
{
    (void)state;
    static const uint32_t served[] = {4, 0, 0, 0};
    static const uint32_t shared[] = {1, 3};
    recorder_finish(&recorder, 60 * NS_PER_S, true, served, 4, &result);
    assert_measured(MEASURE_FAIRNESS, 0.25);
    recorder_finish(&recorder, 60 * NS_PER_S, true, shared, 2, &result);
    assert_measured(MEASURE_FAIRNESS, 16.0 / 20);
}

static void where_tokens_bind_tokens_tell_the_share_of_the_quota(void **state)
{
    (void)state;
    experiment.limits.limit[QUOTA_TOKENS_PER_MINUTE] = 500;
    for (int i = 0; i < 100; i++)
        recorder_served(&recorder, NS_PER_S, 3);
    recorder_finish(&recorder, 60 * NS_PER_S, true, NULL, 0, &result);
    assert_measured(MEASURE_QUOTA_SHARE, 300 / 1000.0);
    quota_limits_init(&experiment.limits);
    recorder_finish(&recorder, 60 * NS_PER_S, true, NULL, 0, &result);
    assert_true(isnan(measured(MEASURE_QUOTA_SHARE)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counts_a_call_with_one_retry, start),
        cmocka_unit_test_setup(waiting_is_wasted_while_the_quota_has_room, start),
        cmocka_unit_test_setup(what_comes_in_the_drain_does_not_count_as_a_rate, start),
        cmocka_unit_test_setup(a_herd_is_seen_on_the_border_of_two_windows, start),
        cmocka_unit_test_setup(a_run_that_was_stopped_counts_as_long_as_it_went, start),
        cmocka_unit_test_setup(a_run_that_was_stopped_soon_has_no_more_than_the_quota, start),
        cmocka_unit_test_setup(where_tokens_bind_tokens_tell_the_share_of_the_quota, start),
        cmocka_unit_test_setup(fairness_is_jains_index, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
