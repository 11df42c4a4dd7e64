/* machine_timer: a timer on the machine's own time, whatever the run's clock shows.
 *
 * For what is not part of the run: the real time-out after which a client is killed, and
 * libcurl's housekeeping when the run's clock is virtual.
 */
#ifndef TOOMANY_CLOCK_MACHINE_TIMER_H
#define TOOMANY_CLOCK_MACHINE_TIMER_H

#include "clock/loop.h"

struct machine_timer {
    struct loop *loop;
    struct watch watch;
    void (*fire)(void *owner);
    void *owner;
};

/* False with the reason when no descriptor can be had. The timer is not running yet. */
bool machine_timer_init(struct machine_timer *timer, struct loop *loop, void (*fire)(void *owner),
                        void *owner, struct error *error);
void machine_timer_free(struct machine_timer *timer);

/* Fires once, delay_ns from now (at least 1 ns); a running timer is moved. */
void machine_timer_start(struct machine_timer *timer, int64_t delay_ns);
void machine_timer_stop(struct machine_timer *timer);

/* The machine's monotonic time in ns, for measuring how long something really took. */
int64_t machine_now(void);

/* The machine's Unix time in whole seconds. */
int64_t machine_wall_s(void);

/* A number that differs from start to start, for seeds that nobody gave. */
uint64_t machine_entropy(void);

#endif
