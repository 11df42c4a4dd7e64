#include "clock/machine_timer.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

static void count(void *owner)
{
    ++*(int *)owner;
}

struct set_up {
    struct loop loop;
    struct machine_timer timer;
    int fired;
};

static void start(struct set_up *set_up)
{
    struct error error;
    set_up->fired = 0;
    assert_true(loop_init(&set_up->loop, CLOCK_VIRTUAL, &error));
    assert_true(machine_timer_init(&set_up->timer, &set_up->loop, count, &set_up->fired, &error));
}

static void finish(struct set_up *set_up)
{
    machine_timer_free(&set_up->timer);
    loop_free(&set_up->loop);
}

static void fires_once_on_the_machines_time_while_the_runs_clock_stands(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up);
    int64_t before_ns = machine_now();
    machine_timer_start(&set_up.timer, 100 * NS_PER_US);
    while (set_up.fired == 0)
        loop_turn(&set_up.loop, -1);
    assert_true(machine_now() - before_ns >= 100 * NS_PER_US);
    assert_int_equal(loop_now(&set_up.loop), 0);
    assert_false(loop_turn(&set_up.loop, 0)); /* not again */
    assert_int_equal(set_up.fired, 1);
    finish(&set_up);
}

static void a_delay_of_nothing_fires_too(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up);
    machine_timer_start(&set_up.timer, 0);
    while (set_up.fired == 0)
        loop_turn(&set_up.loop, -1);
    assert_int_equal(set_up.fired, 1);
    finish(&set_up);
}

static void is_moved_and_stopped(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up);
    assert_false(loop_turn(&set_up.loop, 0)); /* not running yet */
    machine_timer_start(&set_up.timer, 1);
    machine_timer_start(&set_up.timer, NS_PER_HOUR);
    assert_false(loop_turn(&set_up.loop, 0));
    machine_timer_start(&set_up.timer, 1);
    machine_timer_stop(&set_up.timer);
    assert_false(loop_turn(&set_up.loop, 0));
    assert_int_equal(set_up.fired, 0);
    finish(&set_up);
}

static void without_descriptors_there_is_no_timer(void **state)
{
    (void)state;
    struct set_up set_up;
    start(&set_up);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct machine_timer timer;
    struct error error = {.message = ""};
    bool is_made = machine_timer_init(&timer, &set_up.loop, count, NULL, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(is_made);
    assert_string_equal(error.place, "timer");
    assert_true(error.could_not_run);
    finish(&set_up);
}

static void without_a_loop_that_can_watch_there_is_no_timer(void **state)
{
    (void)state;
    struct loop loop = {.epoll_fd = -1};
    struct machine_timer timer;
    struct error error = {.message = ""};
    assert_false(machine_timer_init(&timer, &loop, count, NULL, &error));
    assert_string_equal(error.place, "epoll");
}

static void seeds_differ_from_start_to_start(void **state)
{
    (void)state;
    assert_true(machine_entropy() != machine_entropy());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_once_on_the_machines_time_while_the_runs_clock_stands),
        cmocka_unit_test(a_delay_of_nothing_fires_too),
        cmocka_unit_test(is_moved_and_stopped),
        cmocka_unit_test(without_descriptors_there_is_no_timer),
        cmocka_unit_test(without_a_loop_that_can_watch_there_is_no_timer),
        cmocka_unit_test(seeds_differ_from_start_to_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
