#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "clock/traced_call.h"

#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* What the kernel does with the filter: loads, comparisons, a verdict. */
static uint32_t verdict_of(const struct seccomp_data *call)
{
    struct sock_filter filter[FILTER_LENGTH_MAX];
    size_t length = traced_call_filter(filter);
    uint32_t value = 0;
    assert_true(length <= FILTER_LENGTH_MAX);
    for (size_t i = 0; i < length; i++) {
        const struct sock_filter *step = &filter[i];
        bool is_true = false;
        switch (step->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(step->k % 4 == 0 && step->k < sizeof *call);
            memcpy(&value, (const char *)call + step->k, sizeof value);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            value &= step->k;
            continue;
        case BPF_RET | BPF_K:
            return step->k;
        case BPF_JMP | BPF_JEQ | BPF_K:
            is_true = value == step->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            is_true = (value & step->k) != 0;
            break;
        default:
            fail_msg("step %zu: no such instruction", i);
        }
        i += is_true ? step->jt : step->jf;
    }
    fail_msg("the filter ends without a verdict");
    return 0;
}

static bool stops(int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    struct seccomp_data call = {.nr = number, .arch = AUDIT_ARCH_X86_64, .args = {a, b, c, d, e}};
    uint32_t verdict = verdict_of(&call);
    assert_true(verdict == SECCOMP_RET_TRACE || verdict == SECCOMP_RET_ALLOW);
    return verdict == SECCOMP_RET_TRACE;
}

static const uint64_t pointer = 0x7fff12345678;
static const uint64_t pointer_whose_low_half_is_0 = UINT64_C(0x7fff00000000);

static void clocks_and_sleeps_are_always_stopped(void **state)
{
    (void)state;
    static const int numbers[] = {SYS_clock_gettime, SYS_gettimeofday,    SYS_time,
                                  SYS_nanosleep,     SYS_clock_nanosleep, SYS_timerfd_settime,
                                  SYS_setitimer,     SYS_alarm,           SYS_timer_create,
                                  SYS_connect,       SYS_io_uring_setup};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_true(stops(numbers[i], 0, 0, 0, 0, 0));
}

static void what_has_nothing_to_do_with_time_runs_at_full_speed(void **state)
{
    (void)state;
    static const int numbers[] = {SYS_read,   SYS_write, SYS_openat, SYS_mmap,    SYS_clone,
                                  SYS_execve, SYS_exit,  SYS_wait4,  SYS_accept4, SYS_sched_yield};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_false(stops(numbers[i], pointer, pointer, pointer, pointer, pointer));
}

/* A wait for ever, and one that does not wait, are the kernel's. */
static void waits_with_milliseconds_are_stopped_where_they_wait_for_a_time(void **state)
{
    (void)state;
    assert_true(stops(SYS_poll, pointer, 1, 1, 0, 0));
    assert_true(stops(SYS_poll, pointer, 1, INT32_MAX, 0, 0));
    assert_false(stops(SYS_poll, pointer, 1, 0, 0, 0));
    assert_false(stops(SYS_poll, pointer, 1, (uint32_t)-1, 0, 0));
    assert_false(stops(SYS_poll, pointer, 1, (uint64_t)INT64_C(-1), 0, 0));
    static const int numbers[] = {SYS_epoll_wait, SYS_epoll_pwait};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_true(stops(numbers[i], 3, pointer, 10, 1000, 0));
        assert_false(stops(numbers[i], 3, pointer, 10, 0, 0));
        assert_false(stops(numbers[i], 3, pointer, 10, (uint32_t)-1, 0));
    }
}

static void waits_with_a_time_in_memory_are_stopped_where_there_is_one(void **state)
{
    (void)state;
    static const struct {
        int number;
        int argument;
    } calls[] = {{SYS_ppoll, 2},
                 {SYS_select, 4},
                 {SYS_pselect6, 4},
                 {SYS_rt_sigtimedwait, 2},
                 {SYS_semtimedop, 3},
                 {SYS_mq_timedsend, 4},
                 {SYS_mq_timedreceive, 4},
                 {441 /* epoll_pwait2 */, 3},
                 {449 /* futex_waitv */, 3},
                 {455 /* futex_wait */, 4}};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (int variant = 0; variant < 2; variant++) {
            uint64_t arguments[5] = {pointer, pointer, pointer, pointer, pointer};
            arguments[calls[i].argument] = variant == 0 ? pointer : pointer_whose_low_half_is_0;
            assert_true(stops(calls[i].number, arguments[0], arguments[1], arguments[2],
                              arguments[3], arguments[4]));
            arguments[calls[i].argument] = 0;
            assert_false(stops(calls[i].number, arguments[0], arguments[1], arguments[2],
                               arguments[3], arguments[4]));
        }
    }
}

static void futexes_are_stopped_where_they_wait_for_a_time(void **state)
{
    (void)state;
    static const uint64_t waits[] = {FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI,
                                     FUTEX_WAIT_REQUEUE_PI, 13 /* FUTEX_LOCK_PI2 */};
    static const uint64_t others[] = {FUTEX_WAKE,    FUTEX_REQUEUE,   FUTEX_CMP_REQUEUE,
                                      FUTEX_WAKE_OP, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI};
    static const uint64_t flags[] = {0, FUTEX_PRIVATE_FLAG,
                                     FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME};
    for (size_t flag = 0; flag < sizeof flags / sizeof flags[0]; flag++) {
        for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
            uint64_t operation = waits[i] | flags[flag];
            assert_true(stops(SYS_futex, pointer, operation, 1, pointer, 0));
            assert_true(stops(SYS_futex, pointer, operation, 1, pointer_whose_low_half_is_0, 0));
            assert_false(stops(SYS_futex, pointer, operation, 1, 0, 0));
        }
        /* Their fourth argument is a number. */
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            assert_false(stops(SYS_futex, pointer, others[i] | flags[flag], 1, 1, 0));
    }
}

static void only_the_time_outs_of_sockets_are_stopped(void **state)
{
    (void)state;
    static const int numbers[] = {SYS_setsockopt, SYS_getsockopt};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_true(stops(numbers[i], 3, SOL_SOCKET, SO_RCVTIMEO, pointer, 16));
        assert_true(stops(numbers[i], 3, SOL_SOCKET, SO_SNDTIMEO, pointer, 16));
        assert_true(stops(numbers[i], 3, SOL_SOCKET, 66 /* SO_RCVTIMEO_NEW */, pointer, 16));
        assert_true(stops(numbers[i], 3, SOL_SOCKET, 67 /* SO_SNDTIMEO_NEW */, pointer, 16));
        assert_false(stops(numbers[i], 3, SOL_SOCKET, SO_REUSEADDR, pointer, 4));
        assert_false(stops(numbers[i], 3, 6 /* TCP */, SO_RCVTIMEO, pointer, 4));
    }
}

/* Which has other numbers; such a program is noticed when it starts. */
static void calls_of_other_architectures_pass(void **state)
{
    (void)state;
    struct seccomp_data call = {.nr = SYS_nanosleep, .arch = AUDIT_ARCH_I386};
    assert_int_equal(verdict_of(&call), SECCOMP_RET_ALLOW);
}

static void a_call_is_found_by_its_number(void **state)
{
    (void)state;
    assert_string_equal(traced_call_find(SYS_clock_nanosleep)->name, "clock_nanosleep");
    assert_string_equal(traced_call_find(SYS_io_uring_setup)->name, "io_uring_setup");
    assert_null(traced_call_find(SYS_read));
    assert_null(traced_call_find(-1));
    assert_null(traced_call_find(INT64_MAX));
}

/* Whoever waits must be looked at when the wait is over. */
static void every_call_that_can_wait_has_an_end(void **state)
{
    (void)state;
    for (int64_t number = 0; number < 500; number++) {
        const struct traced_call *call = traced_call_find(number);
        if (call == NULL)
            continue;
        assert_non_null(call->begins);
        bool is_wait = call->filter != FILTER_ALWAYS && call->filter != FILTER_TIMEOUT_OPTION &&
                       number != SYS_sendto;
        if (is_wait || number == SYS_nanosleep || number == SYS_clock_nanosleep)
            assert_non_null(call->ends);
    }
}

/* --- times in a program's memory: ours --- */

static struct tracee self(void)
{
    return (struct tracee){.tid = getpid()};
}

static uint64_t address_of(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

static bool reads_timespec(int64_t seconds, int64_t nanoseconds, int64_t *ns)
{
    struct tracee tracee = self();
    struct timespec time = {.tv_sec = seconds, .tv_nsec = nanoseconds};
    return call_read_timespec(&tracee, address_of(&time), ns);
}

static bool reads_timeval(int64_t seconds, int64_t microseconds, int64_t *ns)
{
    struct tracee tracee = self();
    struct timeval time = {.tv_sec = seconds, .tv_usec = microseconds};
    return call_read_timeval(&tracee, address_of(&time), ns);
}

static void times_are_read_as_the_kernel_reads_them(void **state)
{
    (void)state;
    int64_t ns = -1;
    assert_true(reads_timespec(0, 0, &ns));
    assert_int_equal(ns, 0);
    assert_true(reads_timespec(127, 999999999, &ns));
    assert_int_equal(ns, 128 * NS_PER_S - 1);
    assert_true(reads_timeval(2, 999999, &ns));
    assert_int_equal(ns, 3 * NS_PER_S - NS_PER_US);
    /* What is no time is left to the kernel, which says EINVAL. */
    assert_false(reads_timespec(-1, 0, &ns));
    assert_false(reads_timespec(0, -1, &ns));
    assert_false(reads_timespec(0, NS_PER_S, &ns));
    assert_false(reads_timeval(0, 1000000, &ns));
    assert_false(reads_timeval(-1, 0, &ns));
    assert_false(reads_timeval(0, -1, &ns));
}

/* Programs wait "for ever" by the largest number that there is: adding to it must not overflow. */
static void times_without_end_stay_far_below_the_end_of_numbers(void **state)
{
    (void)state;
    int64_t ns = 0;
    assert_true(reads_timespec(INT64_MAX, 999999999, &ns));
    assert_true(ns > 100 * 365 * 24 * NS_PER_HOUR && ns < INT64_MAX / 2);
    assert_true(reads_timeval(INT64_MAX, 999999, &ns));
    assert_true(ns > 100 * 365 * 24 * NS_PER_HOUR && ns < INT64_MAX / 2);
}

static void times_are_written_whole(void **state)
{
    (void)state;
    struct tracee tracee = self();
    struct timespec time = {0};
    struct timeval value = {0};
    assert_true(call_write_timespec(&tracee, address_of(&time), 3 * NS_PER_S + 5));
    assert_int_equal(time.tv_sec, 3);
    assert_int_equal(time.tv_nsec, 5);
    assert_true(call_write_timeval(&tracee, address_of(&value), 3 * NS_PER_S + 7 * NS_PER_US + 9));
    assert_int_equal(value.tv_sec, 3);
    assert_int_equal(value.tv_usec, 7);
}

static void addresses_that_are_not_the_programs_are_refused(void **state)
{
    (void)state;
    struct tracee tracee = self();
    int64_t ns;
    assert_false(call_read_timespec(&tracee, 0, &ns));
    assert_false(call_read_timeval(&tracee, 16, &ns));
    assert_false(call_read_timespec(&tracee, UINT64_MAX - 8, &ns));
    assert_false(call_write_timespec(&tracee, 0, 1));
    assert_false(call_write_timeval(&tracee, 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_and_sleeps_are_always_stopped),
        cmocka_unit_test(what_has_nothing_to_do_with_time_runs_at_full_speed),
        cmocka_unit_test(waits_with_milliseconds_are_stopped_where_they_wait_for_a_time),
        cmocka_unit_test(waits_with_a_time_in_memory_are_stopped_where_there_is_one),
        cmocka_unit_test(futexes_are_stopped_where_they_wait_for_a_time),
        cmocka_unit_test(only_the_time_outs_of_sockets_are_stopped),
        cmocka_unit_test(calls_of_other_architectures_pass),
        cmocka_unit_test(a_call_is_found_by_its_number),
        cmocka_unit_test(every_call_that_can_wait_has_an_end),
        cmocka_unit_test(times_are_read_as_the_kernel_reads_them),
        cmocka_unit_test(times_without_end_stay_far_below_the_end_of_numbers),
        cmocka_unit_test(times_are_written_whole),
        cmocka_unit_test(addresses_that_are_not_the_programs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
