/* Waiting for descriptors. A time-out of 0 only asks, and goes to libc. */
#include "clock/preload/library.h"

#include "base/duration.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

static int64_t after_ms(int ms)
{
    return after_ns((int64_t)ms * NS_PER_MS);
}

/* Of a time-out that is to be waited for: more than 0. */
static bool is_awaited(const struct timespec *timeout)
{
    return timeout != NULL && timespec_ns(timeout) > 0 && is_carried();
}

EXPORTED int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    WAIT(wait);
    if (timeout_ms <= 0 || !is_carried() ||
        !wait_begins(&wait, PAGE_CALL_poll, after_ms(timeout_ms)))
        return libc()->poll(fds, count, timeout_ms);
    return (int)wait_result(&wait, libc()->poll(fds, count, -1), 0);
}

EXPORTED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                   const sigset_t *mask)
{
    WAIT(wait);
    sigset_t copy;
    if (!is_awaited(timeout) ||
        !wait_begins(&wait, PAGE_CALL_ppoll, after_ns(timespec_ns(timeout))))
        return libc()->ppoll(fds, count, timeout, mask);
    mask = mask_without_ours(mask, &copy);
    return (int)wait_result(&wait, libc()->ppoll(fds, count, NULL, mask), 0);
}

/* What programs are made of that were compiled with checks (_FORTIFY_SOURCE). */
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);
EXPORTED int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size)
{
    if (size / sizeof *fds < count)
        abort();
    return poll(fds, count, timeout_ms);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size);
EXPORTED int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                         const sigset_t *mask, size_t size)
{
    if (size / sizeof *fds < count)
        abort();
    return ppoll(fds, count, timeout, mask);
}

static int select_result(const struct wait *wait, int result, int count, fd_set *reads,
                         fd_set *writes, fd_set *exceptions)
{
    if (result != -1 || errno != EINTR || !wait_is_over(wait))
        return result;
    /* The kernel clears the sets, as far as it looks at them, when the time has come. */
    struct timeval none = {0};
    wait_result(wait, result, 0);
    return libc()->select(count, reads, writes, exceptions, &none);
}

EXPORTED int select(int count, fd_set *restrict reads, fd_set *restrict writes,
                    fd_set *restrict exceptions, struct timeval *restrict timeout)
{
    WAIT(wait);
    int64_t ns = timeout != NULL ? timeval_ns(timeout) : 0;
    if (ns <= 0 || !is_carried() || !wait_begins(&wait, PAGE_CALL_select, after_ns(ns)))
        return libc()->select(count, reads, writes, exceptions, timeout);
    int64_t due_ns = after_ns(ns);
    int result = libc()->select(count, reads, writes, exceptions, NULL);
    result = select_result(&wait, result, count, reads, writes, exceptions);
    int64_t left_ns = due_ns - now_ns();
    *timeout = ns_timeval(left_ns > 0 ? left_ns : 0); /* Linux tells, and some programs use it */
    return result;
}

EXPORTED int pselect(int count, fd_set *restrict reads, fd_set *restrict writes,
                     fd_set *restrict exceptions, const struct timespec *restrict timeout,
                     const sigset_t *restrict mask)
{
    WAIT(wait);
    sigset_t copy;
    if (!is_awaited(timeout) ||
        !wait_begins(&wait, PAGE_CALL_pselect, after_ns(timespec_ns(timeout))))
        return libc()->pselect(count, reads, writes, exceptions, timeout, mask);
    mask = mask_without_ours(mask, &copy);
    int result = libc()->pselect(count, reads, writes, exceptions, NULL, mask);
    return select_result(&wait, result, count, reads, writes, exceptions);
}

EXPORTED int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
    WAIT(wait);
    if (timeout_ms <= 0 || !is_carried() ||
        !wait_begins(&wait, PAGE_CALL_epoll_wait, after_ms(timeout_ms)))
        return libc()->epoll_wait(fd, events, count, timeout_ms);
    return (int)wait_result(&wait, libc()->epoll_wait(fd, events, count, -1), 0);
}

EXPORTED int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms,
                         const sigset_t *mask)
{
    WAIT(wait);
    sigset_t copy;
    if (timeout_ms <= 0 || !is_carried() ||
        !wait_begins(&wait, PAGE_CALL_epoll_pwait, after_ms(timeout_ms)))
        return libc()->epoll_pwait(fd, events, count, timeout_ms, mask);
    mask = mask_without_ours(mask, &copy);
    return (int)wait_result(&wait, libc()->epoll_pwait(fd, events, count, -1, mask), 0);
}

/* Before version 2.35, libc does not have it. */
static int machine_epoll_pwait2(int fd, struct epoll_event *events, int count,
                                const struct timespec *timeout, const sigset_t *mask)
{
    if (libc()->epoll_pwait2 != NULL)
        return libc()->epoll_pwait2(fd, events, count, timeout, mask);
    return (int)libc()->syscall(441, fd, events, count, timeout, mask, 8);
}

EXPORTED int epoll_pwait2(int fd, struct epoll_event *events, int count,
                          const struct timespec *timeout, const sigset_t *mask)
{
    WAIT(wait);
    sigset_t copy;
    if (!is_awaited(timeout) ||
        !wait_begins(&wait, PAGE_CALL_epoll_pwait2, after_ns(timespec_ns(timeout))))
        return machine_epoll_pwait2(fd, events, count, timeout, mask);
    mask = mask_without_ours(mask, &copy);
    return (int)wait_result(&wait, machine_epoll_pwait2(fd, events, count, NULL, mask), 0);
}
