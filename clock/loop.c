#include "clock/loop.h"

#include "base/duration.h"
#include "clock/machine_timer.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* How long some guest may work while requests lie unread. Long enough for a start of most programs,
 * so that what the server finds is the same each time; never decides when the clock moves. */
#define SERVER_STARVES_NS (100 * NS_PER_MS)

bool loop_init(struct loop *loop, enum clock_kind kind, struct error *error)
{
    *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .quiet_epoll_fd = -1};
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
    if (loop->quiet_epoll_fd >= 0)
        close(loop->quiet_epoll_fd);
    close(loop->epoll_fd);
}

static int epoll_fd_of(const struct loop *loop, const struct watch *watch)
{
    return watch->when_quiet && loop->quiet_epoll_fd >= 0 ? loop->quiet_epoll_fd : loop->epoll_fd;
}

bool loop_watch(struct loop *loop, struct watch *watch, uint32_t events, struct error *error)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(epoll_fd_of(loop, watch), EPOLL_CTL_ADD, watch->fd, &event) == 0)
        return true;
    if (errno == EEXIST &&
        epoll_ctl(epoll_fd_of(loop, watch), EPOLL_CTL_MOD, watch->fd, &event) == 0)
        return true;
    return error_set_run(error, "epoll", "descriptor %d: %s", watch->fd, strerror(errno));
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    epoll_ctl(epoll_fd_of(loop, watch), EPOLL_CTL_DEL, watch->fd, NULL);
}

int64_t loop_now(const struct loop *loop)
{
    return clock_now(&loop->clock);
}

/* The clock is read once, by the caller: it is read at every request. */
static void set_deadline(struct loop *loop, struct deadline *deadline, int64_t at_ns,
                         int64_t now_ns)
{
    deadline->is_at_once = at_ns <= now_ns;
    if (!deadlines_set(&loop->deadlines, deadline, at_ns)) {
        fputs("toomany: out of memory for deadlines\n", stderr);
        abort();
    }
}

void loop_at(struct loop *loop, struct deadline *deadline, int64_t at_ns)
{
    set_deadline(loop, deadline, at_ns, loop_now(loop));
}

void loop_after(struct loop *loop, struct deadline *deadline, int64_t delay_ns)
{
    int64_t now_ns = loop_now(loop);
    assert(delay_ns >= 0);
    set_deadline(loop, deadline, now_ns + delay_ns, now_ns);
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
static int wait_event(int epoll_fd, struct epoll_event *event, int64_t wait_ns)
{
#ifdef HAVE_EPOLL_PWAIT2
    static atomic_bool is_missing;
    if (wait_ns > 0 && !is_missing) {
        struct timespec wait = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
        int count = epoll_pwait2(epoll_fd, event, 1, &wait, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        is_missing = true;
    }
#endif
    int64_t wait_ms = wait_ns < 0 ? -1 : (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
    return epoll_wait(epoll_fd, event, 1, wait_ms > 3600000 ? 3600000 : (int)wait_ms);
}

static void fire_first(struct loop *loop, struct deadline *deadline, int64_t now_ns)
{
    deadlines_cancel(&loop->deadlines, deadline);
    deadline->fire(deadline->owner, now_ns);
}

/* One event a turn: whoever handles it may unwatch other descriptors, whose events must then not
 * be handed out. Level-triggered epoll reports the rest again. */
static bool hand_out_event(int epoll_fd, int64_t wait_ns)
{
    struct epoll_event event;
    int count = wait_event(epoll_fd, &event, wait_ns);
    if (count <= 0)
        return false;
    struct watch *watch = event.data.ptr;
    watch->ready(watch->owner, event.events);
    return true;
}

static bool rest_until_event(const struct loop *loop, int64_t wait_ns)
{
    struct epoll_event event;
    loop->rest->begin(loop->rest->owner);
    int count = wait_event(loop->epoll_fd, &event, wait_ns);
    loop->rest->end(loop->rest->owner);
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
        hand_out_event(loop->epoll_fd, 0);
        return true;
    }
    if (first != NULL) {
        int64_t first_in_ns = clock_real_ns(&loop->clock, first->at_ns - now_ns);
        if (wait_ns < 0 || first_in_ns < wait_ns)
            wait_ns = first_in_ns;
    }
    bool happened = loop->rest != NULL ? rest_until_event(loop, wait_ns)
                                       : hand_out_event(loop->epoll_fd, wait_ns);
    return happened || first != NULL;
}

static void quiet_ready(void *owner, uint32_t events)
{
    struct loop *loop = owner;
    (void)events;
    hand_out_event(loop->quiet_epoll_fd, 0);
}

bool loop_expect_guests(struct loop *loop, struct error *error)
{
    loop->quiet_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->quiet_epoll_fd < 0)
        return error_set_run(error, "epoll", "%s: too many open files? raise `ulimit -n`",
                             strerror(errno));
    loop->quiet_watch =
        (struct watch){.fd = loop->quiet_epoll_fd, .ready = quiet_ready, .owner = loop};
    return loop_watch(loop, &loop->quiet_watch, EPOLLIN, error);
}

void loop_set_guests(struct loop *loop, const struct loop_guests *guests)
{
    bool waited = loop->guests != NULL;
    loop->guests = guests;
    loop->busy_since_ns = 0;
    if (waited != (guests != NULL) && guests != NULL)
        loop_unwatch(loop, &loop->quiet_watch);
    else if (waited != (guests != NULL))
        loop_watch(loop, &loop->quiet_watch, EPOLLIN, NULL);
}

void loop_let_time_run(struct loop *loop)
{
    clock_let_run(&loop->clock);
    loop_set_guests(loop, NULL);
}

/* How long to wait before the guests are looked at again: they say when they meet a timed wait or
 * end, but not when they block for good, so they are looked at often at first, then ever less. */
static int64_t look_again_ns(const struct loop *loop)
{
    int64_t busy_ns = machine_now() - loop->busy_since_ns;
    int64_t wait_ns = busy_ns / 8;
    if (wait_ns < 5 * NS_PER_US)
        return 0;
    return wait_ns < NS_PER_MS ? wait_ns : NS_PER_MS;
}

/* A guest that never sleeps must not keep the server from answering the others, or itself. */
static bool has_starved(const struct loop *loop)
{
    return machine_now() - loop->busy_since_ns > SERVER_STARVES_NS;
}

/* What has arrived at the server, once it is proved that nobody is about to send more. */
static bool hand_out_quiet_event(struct loop *loop, bool all_wait)
{
    struct epoll_event event;
    if (wait_event(loop->quiet_epoll_fd, &event, 0) <= 0)
        return false;
    if (!all_wait || loop->guests->still_wait(loop->guests->owner)) {
        struct watch *watch = event.data.ptr;
        watch->ready(watch->owner, event.events);
    }
    return true;
}

static bool turn_with_guests(struct loop *loop, int64_t wait_ns)
{
    if (hand_out_event(loop->epoll_fd, 0))
        return true;
    const struct loop_guests *guests = loop->guests;
    bool all_wait = guests->all_wait(guests->owner);
    if (loop->guests != guests)
        return true; /* it has let time run */
    loop->rests += all_wait;
    if (all_wait)
        loop->busy_since_ns = 0;
    else if (loop->busy_since_ns == 0)
        loop->busy_since_ns = machine_now();
    if ((all_wait || has_starved(loop)) && hand_out_quiet_event(loop, all_wait))
        return true;
    if (!all_wait) {
        hand_out_event(loop->epoll_fd, look_again_ns(loop));
        return true;
    }
    struct deadline *first = deadlines_first(&loop->deadlines); /* as the look has left them */
    if (first == NULL) {
        hand_out_event(loop->epoll_fd, wait_ns < 0 || wait_ns > NS_PER_MS ? NS_PER_MS : wait_ns);
        return false;
    }
    if (loop->host != NULL) {
        loop->host->flush(loop->host->owner);
        if (hand_out_event(loop->quiet_epoll_fd, 0))
            return true;
    }
    if (!guests->still_wait(guests->owner))
        return true;
    if (hand_out_event(loop->epoll_fd, 0))
        return true; /* such as the end of a guest, since this turn began */
    guests->jumps(guests->owner, loop_now(loop), first);
    if (first->at_ns > loop_now(loop))
        clock_jump(&loop->clock, first->at_ns);
    fire_first(loop, first, loop_now(loop));
    return true;
}

static bool turn_virtual(struct loop *loop, int64_t wait_ns)
{
    struct deadline *first = deadlines_first(&loop->deadlines);
    bool is_due = first != NULL && first->at_ns <= loop_now(loop);
    if (is_due && (loop->guests == NULL || first->is_at_once)) {
        fire_first(loop, first, loop_now(loop));
        return true;
    }
    if (loop->guests != NULL)
        return turn_with_guests(loop, wait_ns);
    bool may_jump = loop->holds == loop->parked && first != NULL;
    if (hand_out_event(loop->epoll_fd, may_jump ? 0 : wait_ns))
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
