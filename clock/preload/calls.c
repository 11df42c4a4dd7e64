/* System calls by number, as Rust's standard library and others make them: those of time go to the
 * functions that stand in for them. */
#include "clock/preload/library.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

struct arguments {
    long of[6];
};

/* The argument as a pointer. Numbers become pointers by memory, which keeps them as they are. */
static void *pointer(const struct arguments *arguments, int index)
{
    void *result;
    memcpy(&result, &arguments->of[index], sizeof result);
    return result;
}

static long machine_call(long number, const struct arguments *arguments)
{
    const long *of = arguments->of;
    return libc()->syscall(number, of[0], of[1], of[2], of[3], of[4], of[5]);
}

static long machine_call_with(long number, struct arguments arguments, int index,
                              const void *in_place)
{
    memcpy(&arguments.of[index], &in_place, sizeof in_place);
    return machine_call(number, &arguments);
}

/* The kernel's sigset_t is smaller than libc's. */
static const sigset_t *kernel_mask(const struct arguments *arguments, int index, sigset_t *room)
{
    const void *mask = pointer(arguments, index);
    if (mask == NULL)
        return NULL;
    sigemptyset(room);
    memcpy(room, mask, 8);
    return room;
}

static long futex_wait(const struct arguments *arguments)
{
    WAIT(wait);
    struct timespec machine;
    const struct timespec *time = pointer(arguments, 3);
    int operation = (int)arguments->of[1] & FUTEX_CMD_MASK;
    bool is_relative = operation == FUTEX_WAIT;
    if (!is_relative) {
        bool is_realtime =
            (arguments->of[1] & FUTEX_CLOCK_REALTIME) != 0 || operation == FUTEX_LOCK_PI;
        time = wait_until(&wait, PAGE_CALL_futex, is_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                          time, &machine);
        return machine_call_with(SYS_futex, *arguments, 3, time);
    }
    int64_t ns = timespec_ns(time);
    const struct timespec *far =
        ns > 0 && is_carried() ? wait_far(&wait, PAGE_CALL_futex, after_ns(ns)) : NULL;
    return machine_call_with(SYS_futex, *arguments, 3, far != NULL ? far : time);
}

static long futex_call(const struct arguments *arguments)
{
    int operation = (int)arguments->of[1] & FUTEX_CMD_MASK;
    bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET ||
                 operation == FUTEX_LOCK_PI || operation == FUTEX_LOCK_PI2 ||
                 operation == FUTEX_WAIT_REQUEUE_PI;
    return waits && arguments->of[3] != 0 ? futex_wait(arguments)
                                          : machine_call(SYS_futex, arguments);
}

/* (waiters, count, flags, time, clock); an absolute time, and EINTR at a signal. */
static long futex_waitv(const struct arguments *arguments)
{
    WAIT(wait);
    struct timespec machine;
    const struct timespec *time = wait_until(&wait, PAGE_CALL_futex, (clockid_t)arguments->of[4],
                                             pointer(arguments, 3), &machine);
    return machine_call_with(449, *arguments, 3, time);
}

/* The kernel writes back what was left of a time-out, which libc's functions hide. */
struct countdown {
    void *place; /* NULL: nothing is counted */
    int64_t due_ns;
};

static struct countdown count_down(void *place)
{
    struct countdown countdown = {NULL, 0};
    if (place == NULL || !is_carried())
        return countdown;
    struct timespec time;
    memcpy(&time, place, sizeof time);
    int64_t ns = timespec_ns(&time);
    if (ns > 0)
        countdown = (struct countdown){place, after_ns(ns)};
    return countdown;
}

static void tell_left(const struct countdown *countdown)
{
    int64_t left_ns = countdown->place != NULL ? countdown->due_ns - now_ns() : 0;
    struct timespec left = ns_timespec(left_ns > 0 ? left_ns : 0);
    if (countdown->place != NULL)
        memcpy(countdown->place, &left, sizeof left);
}

static long ppoll_call(const struct arguments *arguments)
{
    sigset_t room;
    struct countdown countdown = count_down(pointer(arguments, 2));
    int result = ppoll(pointer(arguments, 0), (nfds_t)arguments->of[1], pointer(arguments, 2),
                       kernel_mask(arguments, 3, &room));
    tell_left(&countdown);
    return result;
}

static long pselect_call(const struct arguments *arguments)
{
    struct {
        const void *mask;
        size_t size;
    } packed = {NULL, 0};
    sigset_t room;
    if (arguments->of[5] != 0)
        memcpy(&packed, pointer(arguments, 5), sizeof packed);
    if (packed.mask != NULL) {
        sigemptyset(&room);
        memcpy(&room, packed.mask, 8);
    }
    struct countdown countdown = count_down(pointer(arguments, 4));
    int result =
        pselect((int)arguments->of[0], pointer(arguments, 1), pointer(arguments, 2),
                pointer(arguments, 3), pointer(arguments, 4), packed.mask != NULL ? &room : NULL);
    tell_left(&countdown);
    return result;
}

static long clock_nanosleep_call(const struct arguments *arguments)
{
    int error = clock_nanosleep((clockid_t)arguments->of[0], (int)arguments->of[1],
                                pointer(arguments, 2), pointer(arguments, 3));
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

/* Whether the program may read what it points at. Where this may not be asked, it is believed. */
static bool is_readable(const void *address, size_t size)
{
    char bytes[sizeof(struct itimerspec)] = {0};
    void *there;
    memcpy(&there, &address, sizeof there);
    struct iovec local = {.iov_base = bytes, .iov_len = size};
    struct iovec remote = {.iov_base = there, .iov_len = size};
    return RAW(SYS_process_vm_readv, RAW(SYS_getpid, 0, 0, 0, 0, 0, 0), &local, 1, &remote, 1, 0) !=
           -EFAULT;
}

/* The argument that points at a time, if the call has one: a bad one is left to the kernel to
 * refuse. */
static int time_argument(long number, const struct arguments *arguments)
{
    switch (number) {
    case SYS_nanosleep:
        return 0;
    case SYS_clock_gettime:
        return 1;
    case SYS_gettimeofday:
        return arguments->of[0] != 0 ? 0 : -1;
    case SYS_clock_nanosleep:
    case SYS_ppoll:
    case SYS_timerfd_settime:
        return 2;
    case SYS_futex:
    case 441: /* epoll_pwait2 */
    case 449: /* futex_waitv */
        return 3;
    case SYS_select:
    case SYS_pselect6:
        return 4;
    case SYS_setitimer:
        return 1;
    default:
        return -1;
    }
}

static bool has_bad_time(long number, const struct arguments *arguments)
{
    int index = time_argument(number, arguments);
    bool is_number = number == SYS_futex && (arguments->of[1] & FUTEX_CMD_MASK) != FUTEX_WAIT &&
                     (arguments->of[1] & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET;
    return index >= 0 && !is_number && arguments->of[index] != 0 &&
           !is_readable(pointer(arguments, index), sizeof(struct timespec));
}

static long dispatch(long number, const struct arguments *arguments)
{
    const long *of = arguments->of;
    sigset_t room;
    if (has_bad_time(number, arguments))
        return machine_call(number, arguments);
    switch (number) {
    case SYS_clock_gettime:
        return clock_gettime((clockid_t)of[0], pointer(arguments, 1));
    case SYS_gettimeofday:
        return gettimeofday(pointer(arguments, 0), pointer(arguments, 1));
    case SYS_time:
        return time(pointer(arguments, 0));
    case SYS_nanosleep:
        return nanosleep(pointer(arguments, 0), pointer(arguments, 1));
    case SYS_clock_nanosleep:
        return clock_nanosleep_call(arguments);
    case SYS_poll:
        return poll(pointer(arguments, 0), (nfds_t)of[1], (int)of[2]);
    case SYS_ppoll:
        return ppoll_call(arguments);
    case SYS_select:
        return select((int)of[0], pointer(arguments, 1), pointer(arguments, 2),
                      pointer(arguments, 3), pointer(arguments, 4));
    case SYS_pselect6:
        return pselect_call(arguments);
    case SYS_epoll_wait:
        return epoll_wait((int)of[0], pointer(arguments, 1), (int)of[2], (int)of[3]);
    case SYS_epoll_pwait:
        return epoll_pwait((int)of[0], pointer(arguments, 1), (int)of[2], (int)of[3],
                           kernel_mask(arguments, 4, &room));
    case 441: /* epoll_pwait2, which old headers do not name */
        return epoll_pwait2((int)of[0], pointer(arguments, 1), (int)of[2], pointer(arguments, 3),
                            kernel_mask(arguments, 4, &room));
    case SYS_futex:
        return futex_call(arguments);
    case 449: /* futex_waitv */
        return of[3] != 0 ? futex_waitv(arguments) : machine_call(number, arguments);
    case SYS_timerfd_create:
        return timerfd_create((clockid_t)of[0], (int)of[1]);
    case SYS_timerfd_settime:
        return timerfd_settime((int)of[0], (int)of[1], pointer(arguments, 2),
                               pointer(arguments, 3));
    case SYS_timerfd_gettime:
        return timerfd_gettime((int)of[0], pointer(arguments, 1));
    case SYS_alarm:
        return (long)alarm((unsigned)of[0]);
    case SYS_setitimer:
        return setitimer((__itimer_which_t)of[0], pointer(arguments, 1), pointer(arguments, 2));
    case SYS_io_uring_setup:
        errno = ENOSYS; /* its work goes on while its threads sleep, so sleep would prove nothing */
        return -1;
    default:
        return machine_call(number, arguments);
    }
}

EXPORTED long syscall(long number, ...)
{
    struct arguments arguments;
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < 6; i++)
        arguments.of[i] = va_arg(list, long);
    va_end(list);
    libc();
    return page != NULL ? dispatch(number, &arguments) : machine_call(number, &arguments);
}
