#include "lab/lateness.h"

#include "base/duration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { DURATION_MS = 100, WORK_MS = 60 };

/* A machine that does nothing else for a while. */
static void work(void *owner, int64_t now_ns)
{
    (void)owner;
    (void)now_ns;
    nanosleep(&(struct timespec){.tv_nsec = WORK_MS * NS_PER_MS}, NULL);
}

static void end(void *owner, int64_t now_ns)
{
    (void)now_ns;
    *(bool *)owner = true;
}

static double measured_s(bool is_busy, int64_t *looks)
{
    struct loop loop;
    struct lateness lateness = {0};
    struct error error;
    bool is_over = false;
    struct deadline working = {.fire = work};
    struct deadline ending = {.fire = end, .owner = &is_over};
    assert_true(loop_init(&loop, CLOCK_REAL, &error));
    assert_true(lateness_start(&lateness, &loop, loop_now(&loop), DURATION_MS * NS_PER_MS, &error));
    if (is_busy)
        loop_after(&loop, &working, 0);
    loop_after(&loop, &ending, DURATION_MS * NS_PER_MS);
    while (!is_over)
        loop_turn(&loop, -1);
    lateness_stop(&lateness);
    loop_free(&loop);
    *looks = lateness.looks;
    return lateness_mean_s(&lateness);
}

/* 600 of a thousand looks became due within 60 ms and were heard at its end, 30 ms late: 18 ms for
 * each of all. */
static void work_in_one_piece_makes_all_late_that_is_due_meanwhile(void **state)
{
    (void)state;
    int64_t looks = 0;
    double late_s = measured_s(true, &looks);
    assert_true(late_s > 0.017);
    assert_in_range(looks, 990, 1000);
}

static void nothing_measured_is_no_number(void **state)
{
    (void)state;
    struct lateness lateness = {0};
    int64_t looks = 0;
    lateness_stop(&lateness);
    assert_true(isnan(lateness_mean_s(&lateness)));
    assert_true(measured_s(false, &looks) >= 0);
    assert_in_range(looks, 990, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_in_one_piece_makes_all_late_that_is_due_meanwhile),
        cmocka_unit_test(nothing_measured_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
