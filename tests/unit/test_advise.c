#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lab/advise.h"
#include "tests/unit/sample_sweep.h"

static void assert_says(const struct sweep *sweep, const struct sweep *raised, const char *wanted)
{
    char text[ADVISE_TEXT_SIZE];
    advise_text(sweep, raised, text);
    if (strstr(text, wanted) == NULL)
        fail_msg("no \"%s\" in \"%s\"", wanted, text);
}

static void assert_does_not_say(const struct sweep *sweep, const char *unwanted)
{
    char text[ADVISE_TEXT_SIZE];
    assert_null(strstr(advise_text(sweep, NULL, text), unwanted));
}

static void the_least_wait_wins_among_those_that_feed_the_quota(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    assert_ptr_equal(advise_best(&sample->sweep), sample_cell(sample, 1, 2));
    assert_says(&sample->sweep, NULL, "Take \"modest\" with 4 workers: 9.600 requests/s, 96.0 %");
    assert_says(&sample->sweep, NULL, "waits 0.50 s on average, and 99 % are complete within");
    assert_does_not_say(&sample->sweep, "cannot tell");
    free(sample);
}

static void who_loses_calls_does_not_feed_the_quota(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample_set(sample, 1, 2, 10, 0, 0.002);
    assert_false(advise_feeds(sample_cell(sample, 1, 2)));
    assert_ptr_equal(advise_best(&sample->sweep), sample_cell(sample, 0, 2));
    sample_set(sample, 1, 2, 10, 0, 0.0005);
    assert_ptr_equal(advise_best(&sample->sweep), sample_cell(sample, 1, 2));
    free(sample);
}

/* Waits whose intervals meet are equal: the shorter p99 decides, and the other is named. */
static void what_cannot_be_told_apart_is_said(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample_set(sample, 0, 2, 10, 0.49, 0);
    sample_cell(sample, 0, 2)->measures[MEASURE_COMPLETION_P99] = sample_estimate(9, 0.1);
    assert_ptr_equal(advise_best(&sample->sweep), sample_cell(sample, 1, 2));
    assert_says(&sample->sweep, NULL, "The repetitions cannot tell its wait from that of \"greedy");
    free(sample);
}

/* Who is refused at once waits less, but spends the time in refusals. */
static void refusals_are_waiting_too(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    struct cell_result *greedy = sample_cell(sample, 0, 2);
    sample_set(sample, 0, 2, 10, 0.3, 0);
    assert_ptr_equal(advise_best(&sample->sweep), greedy);
    greedy->measures[MEASURE_OFFERED].mean = 10;
    greedy->measures[MEASURE_ATTEMPTS].mean = 40;
    greedy->measures[MEASURE_THROTTLED_SHARE].mean = 0.75;
    sample->experiment.refusal_time.mean = 100e6;
    assert_true(fabs(advise_wait_s(&sample->sweep, greedy) - 0.6) < 1e-9);
    assert_ptr_equal(advise_best(&sample->sweep), sample_cell(sample, 1, 2));
    free(sample);
}

static void where_nothing_reaches_it_the_nearest_and_the_obstacle_are_said(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample_set(sample, 0, 2, 8.5, 0, 0);
    sample_set(sample, 1, 2, 9, 0, 0);
    assert_says(&sample->sweep, NULL, "Nothing here reaches 95 % of the quota");
    assert_says(&sample->sweep, NULL, "Nearest is \"modest\" with 4 workers");
    assert_says(&sample->sweep, NULL, "the load is the limit, not the quota. Try more workers.");
    sample_set(sample, 0, 1, 9.1, 0.4, 0);
    assert_says(&sample->sweep, NULL, "More load made it no better");
    for (size_t i = 0; i < SAMPLE_CELLS; i++)
        sample->cells[i].measures[MEASURE_CALLS_LOST] = sample_estimate(0.2, 0);
    assert_says(&sample->sweep, NULL, "this one lost 20.0 %");
    free(sample);
}

static void a_raise_is_asked_for_one_strategy_and_one_limit(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    struct experiment raised;
    assert_true(advise_raised(&sample->sweep, advise_best(&sample->sweep), &raised));
    assert_int_equal(raised.strategy_count, 1);
    assert_string_equal(raised.strategies[0].label, "modest");
    assert_int_equal(raised.limits.limit[QUOTA_REQUESTS_PER_MINUTE], 1200);
    assert_int_equal(raised.limits.limit[QUOTA_TOKENS_PER_MINUTE], QUOTA_UNLIMITED);
    assert_int_equal(sample->experiment.limits.limit[QUOTA_REQUESTS_PER_MINUTE], 600);
    sample->sweep.bound.limit = QUOTA_DIMENSION_COUNT;
    assert_false(advise_raised(&sample->sweep, advise_best(&sample->sweep), &raised));
    free(sample);
}

static void what_a_raise_brings_is_what_the_second_sweep_found(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    struct sample *raised = sample_new();
    raised->experiment.strategy_count = 1;
    raised->sweep.cell_count = SAMPLE_LOADS;
    sample_set(raised, 0, 2, 14.4, 0.5, 0);
    assert_says(
        &sample->sweep, &raised->sweep,
        "Twice the requests per minute would bring 14.40 requests/s with 4 workers (+50 %)");
    sample_set(raised, 0, 2, 9.61, 0.5, 0);
    assert_says(&sample->sweep, &raised->sweep, "would bring next to nothing with 4 workers");
    raised->sweep.bound.limit = QUOTA_TOKENS_PER_MINUTE;
    assert_says(&sample->sweep, &raised->sweep,
                "the limit that binds is then the tokens per minute");
    free(sample);
    free(raised);
}

static void a_sweep_that_was_stopped_says_so_and_no_more_than_it_knows(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->sweep.is_complete = false;
    sample_cell(sample, 1, 2)->repetitions = 0;
    assert_says(&sample->sweep, NULL,
                "From what was run to its end before the stop: Take \"greedy");
    for (size_t i = 0; i < SAMPLE_CELLS; i++)
        sample->cells[i].repetitions = 0;
    assert_null(advise_best(&sample->sweep));
    assert_says(&sample->sweep, NULL, "nothing to advise");
    free(sample);
}

/* What the burst of a full pool makes look good in its first seconds is advised to nobody. */
static void what_was_cut_short_does_not_compete(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->sweep.is_complete = false;
    sample_cell(sample, 1, 2)->is_cut_short = true;
    assert_ptr_equal(advise_best_of(&sample->sweep, 1), sample_cell(sample, 1, 1));
    assert_ptr_equal(advise_best(&sample->sweep), sample_cell(sample, 0, 2));
    for (size_t i = 0; i < SAMPLE_CELLS; i++)
        sample->cells[i].is_cut_short = true;
    assert_null(advise_best(&sample->sweep));
    assert_says(&sample->sweep, NULL, "Nothing was run to its end");
    free(sample);
}

static void a_machine_that_is_too_slow_is_the_obstacle(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    struct cell_result *best = sample_cell(sample, 1, 2);
    sample_set(sample, 0, 2, 8.5, 0, 0);
    sample_set(sample, 1, 2, 9, 0, 0);
    best->measures[MEASURE_COMPLETION_P50].mean = 2;
    best->measures[MEASURE_LATE].mean = 0.09;
    assert_does_not_say(&sample->sweep, "too slow");
    best->measures[MEASURE_LATE].mean = 0.11;
    assert_says(&sample->sweep, NULL, "This machine was too slow: what was due came 0.11 s late");
    assert_does_not_say(&sample->sweep, "Try more workers");
    free(sample);
}

static void without_a_limit_there_is_no_share_of_it(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->sweep.bound = (struct experiment_bound){INFINITY, INFINITY, QUOTA_DIMENSION_COUNT};
    for (size_t i = 0; i < SAMPLE_CELLS; i++)
        sample->cells[i].measures[MEASURE_QUOTA_SHARE] = (struct estimate){NAN, NAN, NAN, false};
    assert_says(&sample->sweep, NULL, "This quota sets no limit");
    assert_says(&sample->sweep, NULL, "with 4 workers");
    free(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_wait_wins_among_those_that_feed_the_quota),
        cmocka_unit_test(who_loses_calls_does_not_feed_the_quota),
        cmocka_unit_test(what_cannot_be_told_apart_is_said),
        cmocka_unit_test(refusals_are_waiting_too),
        cmocka_unit_test(where_nothing_reaches_it_the_nearest_and_the_obstacle_are_said),
        cmocka_unit_test(a_raise_is_asked_for_one_strategy_and_one_limit),
        cmocka_unit_test(what_a_raise_brings_is_what_the_second_sweep_found),
        cmocka_unit_test(a_sweep_that_was_stopped_says_so_and_no_more_than_it_knows),
        cmocka_unit_test(what_was_cut_short_does_not_compete),
        cmocka_unit_test(a_machine_that_is_too_slow_is_the_obstacle),
        cmocka_unit_test(without_a_limit_there_is_no_share_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
