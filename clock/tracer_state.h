/* tracer_state: what a tracer knows, for its files in this folder: tracer.c (stops, start, end),
 * tracee.c (threads and processes), quiescence.c (whether everybody waits), guest_time.c (what time
 * it is for the clients), call_*.c (what is done about each system call).
 */
#ifndef TOOMANY_CLOCK_TRACER_STATE_H
#define TOOMANY_CLOCK_TRACER_STATE_H

#include "base/duration.h"
#include "clock/traced_call.h"
#include "clock/tracer.h"

struct tracer {
    struct loop *loop;
    struct tracer_options options;
    struct loop_guests guests;
    struct watch child_watch; /* an eventfd that SIGCHLD makes readable */
    struct sock_filter filter[FILTER_LENGTH_MAX];
    size_t filter_length;
    int enter_pipe[2]; /* lets the child go on when it is traced */

    struct tracee *tracees; /* by thread id */
    struct tracee *first;
    struct tracee *last;
    struct tracee *suspect; /* was seen to work, or let go on, last: likely to work now; or NULL */
    struct tracee_process *processes;
    struct socket_timeouts *sockets;
    struct guest_timer *descriptor_timers; /* timerfds, which processes may share */

    pid_t client;          /* the one that was attached; its zombie is left to its parent */
    bool client_is_zombie; /* so that its exit would be reported for ever */
    bool clock_is_watched; /* clock reads are traced */
    bool is_let_go;
    bool has_own_traffic; /* clients talk to each other by TCP */
    int softnet_fd;
    int64_t last_event_ns;     /* machine time at which everybody waited last */
    pid_t worker;              /* the thread whose processor time is watched since then; 0: none */
    int64_t worker_cpu_ns;     /* its processor time when that began */
    int64_t computes_since_ns; /* machine time of the last step of creep(); 0: it does not creep */
    int64_t turns_seen_ns;     /* machine time of the last look at who waits for a turn */
    struct tracer_summary summary;
};

/* Waits on futexes that are not longer are for a turn (quiescence.c). */
#define TRACER_TURN_NS (5 * NS_PER_MS)

/* guest_time.c */

enum {
    TRACER_CHECK_AFTER_READS = 500, /* of clocks in a row: each call is looked at from here on */
    TRACER_CREEP_AFTER_READS = 1000,
};

/* Tells every process what time it is. */
void guest_time_tell(struct tracer *tracer);
/* What a new program of `process` is to see. */
struct vdso_time guest_time(const struct tracer *tracer);
/* Traces clock reads, or stops doing so. */
void guest_time_watch(struct tracer *tracer, bool is_watched);
/* Of struct loop_guests. */
void guest_time_jumps(void *owner, int64_t from_ns, const struct deadline *deadline);

/* quiescence.c, of struct loop_guests */
bool quiescence_all_wait(void *owner);
bool quiescence_still_waits(void *owner);

/* tracer.c: the ends of waits, as functions of deadlines. */
void tracer_end_wait(void *owner, int64_t now_ns);
void tracer_end_receive(void *owner, int64_t now_ns);

#endif
