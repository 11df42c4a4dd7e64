#include "clock/loop.h"

#include "base/duration.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

bool loop_init(struct loop *loop, enum clock_kind kind, struct error *error)
{
    *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll_fd < 0)
        return error_set_run(error, "epoll", "%s: too many open files? raise `ulimit -n`",
                             strerror(errno));
    clock_init(&loop->clock, kind);
    deadlines_init(&loop->deadlines);
    return true;
}

void loop_free(struct loop *loop)
{
    deadlines_free(&loop->deadlines);
    close(loop->epoll_fd);
}

bool loop_watch(struct loop *loop, struct watch *watch, uint32_t events, struct error *error)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0)
        return true;
    if (errno == EEXIST && epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0)
        return true;
    return error_set_run(error, "epoll", "descriptor %d: %s", watch->fd, strerror(errno));
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

int64_t loop_now(const struct loop *loop)
{
    return clock_now(&loop->clock);
}

void loop_at(struct loop *loop, struct deadline *deadline, int64_t at_ns)
{
    if (!deadlines_set(&loop->deadlines, deadline, at_ns)) {
        fputs("toomany: out of memory for deadlines\n", stderr);
        abort();
    }
}

void loop_after(struct loop *loop, struct deadline *deadline, int64_t delay_ns)
{
    assert(delay_ns >= 0);
    loop_at(loop, deadline, loop_now(loop) + delay_ns);
}

void loop_cancel(struct loop *loop, struct deadline *deadline)
{
    deadlines_cancel(&loop->deadlines, deadline);
}

void loop_hold(struct loop *loop)
{
    loop->holds++;
}

void loop_release(struct loop *loop)
{
    assert(loop->holds > 0);
    loop->holds--;
}

void loop_park(struct loop *loop)
{
    loop->parked++;
}

void loop_unpark(struct loop *loop)
{
    assert(loop->parked > 0);
    loop->parked--;
}

/* Waits for one event; a negative time waits for ever. Nanoseconds are rounded up to the
 * milliseconds of epoll_wait only where epoll_pwait2 is missing (before Linux 5.11). */
static int wait_event(struct loop *loop, struct epoll_event *event, int64_t wait_ns)
{
#ifdef HAVE_EPOLL_PWAIT2
    static bool is_missing;
    if (wait_ns > 0 && !is_missing) {
        struct timespec wait = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
        int count = epoll_pwait2(loop->epoll_fd, event, 1, &wait, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        is_missing = true;
    }
#endif
    int64_t wait_ms = wait_ns < 0 ? -1 : (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
    return epoll_wait(loop->epoll_fd, event, 1, wait_ms > 3600000 ? 3600000 : (int)wait_ms);
}

static void fire_first(struct loop *loop, struct deadline *deadline, int64_t now_ns)
{
    deadlines_cancel(&loop->deadlines, deadline);
    deadline->fire(deadline->owner, now_ns);
}

/* One event a turn: whoever handles it may unwatch other descriptors, whose events must then not
 * be handed out. Level-triggered epoll reports the rest again. */
static bool hand_out_event(struct loop *loop, int64_t wait_ns)
{
    struct epoll_event event;
    int count = wait_event(loop, &event, wait_ns);
    if (count <= 0)
        return false;
    struct watch *watch = event.data.ptr;
    watch->ready(watch->owner, event.events);
    return true;
}

static bool turn_real(struct loop *loop, int64_t wait_ns)
{
    struct deadline *first = deadlines_first(&loop->deadlines);
    int64_t now_ns = loop_now(loop);
    if (first != NULL && first->at_ns <= now_ns) {
        fire_first(loop, first, now_ns);
        hand_out_event(loop, 0);
        return true;
    }
    if (first != NULL) {
        int64_t first_in_ns = clock_real_ns(&loop->clock, first->at_ns - now_ns);
        if (wait_ns < 0 || first_in_ns < wait_ns)
            wait_ns = first_in_ns;
    }
    bool happened = hand_out_event(loop, wait_ns);
    return happened || first != NULL;
}

static bool turn_virtual(struct loop *loop, int64_t wait_ns)
{
    struct deadline *first = deadlines_first(&loop->deadlines);
    if (first != NULL && first->at_ns <= loop_now(loop)) {
        fire_first(loop, first, loop_now(loop));
        return true;
    }
    bool may_jump = loop->holds == loop->parked && first != NULL;
    if (hand_out_event(loop, may_jump ? 0 : wait_ns))
        return true;
    if (!may_jump)
        return false;
    clock_jump(&loop->clock, first->at_ns);
    fire_first(loop, first, first->at_ns);
    return true;
}

bool loop_turn(struct loop *loop, int64_t wait_real_ns)
{
    return loop->clock.kind == CLOCK_VIRTUAL ? turn_virtual(loop, wait_real_ns)
                                             : turn_real(loop, wait_real_ns);
}

void loop_run(struct loop *loop)
{
    loop->stopping = false;
    while (!loop->stopping)
        loop_turn(loop, -1);
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}
