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

struct loop {
    struct clock clock;
    struct deadlines deadlines;
    int epoll_fd;
    int holds;
    int parked;
    bool stopping;
};

/* A descriptor that the loop watches. Lives in its owner; must be unwatched before it goes. */
struct watch {
    int fd;
    void (*ready)(void *owner, uint32_t events);
    void *owner;
};

/* False with the reason when epoll cannot be had. */
bool loop_init(struct loop *loop, enum clock_kind kind, struct error *error);
void loop_free(struct loop *loop);

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
