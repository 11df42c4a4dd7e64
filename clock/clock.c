#include "clock/clock.h"

#include "base/duration.h"

#include <assert.h>

static int64_t system_ns(clockid_t id)
{
    struct timespec time;
    int failed = clock_gettime(id, &time);
    assert(failed == 0);
    (void)failed;
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

void clock_init(struct clock *clock, enum clock_kind kind)
{
    clock->kind = kind;
    clock->now_ns = 0;
    clock->speed = 1;
    clock->origin_ns = kind == CLOCK_REAL ? system_ns(CLOCK_MONOTONIC) : 0;
    clock->wall_start_ns =
        kind == CLOCK_REAL ? system_ns(CLOCK_REALTIME) : CLOCK_VIRTUAL_WALL_START_S * NS_PER_S;
}

void clock_hasten(struct clock *clock, int64_t speed)
{
    assert(clock->kind == CLOCK_REAL && speed >= 1 && speed <= CLOCK_SPEED_MAX);
    clock->speed = speed;
}

int64_t clock_real_ns(const struct clock *clock, int64_t run_ns)
{
    return run_ns / clock->speed + (run_ns % clock->speed != 0);
}

int64_t clock_now(const struct clock *clock)
{
    if (clock->kind == CLOCK_VIRTUAL)
        return clock->now_ns;
    return (system_ns(CLOCK_MONOTONIC) - clock->origin_ns) * clock->speed;
}

int64_t clock_wall_s(const struct clock *clock, int64_t now_ns)
{
    return (clock->wall_start_ns + now_ns) / NS_PER_S;
}

void clock_jump(struct clock *clock, int64_t at_ns)
{
    assert(clock->kind == CLOCK_VIRTUAL);
    assert(at_ns >= clock->now_ns);
    clock->now_ns = at_ns;
}

void clock_let_run(struct clock *clock)
{
    assert(clock->kind == CLOCK_VIRTUAL);
    clock->origin_ns = system_ns(CLOCK_MONOTONIC) - clock->now_ns;
    clock->kind = CLOCK_REAL;
}

const char *clock_kind_name(enum clock_kind kind)
{
    return kind == CLOCK_VIRTUAL ? "virtual" : "real";
}
