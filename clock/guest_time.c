/* What time it is for the clients: the loop's time, on all of their clocks. */
#include "base/duration.h"
#include "clock/tracer_state.h"
#include "clock/vdso.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* A round start for the monotonic clocks: with the machine's up-time, rounding inside programs (a
 * float in a millisecond timer) made one delay in ten another one. */
#define MONOTONIC_START_NS (1000 * NS_PER_S)

/* Who waits by looking at a clock would look for ever at one that stands still, so time creeps at
 * each of its looks. It shows by reading clocks many times in a row with no other call between:
 * from CHECK_AFTER_READS on, each call is looked at for that (tracer.c), and from CREEP_AFTER_READS
 * on it is believed, for CREEP_READS. Or, where it does other things in its loop, by having worked
 * for WORKS_ON_CPU_NS without a sleep, reading clocks all the while. */
enum { CREEP_READS = 4096, CPU_CHECK_READS = 512 };
#define WORKS_ON_CPU_NS (5 * NS_PER_S)
#define WORKS_ON_AGAIN_CPU_NS (100 * NS_PER_MS) /* where time has crept already */
#define CREEP_NS (200 * NS_PER_US)

int64_t tracer_now(const struct tracer *tracer)
{
    return loop_now(tracer->loop);
}

struct loop *tracer_loop(const struct tracer *tracer)
{
    return tracer->loop;
}

struct socket_timeouts **tracer_socket_timeouts(struct tracer *tracer)
{
    return &tracer->sockets;
}

struct guest_timer **tracer_descriptor_timers(struct tracer *tracer)
{
    return &tracer->descriptor_timers;
}

struct tracee_process *tracer_processes(const struct tracer *tracer)
{
    return tracer->processes;
}

bool tracer_clock_origin(const struct tracer *tracer, int64_t id, int64_t *origin_ns)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *origin_ns = tracer->loop->clock.wall_start_ns;
        return true;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *origin_ns = MONOTONIC_START_NS;
        return true;
    default:
        return false;
    }
}

struct vdso_time guest_time(const struct tracer *tracer)
{
    int64_t now_ns = tracer_now(tracer);
    return (struct vdso_time){
        .monotonic_ns = MONOTONIC_START_NS + now_ns,
        .realtime_ns = tracer->loop->clock.wall_start_ns + now_ns,
        .traced = tracer->clock_is_watched || tracer->is_let_go,
    };
}

void guest_time_tell(struct tracer *tracer)
{
    struct vdso_time time = guest_time(tracer);
    for (struct tracee_process *process = tracer->processes; process != NULL;
         process = process->next) {
        if (process->vdso_time != 0)
            vdso_set_time(process->memory_fd, process->vdso_time, &time);
    }
}

static void forget_reads(struct tracee *tracee)
{
    tracee->clock_reads = 0;
    tracee->watched_reads = 0;
    tracee->watched_cpu_ns = 0;
    tracee->works_on = false;
}

void guest_time_watch(struct tracer *tracer, bool is_watched)
{
    if (tracer->clock_is_watched == is_watched)
        return;
    tracer->clock_is_watched = is_watched;
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next)
        forget_reads(tracee);
    guest_time_tell(tracer);
}

static void creep(struct tracer *tracer)
{
    tracer->summary.crept_ns += CREEP_NS;
    clock_jump(&tracer->loop->clock, tracer_now(tracer) + CREEP_NS);
    guest_time_tell(tracer);
}

static bool works_on(struct tracee *tracee)
{
    if (tracee->watched_reads++ % CPU_CHECK_READS != 0)
        return tracee->works_on;
    int64_t cpu_ns = proc_thread_cpu_ns(tracee->tid);
    if (tracee->watched_cpu_ns == 0)
        tracee->watched_cpu_ns = cpu_ns;
    bool has_crept = tracee->process->tracer->summary.crept_ns > 0;
    tracee->works_on =
        cpu_ns - tracee->watched_cpu_ns > (has_crept ? WORKS_ON_AGAIN_CPU_NS : WORKS_ON_CPU_NS);
    return tracee->works_on;
}

void tracer_note_clock_read(struct tracer *tracer, struct tracee *tracee)
{
    if (tracer->is_let_go)
        return;
    tracee->clock_reads++;
    bool only_looks = tracee->clock_reads > TRACER_CREEP_AFTER_READS;
    if (tracee->clock_reads > TRACER_CREEP_AFTER_READS + CREEP_READS)
        tracee->clock_reads = TRACER_CHECK_AFTER_READS; /* to be shown again */
    if (works_on(tracee) || only_looks)
        creep(tracer);
}

static void log_line(const struct tracer *tracer, int64_t from_ns, int64_t to_ns, const char *who,
                     const char *what)
{
    if (tracer->options.log == NULL)
        return;
    fprintf(tracer->options.log, "%" PRId64 ".%09" PRId64 " %" PRId64 ".%09" PRId64 " %s %s\n",
            from_ns / NS_PER_S, from_ns % NS_PER_S, to_ns / NS_PER_S, to_ns % NS_PER_S, who, what);
    fflush(tracer->options.log);
}

void tracer_let_go(struct tracer *tracer, const char *reason)
{
    if (tracer->is_let_go)
        return;
    int64_t now_ns = tracer_now(tracer);
    tracer->is_let_go = true;
    tracer->summary.let_go = reason;
    tracer->summary.let_go_ns = now_ns;
    log_line(tracer, now_ns, now_ns, "everybody", reason);
    loop_let_time_run(tracer->loop);
    guest_time_tell(tracer);
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next)
        socket_timeouts_restore(tracee);
}

bool tracer_is_let_go(const struct tracer *tracer)
{
    return tracer->is_let_go;
}

void tracer_note_own_traffic(struct tracer *tracer)
{
    tracer->has_own_traffic = true;
}

uint16_t tracer_server_port(const struct tracer *tracer)
{
    return tracer->options.server_port;
}

void guest_time_jumps(void *owner, int64_t from_ns, const struct deadline *deadline)
{
    struct tracer *tracer = owner;
    int64_t to_ns = deadline->at_ns > from_ns ? deadline->at_ns : from_ns;
    if (tracer->options.log != NULL) {
        char name[32] = "server";
        const struct tracee *tracee =
            deadline->fire == tracer_end_wait || deadline->fire == tracer_end_receive
                ? deadline->owner
                : NULL;
        if (guest_timer_is(deadline))
            snprintf(name, sizeof name, "client");
        log_line(tracer, from_ns, to_ns, tracee != NULL ? tracee_name(tracee, name) : name,
                 tracee != NULL && tracee->phase == TRACEE_WAITS ? tracee->call->name
                 : tracee != NULL                                ? "socket time-out"
                 : guest_timer_is(deadline)                      ? "timer"
                                                                 : "deadline");
    }
    guest_time_watch(tracer, false);
    if (to_ns == from_ns)
        return;
    tracer->summary.jumps++;
    clock_jump(&tracer->loop->clock, to_ns);
    guest_time_tell(tracer);
}
