/* Sleeping. libc sleeps for ever, on the monotonic clock, until the signal comes. */
#include "clock/preload/library.h"

#include "base/duration.h"

#include <errno.h>

static const struct timespec for_ever = {.tv_sec = 4000000000, .tv_nsec = 0};

/* The result is an error number. *is_done is false where libc is to do it. */
static int sleep_until(enum page_call call, int64_t due_ns, bool *is_done)
{
    WAIT(wait);
    *is_done = wait_begins(&wait, call, due_ns);
    if (!*is_done)
        return 0;
    int error = libc()->clock_nanosleep(CLOCK_MONOTONIC, 0, &for_ever, NULL);
    return error == EINTR && wait_is_over(&wait) ? 0 : error;
}

static int sleep_for(enum page_call call, const struct timespec *time, struct timespec *left,
                     bool *is_done)
{
    int64_t ns = timespec_ns(time);
    *is_done = false;
    if (ns < 0 || !is_carried())
        return 0;
    *is_done = true;
    if (ns == 0)
        return 0;
    int64_t due_ns = after_ns(ns);
    int error = sleep_until(call, due_ns, is_done);
    int64_t left_ns = due_ns - (*is_done ? now_ns() : 0);
    if (error == EINTR && left != NULL)
        *left = ns_timespec(left_ns > 0 ? left_ns : 0);
    return error;
}

static int fail(int error)
{
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

EXPORTED int nanosleep(const struct timespec *time, struct timespec *left)
{
    bool is_done;
    int error = sleep_for(PAGE_CALL_nanosleep, time, left, &is_done);
    return is_done ? fail(error) : libc()->nanosleep(time, left);
}

EXPORTED int clock_nanosleep(clockid_t id, int flags, const struct timespec *time,
                             struct timespec *left)
{
    bool is_done = false;
    int error = 0;
    int64_t origin;
    libc();
    bool is_ours = page != NULL && clock_origin(id, &origin) && timespec_ns(time) >= 0;
    if (!is_ours)
        return libc()->clock_nanosleep(id, flags, time, left);
    if ((flags & TIMER_ABSTIME) == 0) {
        error = sleep_for(PAGE_CALL_clock_nanosleep, time, left, &is_done);
        return is_done ? error : libc()->clock_nanosleep(id, flags, time, left);
    }
    int64_t due_ns = timespec_ns(time) - origin;
    if (is_carried() && due_ns <= now_ns())
        return 0;
    error = sleep_until(PAGE_CALL_clock_nanosleep, due_ns, &is_done);
    if (is_done)
        return error;
    struct timespec machine = machine_time(id, time);
    return libc()->clock_nanosleep(id, flags, &machine, left);
}

EXPORTED int usleep(useconds_t us)
{
    struct timespec time = ns_timespec((int64_t)us * NS_PER_US);
    bool is_done;
    int error = sleep_for(PAGE_CALL_usleep, &time, NULL, &is_done);
    return is_done ? fail(error) : libc()->nanosleep(&time, NULL);
}

EXPORTED unsigned sleep(unsigned seconds)
{
    struct timespec time = {.tv_sec = seconds};
    struct timespec left = {0};
    bool is_done;
    int error = sleep_for(PAGE_CALL_sleep, &time, &left, &is_done);
    if (!is_done)
        error = libc()->nanosleep(&time, &left);
    return error != 0 ? (unsigned)left.tv_sec : 0;
}

EXPORTED int thrd_sleep(const struct timespec *time, struct timespec *left)
{
    bool is_done;
    int error = sleep_for(PAGE_CALL_thrd_sleep, time, left, &is_done);
    if (!is_done)
        return libc()->thrd_sleep(time, left);
    return error == 0 ? 0 : error == EINTR ? -1 : -2;
}
