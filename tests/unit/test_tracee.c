#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "clock/tracer_state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A tracer of nobody: numbers stand for threads that do not exist. */
static struct tracer tracer;
static struct loop loop;

static int make_tracer(void **state)
{
    struct error error;
    (void)state;
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    tracer = (struct tracer){.loop = &loop};
    return 0;
}

static int free_tracer(void **state)
{
    (void)state;
    while (tracer.first != NULL)
        tracee_remove(&tracer, tracer.first);
    loop_free(&loop);
    return 0;
}

enum { FIRST = 0x3ffffff0, SECOND, THIRD }; /* above what the kernel gives: 2 ** 22 */

static struct tracee *add(pid_t tid, pid_t pid)
{
    struct tracee_process *process = tracee_process_find(&tracer, pid);
    struct tracee *tracee = tracee_add(&tracer, tid);
    tracee_join(tracee, process != NULL ? process : tracee_process_add(&tracer, pid));
    return tracee;
}

static void threads_are_kept_in_the_order_in_which_they_appeared(void **state)
{
    (void)state;
    struct tracee *first = add(THIRD, THIRD);
    struct tracee *second = add(FIRST, THIRD);
    struct tracee *third = add(SECOND, THIRD);
    assert_ptr_equal(tracee_find(&tracer, FIRST), second);
    assert_null(tracee_find(&tracer, FIRST - 1));
    assert_ptr_equal(tracer.first, first);
    assert_ptr_equal(first->next, second);
    assert_ptr_equal(second->next, third);
    assert_ptr_equal(tracer.last, third);
    tracee_remove(&tracer, second);
    assert_null(tracee_find(&tracer, FIRST));
    assert_ptr_equal(first->next, third);
    assert_ptr_equal(third->previous, first);
    tracee_remove(&tracer, third);
    assert_ptr_equal(tracer.last, first);
    tracee_remove(&tracer, first);
    assert_null(tracer.first);
    assert_null(tracer.last);
}

static void a_process_ends_with_its_last_thread(void **state)
{
    (void)state;
    struct tracee *leader = add(FIRST, FIRST);
    struct tracee *other = add(SECOND, FIRST);
    add(THIRD, THIRD);
    assert_int_equal(leader->process->thread_count, 2);
    assert_ptr_equal(other->process, leader->process);
    tracee_remove(&tracer, leader);
    assert_non_null(tracee_process_find(&tracer, FIRST));
    tracee_remove(&tracer, other);
    assert_null(tracee_process_find(&tracer, FIRST));
    assert_non_null(tracee_process_find(&tracer, THIRD));
}

/* Its deadlines would fire into memory that is free. */
static void one_that_is_gone_has_no_deadline(void **state)
{
    (void)state;
    struct tracee *tracee = add(FIRST, FIRST);
    loop_after(&loop, &tracee->due, NS_PER_S);
    loop_after(&loop, &tracee->receive, NS_PER_S);
    tracer.suspect = tracee;
    tracee_remove(&tracer, tracee);
    assert_null(deadlines_first(&loop.deadlines));
    assert_null(tracer.suspect);
    assert_false(loop_turn(&loop, 0));
    assert_int_equal(loop_now(&loop), 0);
}

/* Before its parent has told of it. */
static void one_without_a_process_can_go(void **state)
{
    (void)state;
    struct tracee *tracee = tracee_add(&tracer, FIRST);
    assert_null(tracee->process);
    assert_true(tracee->blocked_runs == PROC_THREAD_RUNS_NEVER);
    tracee_remove(&tracer, tracee);
    assert_null(tracer.first);
}

static void memory_is_read_and_written(void **state)
{
    (void)state;
    struct tracee *tracee = add(getpid(), getpid());
    char text[] = "what it was";
    char copy[sizeof text];
    uint64_t address = (uint64_t)(uintptr_t)text;
    assert_true(tracee_read(tracee, address, copy, sizeof copy));
    assert_string_equal(copy, "what it was");
    assert_true(tracee_write(tracee, address, "what is now", sizeof text));
    assert_string_equal(text, "what is now");
    assert_false(tracee_read(tracee, 0, copy, sizeof copy));
    assert_false(tracee_write(tracee, 0, copy, sizeof copy));
    assert_false(tracee_read(add(FIRST, FIRST), address, copy, sizeof copy));
}

static char *described(void)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    tracer_describe(&tracer, stream);
    fclose(stream);
    return text;
}

static void each_thread_is_told_of(void **state)
{
    (void)state;
    struct tracee *tracee = add(getpid(), getpid());
    char name[32];
    prctl(PR_SET_NAME, "waiter");
    assert_string_equal(tracee_name(tracee, name), "waiter");
    tracee->phase = TRACEE_WAITS;
    tracee->call = traced_call_find(35 /* nanosleep */);
    loop_after(&loop, &tracee->due, 90 * NS_PER_S);
    char *text = described();
    assert_string_equal(text, "waiter waits in nanosleep for another 1m30s");
    free(text);
    tracee->phase = TRACEE_RUNS;
    text = described();
    assert_string_equal(text, "waiter computes");
    free(text);
}

static void many_threads_are_told_of_in_short(void **state)
{
    (void)state;
    for (pid_t tid = FIRST; tid < FIRST + 20; tid++)
        add(tid, FIRST);
    char *text = described();
    size_t semicolons = 0;
    for (const char *at = text; (at = strchr(at, ';')) != NULL; at++)
        semicolons++;
    assert_int_equal(semicolons, 16);
    assert_non_null(strstr(text, "; and 4 threads more"));
    free(text);
}

#define TRACER_TEST(name) cmocka_unit_test_setup_teardown(name, make_tracer, free_tracer)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRACER_TEST(threads_are_kept_in_the_order_in_which_they_appeared),
        TRACER_TEST(a_process_ends_with_its_last_thread),
        TRACER_TEST(one_that_is_gone_has_no_deadline),
        TRACER_TEST(one_without_a_process_can_go),
        TRACER_TEST(memory_is_read_and_written),
        TRACER_TEST(each_thread_is_told_of),
        TRACER_TEST(many_threads_are_told_of_in_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
