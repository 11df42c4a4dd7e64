#include "clock/traced_call.h"

#include "base/duration.h"

#include <assert.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#ifndef SYS_futex_wait
#define SYS_futex_wait 455 /* Linux 6.7 */
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* Linux 5.16 */
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* Linux 5.11 */
#endif
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13 /* Linux 5.14 */
#endif
#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif
#define SO_RCVTIMEO_NATIVE 20
#define SO_SNDTIMEO_NATIVE 21

static const struct traced_call calls[] = {
    /* number, name, filter, its argument, begins, ends */
    {SYS_clock_gettime, "clock_gettime", FILTER_ALWAYS, 0, clock_gettime_begins, NULL},
    {SYS_gettimeofday, "gettimeofday", FILTER_ALWAYS, 0, gettimeofday_begins, NULL},
    {SYS_time, "time", FILTER_ALWAYS, 0, time_begins, NULL},
    {SYS_times, "times", FILTER_ALWAYS, 0, times_begins, times_ends},

    {SYS_futex, "futex", FILTER_FUTEX_WAIT, 3, futex_begins, wait_ends},
    {SYS_futex_wait, "futex_wait", FILTER_POINTER, 4, futex_wait_begins, wait_ends},
    {SYS_futex_waitv, "futex_waitv", FILTER_POINTER, 3, futex_waitv_begins, wait_ends},
    {SYS_nanosleep, "nanosleep", FILTER_ALWAYS, 0, nanosleep_begins, sleep_ends},
    {SYS_clock_nanosleep, "clock_nanosleep", FILTER_ALWAYS, 0, clock_nanosleep_begins, sleep_ends},
    {SYS_poll, "poll", FILTER_TIMEOUT_MS, 2, poll_begins, wait_ends},
    {SYS_ppoll, "ppoll", FILTER_POINTER, 2, ppoll_begins, wait_ends},
    {SYS_select, "select", FILTER_POINTER, 4, select_begins, wait_ends},
    {SYS_pselect6, "pselect6", FILTER_POINTER, 4, pselect6_begins, wait_ends},
    {SYS_epoll_wait, "epoll_wait", FILTER_TIMEOUT_MS, 3, epoll_wait_begins, wait_ends},
    {SYS_epoll_pwait, "epoll_pwait", FILTER_TIMEOUT_MS, 3, epoll_wait_begins, wait_ends},
    {SYS_epoll_pwait2, "epoll_pwait2", FILTER_POINTER, 3, epoll_pwait2_begins, wait_ends},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait", FILTER_POINTER, 2, rt_sigtimedwait_begins, wait_ends},
    {SYS_semtimedop, "semtimedop", FILTER_POINTER, 3, semtimedop_begins, wait_ends},
    {SYS_mq_timedsend, "mq_timedsend", FILTER_POINTER, 4, mq_timed_begins, wait_ends},
    {SYS_mq_timedreceive, "mq_timedreceive", FILTER_POINTER, 4, mq_timed_begins, wait_ends},

    {SYS_timerfd_settime, "timerfd_settime", FILTER_ALWAYS, 0, timerfd_settime_begins, NULL},
    {SYS_timerfd_gettime, "timerfd_gettime", FILTER_ALWAYS, 0, timerfd_gettime_begins, NULL},
    {SYS_setitimer, "setitimer", FILTER_ALWAYS, 0, setitimer_begins, NULL},
    {SYS_getitimer, "getitimer", FILTER_ALWAYS, 0, getitimer_begins, NULL},
    {SYS_alarm, "alarm", FILTER_ALWAYS, 0, alarm_begins, NULL},
    {SYS_timer_create, "timer_create", FILTER_ALWAYS, 0, timer_create_begins, timer_create_ends},
    {SYS_timer_settime, "timer_settime", FILTER_ALWAYS, 0, timer_settime_begins, NULL},
    {SYS_timer_gettime, "timer_gettime", FILTER_ALWAYS, 0, timer_gettime_begins, NULL},
    {SYS_timer_getoverrun, "timer_getoverrun", FILTER_ALWAYS, 0, timer_getoverrun_begins, NULL},
    {SYS_timer_delete, "timer_delete", FILTER_ALWAYS, 0, timer_delete_begins, NULL},

    {SYS_setsockopt, "setsockopt", FILTER_TIMEOUT_OPTION, 0, setsockopt_begins, NULL},
    {SYS_getsockopt, "getsockopt", FILTER_TIMEOUT_OPTION, 0, getsockopt_begins, NULL},
    {SYS_connect, "connect", FILTER_ALWAYS, 0, connect_begins, NULL},
    {SYS_sendto, "sendto", FILTER_POINTER, 4, sendto_begins, NULL},

    {SYS_io_uring_setup, "io_uring_setup", FILTER_ALWAYS, 0, io_uring_setup_begins, NULL},
};

enum { CALL_COUNT = sizeof calls / sizeof calls[0] };

const struct traced_call *traced_call_find(int64_t number)
{
    for (size_t i = 0; i < CALL_COUNT; i++) {
        if (calls[i].number == number)
            return &calls[i];
    }
    return NULL;
}

/* --- the filter ---------------------------------------------------------------------------------
 */

struct program {
    struct sock_filter *steps;
    size_t length;
};

static void add(struct program *program, uint16_t code, uint32_t value, uint8_t if_true,
                uint8_t if_false)
{
    assert(program->length < FILTER_LENGTH_MAX);
    program->steps[program->length++] =
        (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = value};
}

static void load(struct program *program, size_t offset)
{
    add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_argument(struct program *program, int argument, bool high_half)
{
    load(program, offsetof(struct seccomp_data, args) + 8 * (size_t)argument + (high_half ? 4 : 0));
}

static void allow(struct program *program)
{
    add(program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static void trace(struct program *program)
{
    add(program, BPF_RET | BPF_K, SECCOMP_RET_TRACE, 0, 0);
}

static void if_equal(struct program *program, uint32_t value, uint8_t then_skip,
                     uint8_t otherwise_skip)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, value, then_skip, otherwise_skip);
}

/* Ends in a verdict on every path. A jump skips that many of the steps that follow it. */
static void add_pointer_test(struct program *program, int argument)
{
    load_argument(program, argument, false);
    if_equal(program, 0, 0, 2); /* lower half not 0: trace */
    load_argument(program, argument, true);
    if_equal(program, 0, 1, 0); /* both 0: allow */
    trace(program);
    allow(program);
}

static void add_timeout_ms_test(struct program *program, int argument)
{
    load_argument(program, argument, false);
    if_equal(program, 0, 1, 0);
    add(program, BPF_JMP | BPF_JSET | BPF_K, UINT32_C(0x80000000), 0, 1);
    allow(program);
    trace(program);
}

static void add_futex_test(struct program *program, int argument)
{
    static const uint32_t waits[] = {FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI,
                                     FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2};
    enum { WAIT_COUNT = sizeof waits / sizeof waits[0] };
    load_argument(program, 1, false);
    add(program, BPF_ALU | BPF_AND | BPF_K, (uint32_t)FUTEX_CMD_MASK, 0, 0);
    for (int i = 0; i < WAIT_COUNT; i++)
        if_equal(program, waits[i], (uint8_t)(WAIT_COUNT - i), 0);
    allow(program);
    add_pointer_test(program, argument);
}

static void add_option_test(struct program *program)
{
    static const uint32_t options[] = {SO_RCVTIMEO_NATIVE, SO_SNDTIMEO_NATIVE, SO_RCVTIMEO_NEW,
                                       SO_SNDTIMEO_NEW};
    enum { OPTION_COUNT = sizeof options / sizeof options[0] };
    load_argument(program, 1, false);
    if_equal(program, SOL_SOCKET, 1, 0);
    allow(program);
    load_argument(program, 2, false);
    for (int i = 0; i < OPTION_COUNT; i++)
        if_equal(program, options[i], (uint8_t)(OPTION_COUNT - i), 0);
    allow(program);
    trace(program);
}

static void add_call(struct program *program, const struct traced_call *call)
{
    if_equal(program, (uint32_t)call->number, 0, 0);
    size_t test = program->length - 1;
    switch (call->filter) {
    case FILTER_ALWAYS:
        trace(program);
        break;
    case FILTER_TIMEOUT_MS:
        add_timeout_ms_test(program, call->filter_argument);
        break;
    case FILTER_POINTER:
        add_pointer_test(program, call->filter_argument);
        break;
    case FILTER_FUTEX_WAIT:
        add_futex_test(program, call->filter_argument);
        break;
    case FILTER_TIMEOUT_OPTION:
        add_option_test(program);
        break;
    }
    program->steps[test].jf = (uint8_t)(program->length - test - 1);
}

size_t traced_call_filter(struct sock_filter filter[FILTER_LENGTH_MAX])
{
    struct program program = {.steps = filter};
    load(&program, offsetof(struct seccomp_data, arch));
    if_equal(&program, AUDIT_ARCH_X86_64, 1, 0);
    allow(&program); /* 32-bit programs are noticed when they start */
    load(&program, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALL_COUNT; i++)
        add_call(&program, &calls[i]);
    allow(&program);
    return program.length;
}

/* --- times of the program -----------------------------------------------------------------------
 */

/* A wait of some 30 years stands for all that are longer. */
#define SECONDS_MAX INT64_C(1000000000)

static bool to_ns(int64_t seconds, int64_t fraction, int64_t per_second, int64_t *ns)
{
    if (seconds < 0 || fraction < 0 || fraction >= per_second)
        return false;
    if (seconds > 4 * SECONDS_MAX)
        seconds = 4 * SECONDS_MAX; /* absolute times are measured from 1970 */
    *ns = seconds * NS_PER_S + fraction * (NS_PER_S / per_second);
    return true;
}

bool call_read_timespec(const struct tracee *tracee, uint64_t address, int64_t *ns)
{
    struct timespec time;
    return tracee_read(tracee, address, &time, sizeof time) &&
           to_ns(time.tv_sec, time.tv_nsec, NS_PER_S, ns);
}

bool call_read_timeval(const struct tracee *tracee, uint64_t address, int64_t *ns)
{
    struct timeval time;
    return tracee_read(tracee, address, &time, sizeof time) &&
           to_ns(time.tv_sec, time.tv_usec, NS_PER_S / NS_PER_US, ns);
}

bool call_write_timespec(const struct tracee *tracee, uint64_t address, int64_t ns)
{
    struct timespec time = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    return tracee_write(tracee, address, &time, sizeof time);
}

bool call_write_timeval(const struct tracee *tracee, uint64_t address, int64_t ns)
{
    struct timeval time = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US};
    return tracee_write(tracee, address, &time, sizeof time);
}
