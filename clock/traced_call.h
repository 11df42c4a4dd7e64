/* traced_call: the system calls that have to do with time, and what the tracer does about each.
 *
 * One table, in traced_call.c; from it come the seccomp filter and the dispatch. To add a call:
 * write its functions in the call_*.c that fits (or a new one), declare them below, add the row, a
 * program to tests/virtual/ and a line to docs/virtual-time.md.
 *
 *     {SYS_nanosleep, "nanosleep", FILTER_ALWAYS, 0, nanosleep_begins, nanosleep_ends}
 *
 * `begins` sees the registers as the program set them, and may change them. It says what is to
 * happen; `ends` sees the registers as the kernel left them, for CALL_FOLLOWED and CALL_WAITS.
 *
 * Private to the tracer's files in this folder.
 */
#ifndef TOOMANY_CLOCK_TRACED_CALL_H
#define TOOMANY_CLOCK_TRACED_CALL_H

#include "clock/tracee.h"

#include <linux/filter.h>

enum call_verdict {
    CALL_PASSES,   /* to the kernel, as the registers now say */
    CALL_ANSWERED, /* regs->rax holds the result; the kernel does nothing */
    CALL_FOLLOWED, /* to the kernel, and `ends` is called afterwards */
    CALL_WAITS,    /* the same without a time-out; tracee->due is set by tracer_wait() */
};

/* Which calls the filter stops; the rest runs at full speed. */
enum filter_kind {
    FILTER_ALWAYS,
    FILTER_TIMEOUT_MS,     /* argument `filter_argument` is an int above 0 */
    FILTER_POINTER,        /* argument `filter_argument` is not NULL */
    FILTER_FUTEX_WAIT,     /* a futex operation that waits, with a time-out */
    FILTER_TIMEOUT_OPTION, /* SO_RCVTIMEO or SO_SNDTIMEO of SOL_SOCKET */
};

struct traced_call {
    int64_t number;
    const char *name;
    enum filter_kind filter;
    int filter_argument; /* from 0 */
    enum call_verdict (*begins)(struct tracer *tracer, struct tracee *tracee,
                                struct user_regs_struct *regs);
    void (*ends)(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs);
};

/* NULL when there is none of that number. */
const struct traced_call *traced_call_find(int64_t number);

enum { FILTER_LENGTH_MAX = 600 };

/* Writes the seccomp program that returns SECCOMP_RET_TRACE for the calls of the table. Returns its
 * length. */
size_t traced_call_filter(struct sock_filter filter[FILTER_LENGTH_MAX]);

/* --- for the functions of the table ------------------------------------------------------------
 */

/* What clock number `id` (CLOCK_MONOTONIC, ...) shows at 0 of the run; false for those that are
 * left to the kernel, such as processor time. */
bool tracer_clock_origin(const struct tracer *tracer, int64_t id, int64_t *origin_ns);

/* The loop's time. */
int64_t tracer_now(const struct tracer *tracer);
struct loop *tracer_loop(const struct tracer *tracer);

/* Sets the deadline of the wait that begins; returns CALL_WAITS. A wait that goes on after a signal
 * keeps the deadline that it had. */
enum call_verdict tracer_wait(struct tracer *tracer, struct tracee *tracee, int64_t due_ns);

/* Clocks are being read one after another: makes time creep for a program that only looks at one.
 */
void tracer_note_clock_read(struct tracer *tracer, struct tracee *tracee);

/* Lets the clock run at the machine's rate, because `reason` (static) keeps the tracer from knowing
 * when everybody waits. */
void tracer_let_go(struct tracer *tracer, const char *reason);

bool tracer_is_let_go(const struct tracer *tracer);

/* Clients talk to each other by TCP. */
void tracer_note_own_traffic(struct tracer *tracer);
/* Makes the kernel acknowledge at once what clients have received from each other: a small write
 * may be held back until then, which is work under way that nobody waits for. */
void traffic_acknowledge(struct tracer *tracer);

/* Of the loop's own server; 0: none. */
uint16_t tracer_server_port(const struct tracer *tracer);

/* A timespec or timeval of the program in ns, capped far below the end of int64_t. False when it
 * cannot be read or is not a valid time: the kernel is then left to say so. */
bool call_read_timespec(const struct tracee *tracee, uint64_t address, int64_t *ns);
bool call_read_timeval(const struct tracee *tracee, uint64_t address, int64_t *ns);
bool call_write_timespec(const struct tracee *tracee, uint64_t address, int64_t ns);
bool call_write_timeval(const struct tracee *tracee, uint64_t address, int64_t ns);

/* A signal is about to reach `tracee`, which may be in a call: makes the call end or go on as it
 * does without a tracer (call_wait.c). */
void call_meets_signal(struct tracee *tracee, int signal_number);
/* The same for a stop, as by SIGSTOP. */
void call_meets_stop(struct tracee *tracee);

/* Timers of a process (call_timer.c). */
void guest_timers_free(struct tracee_process *process);
/* Those that are descriptors. */
void descriptor_timers_free(struct tracer *tracer);
struct guest_timer **tracer_descriptor_timers(struct tracer *tracer);
struct tracee_process *tracer_processes(const struct tracer *tracer);
/* Whether a deadline is that of a program's timer. */
bool guest_timer_is(const struct deadline *deadline);
/* Whether some timer of a program is set, which may end what it does. */
bool guest_timers_are_set(struct tracer *tracer);
/* Timers of timer_create do not survive an exec. */
void guest_timers_exec(struct tracee_process *process);
/* Makes a signal that stands for setitimer's look like the kernel's. */
void guest_timers_sign(struct tracee *tracee);

/* Waits on sockets with a time-out of their own (call_socket.c): true, with the time-out, when the
 * descriptor that `tracee` sleeps on has one for this direction. */
bool socket_timeout(const struct tracee *tracee, int64_t number, uint64_t fd, int64_t *timeout_ns);
struct socket_timeouts;
/* Gives the time-outs of this thread's sockets back to the kernel. */
void socket_timeouts_restore(const struct tracee *tracee);
void socket_timeouts_free(struct socket_timeouts **sockets);
struct socket_timeouts **tracer_socket_timeouts(struct tracer *tracer);

#define TRACED_BEGINS(name)                                                                        \
    enum call_verdict name(struct tracer *tracer, struct tracee *tracee,                           \
                           struct user_regs_struct *regs)
#define TRACED_ENDS(name)                                                                          \
    void name(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs)

TRACED_BEGINS(clock_gettime_begins);
TRACED_BEGINS(gettimeofday_begins);
TRACED_BEGINS(time_begins);
TRACED_BEGINS(times_begins);
TRACED_ENDS(times_ends);

TRACED_BEGINS(nanosleep_begins);
TRACED_BEGINS(clock_nanosleep_begins);
TRACED_ENDS(sleep_ends);
TRACED_BEGINS(futex_begins);
TRACED_BEGINS(futex_wait_begins);
TRACED_BEGINS(futex_waitv_begins);
TRACED_BEGINS(poll_begins);
TRACED_BEGINS(ppoll_begins);
TRACED_BEGINS(select_begins);
TRACED_BEGINS(pselect6_begins);
TRACED_BEGINS(epoll_wait_begins);
TRACED_BEGINS(epoll_pwait2_begins);
TRACED_BEGINS(rt_sigtimedwait_begins);
TRACED_BEGINS(semtimedop_begins);
TRACED_BEGINS(mq_timed_begins);
TRACED_ENDS(wait_ends);
TRACED_BEGINS(io_uring_setup_begins);

TRACED_BEGINS(timerfd_settime_begins);
TRACED_BEGINS(timerfd_gettime_begins);
TRACED_BEGINS(setitimer_begins);
TRACED_BEGINS(getitimer_begins);
TRACED_BEGINS(alarm_begins);
TRACED_BEGINS(timer_create_begins);
TRACED_ENDS(timer_create_ends);
TRACED_BEGINS(timer_settime_begins);
TRACED_BEGINS(timer_gettime_begins);
TRACED_BEGINS(timer_getoverrun_begins);
TRACED_BEGINS(timer_delete_begins);

TRACED_BEGINS(setsockopt_begins);
TRACED_BEGINS(getsockopt_begins);
TRACED_BEGINS(connect_begins);
TRACED_BEGINS(sendto_begins);

#endif
