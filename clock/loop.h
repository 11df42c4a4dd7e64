/* loop: one thread's events. File descriptors by epoll, deadlines on the run's clock.
 *
 * With a real clock it sleeps until a descriptor is ready or a deadline is due. With a virtual
 * clock it never sleeps for a deadline: when nothing is ready and nobody holds the clock, the
 * clock jumps to the earliest deadline.
 *
 * Holding: whoever has work under way that the loop cannot see (bytes on a socket, between the
 * client's send and the server's read) holds the clock, so that it cannot jump past that work.
 * The C client holds it from sending a request until the answer is complete; the server parks
 * while it makes an answer wait for a deadline. The clock may jump exactly when every hold is
 * matched by a park, that is when everybody waits for a deadline: a proof by counting, with no
 * pause and no guess.
 *
 *     loop_hold(loop);     the client sends a request             holds 1, parked 0
 *     loop_park(loop);     the server: answer due in 2 s          holds 1, parked 1: jump 2 s
 *     loop_unpark(loop);   the server sends the answer            holds 1, parked 0
 *     loop_release(loop);  the client has read all of it          holds 0, parked 0
 */
#ifndef TOOMANY_CLOCK_LOOP_H
#define TOOMANY_CLOCK_LOOP_H

#include "base/error.h"
#include "clock/clock.h"
#include "clock/deadline.h"

/* A descriptor that the loop watches. Lives in its owner; must be unwatched before it goes. */
struct watch {
    int fd;
    void (*ready)(void *owner, uint32_t events);
    void *owner;
    bool when_quiet; /* with guests: handed out only while all of them wait */
};

/* Programs that live on this loop's virtual clock, carried by somebody (clock/tracer.h).
 *
 * While one of them works, time stands still and the server does not look at its sockets, so that
 * what it finds there does not depend on how fast who ran. When all wait, and a second look proves
 * that nobody has run since the first, the server gets what has arrived; when nothing has, the
 * clock moves to the earliest deadline. Deadlines fire one at a time, each when all wait again. */
struct loop_guests {
    void *owner;
    /* True when every thread of every guest is asleep. */
    bool (*all_wait)(void *owner);
    /* True when they still are, and none has run since all_wait(). */
    bool (*still_wait)(void *owner);
    /* Told before the clock moves to the time of `deadline`. */
    void (*jumps)(void *owner, int64_t from_ns, const struct deadline *deadline);
};

/* Whoever serves the guests on this loop. */
struct loop_host {
    void *owner;
    /* Called before the clock moves: lets out whatever is still held back on the way to the guests
     * or from them, so that it shows. */
    void (*flush)(void *owner);
};

/* Whoever lets other threads come to what this one has while it waits, and only then. */
struct loop_rest {
    void *owner;
    void (*begin)(void *owner);
    void (*end)(void *owner);
};

struct loop {
    struct clock clock;
    struct deadlines deadlines;
    int epoll_fd;
    int quiet_epoll_fd; /* of the watches that are handed out when_quiet; -1: epoll_fd has them */
    int holds;
    int parked;
    bool stopping;
    const struct loop_guests *guests; /* or NULL */
    const struct loop_host *host;     /* or NULL */
    const struct loop_rest *rest;     /* or NULL; of a loop with a real clock */
    struct watch quiet_watch; /* quiet_epoll_fd in epoll_fd, where nobody waits for guests */
    uint64_t rests;           /* how often all guests were found to wait */
    int64_t busy_since_ns;    /* machine time since which some guest works; 0: all wait */
};

/* False with the reason when epoll cannot be had. */
bool loop_init(struct loop *loop, enum clock_kind kind, struct error *error);
void loop_free(struct loop *loop);

/* Makes room for guests; to be called before anything is watched when_quiet. */
bool loop_expect_guests(struct loop *loop, struct error *error);
/* Sets who knows whether they wait; NULL: there are none (any more). */
void loop_set_guests(struct loop *loop, const struct loop_guests *guests);

/* From now on a virtual clock goes as fast as the machine's, and guests are not waited for. */
void loop_let_time_run(struct loop *loop);

/* Watches watch->fd for `events` (EPOLLIN, EPOLLOUT, ...); a watched one gets the new events. */
bool loop_watch(struct loop *loop, struct watch *watch, uint32_t events, struct error *error);
void loop_unwatch(struct loop *loop, struct watch *watch);

int64_t loop_now(const struct loop *loop);

/* Makes `deadline` fire `delay_ns` (0 or more) from now. Out of memory ends the program: the
 * heap holds one pointer a deadline, and a run without its deadlines cannot be judged. */
void loop_after(struct loop *loop, struct deadline *deadline, int64_t delay_ns);
void loop_at(struct loop *loop, struct deadline *deadline, int64_t at_ns);
void loop_cancel(struct loop *loop, struct deadline *deadline);

void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);
void loop_park(struct loop *loop);
void loop_unpark(struct loop *loop);

/* Fires what is ready and due. When nothing is, waits at most `wait_real_ns` of real time
 * (negative: for ever) for a descriptor or a deadline. Returns false when there is nothing left
 * that could happen: no descriptor became ready and no deadline is set. */
bool loop_turn(struct loop *loop, int64_t wait_real_ns);

/* Turns until loop_stop() is called. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
