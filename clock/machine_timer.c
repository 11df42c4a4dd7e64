#include "clock/machine_timer.h"

#include "base/duration.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void timer_ready(void *owner, uint32_t events)
{
    struct machine_timer *timer = owner;
    (void)events;
    uint64_t expirations = 0;
    if (read(timer->watch.fd, &expirations, sizeof expirations) == (ssize_t)sizeof expirations)
        timer->fire(timer->owner);
}

bool machine_timer_init(struct machine_timer *timer, struct loop *loop, void (*fire)(void *owner),
                        void *owner, struct error *error)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return error_set_run(error, "timer", "%s: too many open files? raise `ulimit -n`",
                             strerror(errno));
    *timer = (struct machine_timer){
        .loop = loop,
        .watch = {.fd = fd, .ready = timer_ready, .owner = timer},
        .fire = fire,
        .owner = owner,
    };
    if (!loop_watch(loop, &timer->watch, EPOLLIN, error)) {
        close(fd);
        return false;
    }
    return true;
}

void machine_timer_free(struct machine_timer *timer)
{
    loop_unwatch(timer->loop, &timer->watch);
    close(timer->watch.fd);
}

static void set_timer(struct machine_timer *timer, int64_t delay_ns)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = delay_ns / NS_PER_S, .tv_nsec = delay_ns % NS_PER_S}};
    timerfd_settime(timer->watch.fd, 0, &when, NULL);
}

void machine_timer_start(struct machine_timer *timer, int64_t delay_ns)
{
    set_timer(timer, delay_ns < 1 ? 1 : delay_ns);
}

void machine_timer_stop(struct machine_timer *timer)
{
    set_timer(timer, 0);
}

int64_t machine_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t machine_wall_s(void)
{
    return (int64_t)time(NULL);
}

uint64_t machine_entropy(void)
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        bits = (uint64_t)machine_now() ^ (uint64_t)getpid() << 32;
    return bits;
}
