/* clock: the run's time. Nothing else in the project reads the system's clocks.
 *
 * A clock starts at 0 ns when it is made. Two kinds:
 *   real     follows CLOCK_MONOTONIC;
 *   virtual  stands still until clock_jump() moves it. The loop does that when everybody waits.
 *
 * A real clock may go `speed` times as fast as the machine's: a minute of the run then takes a
 * second at 60. Every wait is really waited, by that much less; nothing else gets faster.
 *
 * Wall-clock time (Date headers, `created`) is the run's time plus the moment at which the
 * clock was made; a virtual clock takes a fixed moment, so that its runs repeat to the byte.
 */
#ifndef TOOMANY_CLOCK_CLOCK_H
#define TOOMANY_CLOCK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum clock_kind { CLOCK_REAL, CLOCK_VIRTUAL };

/* Times up to the ten years of base/duration.h do not overflow. */
enum { CLOCK_SPEED_MAX = 1000 };

/* 2026-01-01T00:00:00Z: where the wall time of virtual clocks starts. */
#define CLOCK_VIRTUAL_WALL_START_S INT64_C(1767225600)

struct clock {
    enum clock_kind kind;
    int64_t now_ns;        /* virtual: the time; real: unused */
    int64_t origin_ns;     /* real: CLOCK_MONOTONIC at 0 */
    int64_t speed;         /* real: 1, or what clock_hasten() said */
    int64_t wall_start_ns; /* Unix time at 0 */
};

void clock_init(struct clock *clock, enum clock_kind kind);

/* Lets a real clock go `speed` times as fast (1 to CLOCK_SPEED_MAX). To be called before anybody
 * has read it. */
void clock_hasten(struct clock *clock, int64_t speed);

/* How long the machine takes for `run_ns` of a real clock, rounded up. */
int64_t clock_real_ns(const struct clock *clock, int64_t run_ns);

/* Nanoseconds since clock_init. */
int64_t clock_now(const struct clock *clock);

/* Unix time in whole seconds at `now_ns` of this clock. */
int64_t clock_wall_s(const struct clock *clock, int64_t now_ns);

/* Moves a virtual clock forward to `at_ns`; going back is a programmer's mistake. */
void clock_jump(struct clock *clock, int64_t at_ns);

/* Makes a virtual clock real: it goes on from where it is, as fast as the machine's. */
void clock_let_run(struct clock *clock);

/* The word for reports: "real" or "virtual". */
const char *clock_kind_name(enum clock_kind kind);

#endif
