/* Waits of <threads.h>. */
#include "../programs/lines.h"

#include <threads.h>

static mtx_t held;

static int try_it(void *unused)
{
    struct timespec until;
    (void)unused;
    int64_t start = now_ns();
    timespec_get(&until, TIME_UTC);
    until = timespec_of(ns_of(until) + 40 * MS);
    say("mtx_timedlock", mtx_timedlock(&held, &until) == thrd_timedout);
    say_took("mtx_timedlock", start, 40 * MS);
    return 7;
}

int main(void)
{
    thrd_t thread;
    cnd_t condition;
    int result = 0;
    struct timespec until;
    mtx_init(&held, mtx_timed);
    cnd_init(&condition);
    mtx_lock(&held);
    thrd_create(&thread, try_it, NULL);
    thrd_join(thread, &result);
    say("joined", result);
    int64_t start = now_ns();
    timespec_get(&until, TIME_UTC);
    until = timespec_of(ns_of(until) + 30 * MS);
    say("cnd_timedwait", cnd_timedwait(&condition, &held, &until) == thrd_timedout);
    say_took("cnd_timedwait", start, 30 * MS);
    start = now_ns();
    until = timespec_of(20 * MS);
    say("thrd_sleep", thrd_sleep(&until, NULL));
    say_took("thrd_sleep", start, 20 * MS);
    return 0;
}
