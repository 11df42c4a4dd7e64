#include "clock/clock.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_virtual_clock_stands_still_until_it_jumps(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock, CLOCK_VIRTUAL);
    assert_int_equal(clock_now(&clock), 0);
    assert_int_equal(clock_now(&clock), 0);
    clock_jump(&clock, 5 * NS_PER_S);
    assert_int_equal(clock_now(&clock), 5 * NS_PER_S);
    clock_jump(&clock, 5 * NS_PER_S); /* where it is already */
    clock_jump(&clock, 5 * NS_PER_S + 1);
    assert_int_equal(clock_now(&clock), 5 * NS_PER_S + 1);
}

static void its_wall_time_starts_at_a_fixed_moment(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock, CLOCK_VIRTUAL);
    assert_int_equal(clock_wall_s(&clock, 0), INT64_C(1767225600));
    struct tm start = {.tm_year = 2026 - 1900, .tm_mon = 0, .tm_mday = 1};
    assert_int_equal(timegm(&start), CLOCK_VIRTUAL_WALL_START_S);
    assert_int_equal(clock_wall_s(&clock, NS_PER_S - 1), CLOCK_VIRTUAL_WALL_START_S);
    assert_int_equal(clock_wall_s(&clock, NS_PER_S), CLOCK_VIRTUAL_WALL_START_S + 1);
}

static int64_t system_ns(clockid_t id)
{
    struct timespec time;
    assert_int_equal(clock_gettime(id, &time), 0);
    return time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* Both readings lie between two of the system's own, so nothing depends on how fast this runs. */
static void a_real_clock_follows_the_monotonic_clock_from_zero(void **state)
{
    (void)state;
    struct clock clock;
    int64_t before_ns = system_ns(CLOCK_MONOTONIC);
    int64_t wall_before_ns = system_ns(CLOCK_REALTIME);
    clock_init(&clock, CLOCK_REAL);
    int64_t wall_after_ns = system_ns(CLOCK_REALTIME);
    int64_t between_ns = system_ns(CLOCK_MONOTONIC);
    int64_t now_ns = clock_now(&clock);
    int64_t after_ns = system_ns(CLOCK_MONOTONIC);
    assert_true(now_ns >= 0 && now_ns <= after_ns - before_ns);
    assert_true(clock_now(&clock) >= now_ns);
    assert_true(between_ns - clock.origin_ns <= now_ns);
    int64_t start_s = clock_wall_s(&clock, 0);
    assert_true(start_s >= wall_before_ns / NS_PER_S && start_s <= wall_after_ns / NS_PER_S);
}

/* Read between two of the system's own times, as above. */
static void a_fast_clock_goes_as_many_times_as_fast(void **state)
{
    (void)state;
    struct clock clock;
    int64_t before_ns = system_ns(CLOCK_MONOTONIC);
    clock_init(&clock, CLOCK_REAL);
    clock_hasten(&clock, 1000);
    int64_t between_ns = system_ns(CLOCK_MONOTONIC);
    int64_t now_ns = clock_now(&clock);
    int64_t after_ns = system_ns(CLOCK_MONOTONIC);
    assert_true(now_ns >= (between_ns - clock.origin_ns) * 1000);
    assert_true(now_ns <= (after_ns - before_ns) * 1000);
}

static void says_how_long_the_machine_takes(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock, CLOCK_REAL);
    assert_int_equal(clock_real_ns(&clock, 5), 5);
    clock_hasten(&clock, 10);
    assert_int_equal(clock_real_ns(&clock, 0), 0);
    /* Rounded up: whoever waits so long is not early. */
    assert_int_equal(clock_real_ns(&clock, 1), 1);
    assert_int_equal(clock_real_ns(&clock, 20), 2);
    assert_int_equal(clock_real_ns(&clock, 21), 3);
    assert_int_equal(clock_real_ns(&clock, DURATION_NS_MAX), DURATION_NS_MAX / 10);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(clock_kind_name(CLOCK_REAL), "real");
    assert_string_equal(clock_kind_name(CLOCK_VIRTUAL), "virtual");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_virtual_clock_stands_still_until_it_jumps),
        cmocka_unit_test(its_wall_time_starts_at_a_fixed_moment),
        cmocka_unit_test(a_real_clock_follows_the_monotonic_clock_from_zero),
        cmocka_unit_test(a_fast_clock_goes_as_many_times_as_fast),
        cmocka_unit_test(says_how_long_the_machine_takes),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
