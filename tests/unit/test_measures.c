#include "lab/measures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double scratch[8];

static void assert_near(double found, double expected)
{
    if (fabs(found - expected) > 1e-3 * fabs(expected))
        fail_msg("found %g, expected %g", found, expected);
}

static struct run_result *runs_with(enum measure measure, const double *values, int count)
{
    struct run_result *runs = calloc((size_t)count, sizeof *runs);
    for (int i = 0; i < count; i++) {
        runs[i].is_done = runs[i].is_complete = true;
        runs[i].measured_ns = 600 * INT64_C(1000000000);
        for (int j = 0; j < MEASURE_COUNT; j++)
            runs[i].measures[j] = NAN;
        runs[i].measures[measure] = values[i];
    }
    return runs;
}

static void every_measure_says_what_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < MEASURE_COUNT; i++) {
        const struct measure_description *description = measure_describe((enum measure)i);
        assert_true(strlen(description->name) > 0);
        assert_true(strlen(description->label) > 0);
        assert_non_null(description->unit);
        assert_true(strlen(description->description) > 10);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(description->name, measure_describe((enum measure)j)->name);
    }
}

static void intervals_are_students(void **state)
{
    (void)state;
    static const double values[] = {9, 10, 11, 10};
    struct run_result *runs = runs_with(MEASURE_WAITED, values, 4);
    struct cell_result cell = {0};
    measures_combine(&cell, runs, 4, scratch);
    const struct estimate *estimate = &cell.measures[MEASURE_WAITED];
    assert_true(cell.is_complete && estimate->has_interval);
    assert_int_equal(cell.repetitions, 4);
    assert_near(estimate->mean, 10);
    /* deviation sqrt(2/3), t(3) = 3.182 */
    assert_near(estimate->high - 10, 3.182 * sqrt(2.0 / 3 / 4));
    assert_near(10 - estimate->low, 3.182 * sqrt(2.0 / 3 / 4));
    assert_true(isnan(cell.measures[MEASURE_HERD].mean));
    assert_false(cell.measures[MEASURE_HERD].has_interval);
    free(runs);
}

static void what_cannot_be_said_does_not_count(void **state)
{
    (void)state;
    static const double values[] = {4, NAN, 6, 100};
    struct run_result *runs = runs_with(MEASURE_COMPLETION_P50, values, 4);
    struct cell_result cell = {0};
    runs[3].is_done = false; /* nobody came to run it */
    measures_combine(&cell, runs, 4, scratch);
    assert_false(cell.is_complete);
    assert_false(cell.is_cut_short);
    assert_int_equal(cell.repetitions, 3);
    assert_near(cell.measures[MEASURE_COMPLETION_P50].mean, 5);
    runs[2].is_complete = false; /* stopped on its way */
    measures_combine(&cell, runs, 4, scratch);
    assert_true(cell.is_cut_short);
    free(runs);
}

static void one_repetition_gets_its_interval_from_its_parts(void **state)
{
    (void)state;
    static const double values[] = {30};
    struct run_result *runs = runs_with(MEASURE_GOODPUT_REQUESTS, values, 1);
    struct cell_result cell = {0};
    /* 600 s in 600 bins; 20 batches of 30 s, every second one twice as good as the others. */
    for (int i = 0; i < MEASURES_BINS; i++) {
        runs[0].bins[i].served = i / 30 % 2 == 0 ? 20 : 40;
        runs[0].bins[i].attempts = 40;
        runs[0].bins[i].throttled = 20;
    }
    runs[0].measures[MEASURE_QUOTA_SHARE] = 0.5;
    runs[0].measures[MEASURE_THROTTLED_SHARE] = 0.5;
    measures_combine(&cell, runs, 1, scratch);
    double half = 2.093 * sqrt(100 * 20.0 / 19 / 20); /* t(19) */
    const struct estimate *goodput = &cell.measures[MEASURE_GOODPUT_REQUESTS];
    assert_true(goodput->has_interval);
    assert_near(goodput->high - goodput->mean, half);
    assert_near(cell.measures[MEASURE_QUOTA_SHARE].high - 0.5, 0.5 * half / 30);
    assert_near(cell.measures[MEASURE_THROTTLED_SHARE].high, 0.5);
    assert_false(cell.measures[MEASURE_WAITED].has_interval);
    free(runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_measure_says_what_it_is),
        cmocka_unit_test(intervals_are_students),
        cmocka_unit_test(what_cannot_be_said_does_not_count),
        cmocka_unit_test(one_repetition_gets_its_interval_from_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
