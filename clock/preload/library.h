/* library: what is preloaded into clients, for machines on which programs cannot be traced.
 *
 * It stands in for the functions of libc that have to do with time: functions.h is the table. To
 * add one: a row there, a small function in the file that fits, a program in
 * tests/virtual/preload/, a line in docs/virtual-time.md. A function that waits looks like this:
 *
 *     int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
 *     {
 *         WAIT(wait);
 *         if (timeout_ms <= 0 || !wait_begins(&wait, PAGE_CALL_poll, after_ms(timeout_ms)))
 *             return libc()->poll(fds, count, timeout_ms);
 *         return (int)wait_result(&wait, libc()->poll(fds, count, -1), 0);
 *     }
 *
 * It calls libc's own function without the time-out, so that errors, cancellation and signals are
 * libc's. When the time has come, the harness sends PAGE_SIGNAL to the sleeping thread, whose
 * system call then ends as if another signal had come; wait_result() makes the time-out of it.
 * Functions of libc that go on after signals (condition variables, locks) get a time-out far in the
 * future: the handler finds that in the arguments of the interrupted system call, and changes its
 * result to that of a time-out.
 *
 * Nothing here (but timers that start threads) allocates, takes locks or writes to the program's
 * memory, because programs call these functions in signal handlers, and between fork and exec.
 */
#ifndef TOOMANY_CLOCK_PRELOAD_LIBRARY_H
#define TOOMANY_CLOCK_PRELOAD_LIBRARY_H

#include "clock/preload/functions.h"
#include "clock/preload/page.h"

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#define EXPORTED __attribute__((visibility("default")))

/* libc's functions, or those of whatever is loaded after us. */
struct next_functions {
/* A type and a list of parameters cannot stand in parentheses.
 * */
#define NEXT_FIELD(result, name, parameters) result(*name) parameters;
    PRELOAD_FUNCTIONS(NEXT_FIELD)
#undef NEXT_FIELD
};
extern struct next_functions next_functions;

extern struct clock_page *page; /* NULL: not in a run, everything goes to libc */

/* Finds libc's functions and the page, if that has not happened. Constructors of other libraries
 * may call our functions before our own constructor runs. */
void library_start(void);
extern bool library_has_started;

static inline const struct next_functions *libc(void)
{
    if (!library_has_started)
        library_start();
    return &next_functions;
}

/* Whether the virtual clock rules. */
bool is_carried(void);

/* The run's time. */
int64_t now_ns(void);

/* What clock `id` shows at 0 of the run; false for processor time and the like. */
bool clock_origin(clockid_t id, int64_t *origin_ns);

/* A time in ns, capped far below the end of int64_t; a negative one when it is not valid. */
int64_t timespec_ns(const struct timespec *time);
int64_t timeval_ns(const struct timeval *time);
struct timespec ns_timespec(int64_t ns);
struct timeval ns_timeval(int64_t ns);
int64_t after_ns(int64_t delay_ns);

/* The machine's time for `time` of clock `id` of the run, once time has been let go. */
struct timespec machine_time(clockid_t id, const struct timespec *time);

/* Asks that time be let run. */
void plead(enum page_plea plea);

/* ---- waits ---- */

struct wait {
    bool is_on;
    bool was_blocked;
    int error_before;
    struct page_slot *slot;
    /* A wait that this one interrupts, being in a signal handler. */
    void *outer_frame;
    bool outer_is_far;
    uint32_t outer_call;
    int64_t outer_due_ns;
};

/* Ends it on every way out, also when the thread is cancelled. */
#define WAIT(name) struct wait name __attribute__((cleanup(wait_ends))) = {.is_on = false}

/* False when libc is to do it, with the time-out: no run, or time has been let go. */
bool wait_begins(struct wait *wait, enum page_call call, int64_t due_ns);
void wait_ends(struct wait *wait);
bool wait_is_over(const struct wait *wait);

/* The result of a call that returns -1 and sets errno: in place of EINTR when the time has come, 0,
 * or -1 with `timeout_error`. */
long wait_result(const struct wait *wait, long result, int timeout_error);

/* For functions of libc that take a time of clock `id` and go on after signals. Returns the time to
 * give them; *machine is room for one. */
const struct timespec *wait_until(struct wait *wait, enum page_call call, clockid_t id,
                                  const struct timespec *time, struct timespec *machine);

/* The same for a time-out that is relative: the time to give libc, or NULL where it is to wait as
 * long as it was asked to. */
const struct timespec *wait_far(struct wait *wait, enum page_call call, int64_t due_ns);

/* What the handler of PAGE_SIGNAL does with the thread that it interrupted. */
void wait_ends_by_signal(ucontext_t *context);

/* ---- signals.c ---- */

/* Takes PAGE_SIGNAL for ourselves. */
void signals_start(void);
/* A copy of `mask` that lets PAGE_SIGNAL in; NULL stays NULL. */
const sigset_t *mask_without_ours(const sigset_t *mask, sigset_t *copy);

/* ---- sockets.c ---- */

/* A time-out of a socket as the kernel keeps it for us: so long that it never comes, and ours can
 * be read from it by whoever has the socket, after dup, fork and exec too. */
bool socket_timeout(int fd, int option, int64_t *timeout_ns);

/* ---- timers.c ---- */

/* The number of expiries of a timer descriptor that was read, in place of the kernel's. */
void timer_fd_was_read(int fd, void *bytes);
/* After a fork: the child has them too. */
void share_timers(void);
/* Before a new program of this process begins. */
void free_old_timers(void);

/* ---- thread_timers.c: those that start threads ---- */

int thread_timer_create(clockid_t clock, const struct sigevent *event, timer_t *id);
bool thread_timer_has(timer_t id);
int thread_timer_set(timer_t id, int flags, const struct itimerspec *wanted,
                     struct itimerspec *before);
int thread_timer_get(timer_t id, struct itimerspec *state);
int thread_timer_delete(timer_t id);

/* ---- others ---- */

/* A system call around everything, even our own syscall(). Returns -errno. */
long raw_call(long number, long a, long b, long c, long d, long e, long f);
#define RAW(number, a, b, c, d, e, f)                                                              \
    raw_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Registers this process in the page. */
void register_process(void);
/* Takes it out before an exec, because the program to come may not carry the library. */
void unregister_process(void);

#endif
