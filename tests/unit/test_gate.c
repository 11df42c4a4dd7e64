#include "client/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void lets_exactly_as_many_in_as_it_says(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 2};
    assert_true(gate_enter(&gate));
    assert_true(gate_enter(&gate));
    assert_false(gate_enter(&gate));
    assert_false(gate_enter(&gate));
    assert_int_equal(gate.in_flight, 2);
}

static void lets_one_in_for_one_that_leaves(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 1};
    assert_true(gate_enter(&gate));
    assert_false(gate_enter(&gate)); /* was refused, so has nothing to leave */
    gate_leave(&gate);
    assert_int_equal(gate.in_flight, 0);
    assert_true(gate_enter(&gate));
    assert_false(gate_enter(&gate));
}

static void has_no_limit_at_zero(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 0};
    for (int i = 0; i < 100000; i++)
        assert_true(gate_enter(&gate));
    assert_int_equal(gate.in_flight, 100000);
    for (int i = 0; i < 100000; i++)
        gate_leave(&gate);
    assert_int_equal(gate.in_flight, 0);
}

static void never_passes_its_limit_in_a_long_run(void **state)
{
    (void)state;
    struct gate gate = {.in_flight_max = 7};
    uint32_t bits = 1;
    int inside = 0;
    for (int i = 0; i < 100000; i++) {
        bits = bits * 1664525u + 1013904223u;
        if (bits >> 31) {
            bool entered = gate_enter(&gate);
            assert_int_equal(entered, inside < 7); /* neither too many nor too few */
            inside += entered ? 1 : 0;
        } else if (inside > 0) {
            gate_leave(&gate);
            inside--;
        }
        assert_int_equal(gate.in_flight, inside);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_exactly_as_many_in_as_it_says),
        cmocka_unit_test(lets_one_in_for_one_that_leaves),
        cmocka_unit_test(has_no_limit_at_zero),
        cmocka_unit_test(never_passes_its_limit_in_a_long_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
