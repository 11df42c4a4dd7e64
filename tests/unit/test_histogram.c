#include "lab/histogram.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct histogram histogram;

static int empty(void **state)
{
    (void)state;
    histogram = (struct histogram){0};
    return 0;
}

static void an_empty_one_has_no_quantile(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0.5), -1);
}

static void small_values_and_the_largest_are_exact(void **state)
{
    (void)state;
    for (int64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    histogram_add(&histogram, INT64_MAX);
    assert_int_equal(histogram_quantile(&histogram, 0), 1);
    assert_int_equal(histogram_quantile(&histogram, 50.0 / 101), 50);
    assert_int_equal(histogram_quantile(&histogram, 100.0 / 101), 100);
    assert_int_equal(histogram_quantile(&histogram, 1), INT64_MAX);
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void quantiles_are_at_most_a_256th_too_high(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    int64_t *values = malloc(COUNT * sizeof *values);
    struct random random;
    random_seed(&random, 1, 0);
    for (int i = 0; i < COUNT; i++) {
        uint64_t bits = random_bits(&random); /* first: C does not say which operand is */
        values[i] = (int64_t)(bits >> (1 + random_below(&random, 62)));
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof *values, compare);
    for (int percent = 1; percent <= 100; percent++) {
        /* 0.07 * 50000 is a little more than 3500: the next value may be meant. */
        int rank = COUNT / 100 * percent;
        int64_t exact = values[rank - 1];
        int64_t next = values[rank < COUNT ? rank : COUNT - 1];
        int64_t read = histogram_quantile(&histogram, percent / 100.0);
        assert_true(read >= exact);
        assert_true(read - next <= next / 256 + 1);
    }
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_has_no_quantile, empty),
        cmocka_unit_test_setup(small_values_and_the_largest_are_exact, empty),
        cmocka_unit_test_setup(quantiles_are_at_most_a_256th_too_high, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
