/* Waits with a time-out. The time-out is taken out of the call, so that the kernel waits for ever,
 * and becomes a deadline on the loop. When it comes, the tracer interrupts the thread, and what the
 * kernel says of the interruption is replaced by what it says of a time-out. */
#include "clock/traced_call.h"
#include "clock/vdso.h"

#include "base/duration.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* What the kernel returns to itself for a call that a signal interrupted (its <linux/errno.h>). */
enum {
    KERNEL_RESTARTSYS = 512,
    KERNEL_RESTARTNOINTR = 513,
    KERNEL_RESTARTNOHAND = 514,
    KERNEL_RESTART_RESTARTBLOCK = 516,
};

static bool is_interrupted(int64_t result)
{
    return result == -EINTR || result == -KERNEL_RESTARTSYS || result == -KERNEL_RESTARTNOINTR ||
           result == -KERNEL_RESTARTNOHAND || result == -KERNEL_RESTART_RESTARTBLOCK;
}

static int64_t left_ns(const struct tracer *tracer, const struct tracee *tracee)
{
    int64_t left = tracee->due.at_ns - tracer_now(tracer);
    return left > 0 ? left : 0;
}

/* --- how waits end ------------------------------------------------------------------------------
 */

static void clear_sets(const struct tracee *tracee)
{
    const struct user_regs_struct *asked = &tracee->asked;
    static const char zeros[8192]; /* sets of 65,536 descriptors */
    /* As the kernel does: no more than the process has room for, whatever count it gave. */
    uint64_t count = proc_thread_number(tracee->tid, "\nFDSize:", 10);
    if (count > asked->rdi)
        count = asked->rdi;
    size_t bytes = (size_t)(count + 63) / 64 * 8;
    if (bytes > sizeof zeros)
        bytes = sizeof zeros;
    if (asked->rsi != 0)
        tracee_write(tracee, asked->rsi, zeros, bytes);
    if (asked->rdx != 0)
        tracee_write(tracee, asked->rdx, zeros, bytes);
    if (asked->r10 != 0)
        tracee_write(tracee, asked->r10, zeros, bytes);
}

static int64_t timeout_result(const struct tracee *tracee)
{
    switch (tracee->call->number) {
    case SYS_select:
    case SYS_pselect6:
        clear_sets(tracee);
        return 0;
    case SYS_rt_sigtimedwait:
    case SYS_semtimedop:
        return -EAGAIN;
    case SYS_poll:
    case SYS_ppoll:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return 0;
    default: /* futexes and message queues */
        return -ETIMEDOUT;
    }
}

/* Linux tells how much of the time-out was left, and some programs use it. */
static void write_left(const struct tracer *tracer, const struct tracee *tracee)
{
    int64_t ns = left_ns(tracer, tracee);
    if (tracee->call->number == SYS_select)
        call_write_timeval(tracee, tracee->asked.r8, ns);
    else if (tracee->call->number == SYS_pselect6)
        call_write_timespec(tracee, tracee->asked.r8, ns);
    else if (tracee->call->number == SYS_ppoll)
        call_write_timespec(tracee, tracee->asked.rdx, ns);
}

/* Whether the kernel treats an interrupted call with a time-out as the one without that it was made
 * into: those that lock for priority inheritance are always repeated, those here that wait until a
 * point in time are where the handler has SA_RESTART. */
static bool is_repeated_alike(const struct tracee *tracee)
{
    uint64_t operation = tracee->asked.rsi & (uint64_t)FUTEX_CMD_MASK;
    switch (tracee->call->number) {
    case SYS_futex:
        return operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET;
    case SYS_futex_wait:
    case SYS_futex_waitv:
    case SYS_mq_timedsend:
    case SYS_mq_timedreceive:
        return true;
    default:
        return false;
    }
}

/* A signal came. If it has a handler, most calls end with EINTR; if not, the kernel repeats them,
 * and they must then keep their deadline (tracer_wait() sees to that). Without a time-out of its
 * own, the kernel would treat some calls otherwise than with one: RESTARTNOHAND says just that to
 * it. It also serves epoll_wait and others that are never repeated, for there may be no signal that
 * without a tracer the thread would have heard of: an ignored one, or one that another thread took
 * first. */
static void let_signal_in(struct tracee *tracee, struct user_regs_struct *regs)
{
    if (!is_repeated_alike(tracee))
        regs->rax = (uint64_t)-KERNEL_RESTARTNOHAND;
    tracee->may_resume = true;
    tracee->resumed = tracee->asked;
    tracee->resumed_due_ns = tracee->due.at_ns;
}

/* Moved to a lock by a requeue, it says EAGAIN of an interruption and ETIMEDOUT of a time-out. */
static bool is_interrupted_on_lock(const struct tracee *tracee, int64_t result)
{
    return result == -EAGAIN && tracee->call->number == SYS_futex &&
           (tracee->asked.rsi & (uint64_t)FUTEX_CMD_MASK) == FUTEX_WAIT_REQUEUE_PI;
}

void wait_ends(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs)
{
    int64_t result = (int64_t)regs->rax;
    if (tracee->is_over && (is_interrupted(result) || is_interrupted_on_lock(tracee, result)))
        regs->rax = (uint64_t)timeout_result(tracee);
    else if (is_interrupted((int64_t)regs->rax))
        let_signal_in(tracee, regs);
    write_left(tracer, tracee);
}

void sleep_ends(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs)
{
    const struct user_regs_struct *asked = &tracee->asked;
    bool is_nanosleep = tracee->call->number == SYS_nanosleep;
    if (tracee->is_over) {
        regs->rax = 0;
        return;
    }
    let_signal_in(tracee, regs);
    bool is_relative = is_nanosleep || (asked->rsi & TIMER_ABSTIME) == 0;
    uint64_t left = is_nanosleep ? asked->rsi : asked->r10;
    if (is_relative && left != 0)
        call_write_timespec(tracee, left, left_ns(tracer, tracee));
}

/* Ignored, by the program's wish or by default. */
static bool is_ignored(const struct tracee *tracee, int number)
{
    uint64_t bit = UINT64_C(1) << (number - 1);
    if ((proc_thread_number(tracee->tid, "\nSigIgn:", 16) & bit) != 0)
        return true;
    bool is_by_default =
        number == SIGCHLD || number == SIGURG || number == SIGWINCH || number == SIGCONT;
    return is_by_default && (proc_thread_number(tracee->tid, "\nSigCgt:", 16) & bit) == 0;
}

static bool is_caught(const struct tracee *tracee, int number)
{
    return (proc_thread_number(tracee->tid, "\nSigCgt:", 16) >> (number - 1) & 1) != 0;
}

/* Calls that end with EINTR whatever the signal; so do those on sockets with a time-out. */
static bool is_never_repeated(uint64_t number)
{
    return number == SYS_epoll_wait || number == SYS_epoll_pwait || number == SYS_epoll_pwait2 ||
           number == SYS_rt_sigtimedwait || number == SYS_semop || number == SYS_semtimedop ||
           number == SYS_io_getevents;
}

/* In the stop before a signal is delivered, a call that it interrupted has its result and is not
 * repeated yet.
 *
 * Only a traced thread is woken for a signal that is ignored: calls that end with EINTR must then
 * be repeated. */
void call_meets_signal(struct tracee *tracee, int signal_number)
{
    struct user_regs_struct regs;
    int64_t timeout_ns;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) != 0 || (int64_t)regs.orig_rax < 0)
        return;
    int64_t result = (int64_t)regs.rax;
    bool is_unheard = is_ignored(tracee, signal_number);
    if (is_interrupted(result) && is_caught(tracee, signal_number))
        tracee->may_resume = false; /* what the program does next is a wait of its own */
    if (result != -EINTR || !is_unheard)
        return;
    bool has_timeout = socket_timeout(tracee, (int64_t)regs.orig_rax, regs.rdi, &timeout_ns);
    if (!has_timeout && !is_never_repeated(regs.orig_rax))
        return;
    tracee->receive_goes_on = has_timeout;
    regs.rax = (uint64_t)-KERNEL_RESTARTNOHAND;
    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
}

/* Such calls end with EINTR when the stop ends, whatever comes meanwhile: as if it were in none. */
void call_meets_stop(struct tracee *tracee)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) != 0)
        return;
    if ((int64_t)regs.rax != -EINTR &&
        ((int64_t)regs.rax != -KERNEL_RESTARTNOHAND || !is_never_repeated(regs.orig_rax)))
        return;
    regs.rax = (uint64_t)-EINTR;
    regs.orig_rax = (uint64_t)-1;
    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
}

/* --- sleeping -----------------------------------------------------------------------------------
 */

enum call_verdict nanosleep_begins(struct tracer *tracer, struct tracee *tracee,
                                   struct user_regs_struct *regs)
{
    int64_t ns;
    if (!call_read_timespec(tracee, regs->rdi, &ns) || ns == 0)
        return CALL_PASSES;
    regs->orig_rax = SYS_pause;
    return tracer_wait(tracer, tracee, tracer_now(tracer) + ns);
}

enum call_verdict clock_nanosleep_begins(struct tracer *tracer, struct tracee *tracee,
                                         struct user_regs_struct *regs)
{
    int64_t origin_ns;
    int64_t ns;
    if (!tracer_clock_origin(tracer, (int)regs->rdi, &origin_ns) ||
        !call_read_timespec(tracee, regs->rdx, &ns))
        return CALL_PASSES;
    bool is_absolute = (regs->rsi & TIMER_ABSTIME) != 0;
    int64_t due_ns = is_absolute ? ns - origin_ns : tracer_now(tracer) + ns;
    if (due_ns <= tracer_now(tracer)) {
        regs->rax = 0;
        return CALL_ANSWERED;
    }
    regs->orig_rax = SYS_pause;
    return tracer_wait(tracer, tracee, due_ns);
}

/* --- futexes ------------------------------------------------------------------------------------
 */

/* An absolute time-out on `clock_id` that is read from `address`. */
static bool absolute_due(const struct tracer *tracer, const struct tracee *tracee, int clock_id,
                         uint64_t address, int64_t *due_ns)
{
    int64_t origin_ns;
    int64_t ns;
    if (!tracer_clock_origin(tracer, clock_id, &origin_ns) ||
        !call_read_timespec(tracee, address, &ns))
        return false;
    *due_ns = ns - origin_ns;
    return true;
}

/* A wait until `due_ns`; *pointer is where the call has its time-out. One that has passed
 * must not wait until everybody does: the kernel gets a time-out of 0, so that it compares the
 * value first, as it does then. */
static enum call_verdict wait_until(struct tracer *tracer, struct tracee *tracee,
                                    unsigned long long *pointer, int64_t due_ns)
{
    uint64_t zero = tracee->process->vdso_time;
    *pointer = 0;
    if (due_ns > tracer_now(tracer) || zero == 0)
        return tracer_wait(tracer, tracee, due_ns);
    *pointer = zero + VDSO_ZERO_OFFSET;
    return CALL_FOLLOWED;
}

enum call_verdict futex_begins(struct tracer *tracer, struct tracee *tracee,
                               struct user_regs_struct *regs)
{
    uint64_t operation = regs->rsi & (uint64_t)FUTEX_CMD_MASK;
    bool is_realtime = (regs->rsi & FUTEX_CLOCK_REALTIME) != 0 || operation == FUTEX_LOCK_PI;
    int64_t due_ns;
    if (operation == FUTEX_WAIT) {
        int64_t ns;
        if (!call_read_timespec(tracee, regs->r10, &ns))
            return CALL_PASSES;
        due_ns = tracer_now(tracer) + ns;
    } else if (!absolute_due(tracer, tracee, is_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                             regs->r10, &due_ns)) {
        return CALL_PASSES;
    }
    enum call_verdict verdict = wait_until(tracer, tracee, &regs->r10, due_ns);
    if (verdict == CALL_WAITS)
        regs->rsi &= ~(uint64_t)FUTEX_CLOCK_REALTIME;
    return verdict;
}

/* futex_wait(address, value, mask, flags, timeout, clock) */
enum call_verdict futex_wait_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    int64_t due_ns;
    if (!absolute_due(tracer, tracee, (int)regs->r9, regs->r8, &due_ns))
        return CALL_PASSES;
    return wait_until(tracer, tracee, &regs->r8, due_ns);
}

/* futex_waitv(waiters, count, flags, timeout, clock) */
enum call_verdict futex_waitv_begins(struct tracer *tracer, struct tracee *tracee,
                                     struct user_regs_struct *regs)
{
    int64_t due_ns;
    if (!absolute_due(tracer, tracee, (int)regs->r8, regs->r10, &due_ns))
        return CALL_PASSES;
    return wait_until(tracer, tracee, &regs->r10, due_ns);
}

/* --- descriptors --------------------------------------------------------------------------------
 */

/* Takes the relative time-out at *pointer out of the call. One of 0 only asks; it passes. */
static enum call_verdict wait_by_timespec(struct tracer *tracer, struct tracee *tracee,
                                          unsigned long long *pointer)
{
    int64_t ns;
    if (!call_read_timespec(tracee, *pointer, &ns) || ns == 0)
        return CALL_PASSES;
    *pointer = 0;
    return tracer_wait(tracer, tracee, tracer_now(tracer) + ns);
}

enum call_verdict poll_begins(struct tracer *tracer, struct tracee *tracee,
                              struct user_regs_struct *regs)
{
    int64_t ms = (int)regs->rdx;
    regs->rdx = (uint64_t)-1;
    return tracer_wait(tracer, tracee, tracer_now(tracer) + ms * NS_PER_MS);
}

enum call_verdict epoll_wait_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    int64_t ms = (int)regs->r10;
    regs->r10 = (uint64_t)-1;
    return tracer_wait(tracer, tracee, tracer_now(tracer) + ms * NS_PER_MS);
}

enum call_verdict ppoll_begins(struct tracer *tracer, struct tracee *tracee,
                               struct user_regs_struct *regs)
{
    return wait_by_timespec(tracer, tracee, &regs->rdx);
}

enum call_verdict epoll_pwait2_begins(struct tracer *tracer, struct tracee *tracee,
                                      struct user_regs_struct *regs)
{
    return wait_by_timespec(tracer, tracee, &regs->r10);
}

enum call_verdict pselect6_begins(struct tracer *tracer, struct tracee *tracee,
                                  struct user_regs_struct *regs)
{
    return wait_by_timespec(tracer, tracee, &regs->r8);
}

enum call_verdict select_begins(struct tracer *tracer, struct tracee *tracee,
                                struct user_regs_struct *regs)
{
    int64_t ns;
    if (!call_read_timeval(tracee, regs->r8, &ns) || ns == 0)
        return CALL_PASSES;
    regs->r8 = 0;
    return tracer_wait(tracer, tracee, tracer_now(tracer) + ns);
}

/* --- others -------------------------------------------------------------------------------------
 */

enum call_verdict rt_sigtimedwait_begins(struct tracer *tracer, struct tracee *tracee,
                                         struct user_regs_struct *regs)
{
    return wait_by_timespec(tracer, tracee, &regs->rdx);
}

enum call_verdict semtimedop_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    return wait_by_timespec(tracer, tracee, &regs->r10);
}

enum call_verdict mq_timed_begins(struct tracer *tracer, struct tracee *tracee,
                                  struct user_regs_struct *regs)
{
    int64_t due_ns;
    if (!absolute_due(tracer, tracee, CLOCK_REALTIME, regs->r8, &due_ns))
        return CALL_PASSES;
    return wait_until(tracer, tracee, &regs->r8, due_ns);
}

/* Its waits and time-outs happen inside the kernel; programs do without it where it is missing. */
enum call_verdict io_uring_setup_begins(struct tracer *tracer, struct tracee *tracee,
                                        struct user_regs_struct *regs)
{
    (void)tracer;
    (void)tracee;
    regs->rax = (uint64_t)-ENOSYS;
    return CALL_ANSWERED;
}
