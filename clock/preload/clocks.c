/* What time it is. */
#include "clock/preload/library.h"

#include "base/duration.h"

#include <errno.h>
#include <sys/syscall.h>

/* Some allocators read clocks while libc's functions are still being looked for. */
static int machine_clock(clockid_t id, struct timespec *time)
{
    if (libc()->clock_gettime != NULL)
        return libc()->clock_gettime(id, time);
    long result = RAW(SYS_clock_gettime, id, time, 0, 0, 0, 0);
    if (result == 0)
        return 0;
    errno = (int)-result;
    return -1;
}

/* The run's time by clock `id`, or false where libc is to say it. */
static bool read_clock(clockid_t id, int64_t *ns)
{
    libc();
    int64_t origin;
    if (page == NULL || !clock_origin(id, &origin))
        return false;
    *ns = origin + now_ns();
    return true;
}

EXPORTED int clock_gettime(clockid_t id, struct timespec *time)
{
    int64_t ns;
    if (!read_clock(id, &ns))
        return machine_clock(id, time);
    *time = ns_timespec(ns);
    return 0;
}

EXPORTED int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    int64_t ns;
    if (!read_clock(CLOCK_REALTIME, &ns))
        return libc()->gettimeofday(time, zone);
    if (zone != NULL)
        libc()->gettimeofday(NULL, zone);
    struct timeval *volatile place = time; /* libc declares that it is not NULL, and lets it be */
    if (place != NULL)
        *place = ns_timeval(ns);
    return 0;
}

EXPORTED time_t time(time_t *seconds)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds != NULL)
        *seconds = now.tv_sec;
    return now.tv_sec;
}

EXPORTED int timespec_get(struct timespec *time, int base)
{
    if (base != TIME_UTC)
        return 0;
    return clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}

EXPORTED clock_t times(struct tms *buffer)
{
    int64_t ns;
    clock_t machine = libc()->times(buffer);
    if (machine == (clock_t)-1 || !read_clock(CLOCK_MONOTONIC, &ns))
        return machine;
    long ticks = sysconf(_SC_CLK_TCK);
    return (clock_t)(ns / (NS_PER_S / (ticks > 0 ? ticks : 100)));
}

/* Gone from libc's headers, but not from old programs. */
EXPORTED int ftime(struct timeb *time)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    *time =
        (struct timeb){.time = now.tv_sec, .millitm = (unsigned short)(now.tv_nsec / NS_PER_MS)};
    return 0;
}
