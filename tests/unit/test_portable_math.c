#include "base/portable_math.h"

#include "base/random.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* By how many steps of the last place two numbers differ. */
static double steps_apart(double a, double b)
{
    return fabs(a - b) / (nextafter(fabs(b), INFINITY) - fabs(b));
}

static void logarithms_are_the_librarys_but_for_the_last_place(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1, 0);
    for (int i = 0; i < 200000; i++) {
        double x = ldexp(0.5 + random_unit(&random) / 2, (int)random_below(&random, 2000) - 1000);
        assert_true(steps_apart(portable_log(x), log(x)) <= 1);
        double near_one = 1 + (random_unit(&random) - 0.5) * 1e-3;
        assert_true(steps_apart(portable_log(near_one), log(near_one)) <= 1);
    }
    assert_true(portable_log(1) == 0);
    assert_true(steps_apart(portable_log(DBL_MIN), log(DBL_MIN)) <= 1);
    assert_true(steps_apart(portable_log(DBL_MAX), log(DBL_MAX)) <= 1);
}

static void exponentials_are_the_librarys_but_for_the_last_place(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 2, 0);
    for (int i = 0; i < 200000; i++) {
        double x = (random_unit(&random) - 0.5) * 1400;
        assert_true(steps_apart(portable_exp(x), exp(x)) <= 1);
        double near_zero = (random_unit(&random) - 0.5) * 2;
        assert_true(steps_apart(portable_exp(near_zero), exp(near_zero)) <= 1);
    }
    assert_true(portable_exp(0) == 1);
    assert_true(portable_exp(-1000) == 0);
    assert_true(isinf(portable_exp(1000)));
}

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The same bits with every compiler and on every machine: written down once. */
static void results_are_the_same_everywhere(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3, 0);
    uint64_t mix = 0;
    for (int i = 0; i < 10000; i++) {
        double u = 1 - random_unit(&random);
        mix = mix * 31 + bits_of(portable_log(u));
        mix = mix * 31 + bits_of(portable_exp(u * 20 - 10));
    }
    assert_int_equal(mix, UINT64_C(0xe69b292ce0ef08d6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_are_the_librarys_but_for_the_last_place),
        cmocka_unit_test(exponentials_are_the_librarys_but_for_the_last_place),
        cmocka_unit_test(results_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
