/* Waits with a time-out. The time-out is taken out of the call, so that the kernel waits for ever,
 * and becomes a deadline on the loop. When it comes, the tracer interrupts the thread, and what the
 * kernel says of the interruption is replaced by what it says of a time-out. */
#include "clock/traced_call.h"

#include "base/duration.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

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
    size_t bytes = (size_t)((asked->rdi & 0xffff) + 63) / 64 * 8;
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

/* A signal came. If it has a handler, the call ends with EINTR; if not, the kernel repeats it, and
 * it must then keep its deadline (tracer_wait() sees to that). Without a time-out of its own, the
 * kernel would treat some calls otherwise than with one: RESTARTNOHAND says just that to it. */
static void let_signal_in(struct tracee *tracee, struct user_regs_struct *regs)
{
    if ((int64_t)regs->rax == -EINTR)
        return; /* epoll_wait and others are never repeated */
    regs->rax = (uint64_t)-KERNEL_RESTARTNOHAND;
    tracee->may_resume = true;
    tracee->resumed = tracee->asked;
    tracee->resumed_due_ns = tracee->due.at_ns;
}

void wait_ends(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs)
{
    if (is_interrupted((int64_t)regs->rax) && tracee->is_over)
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

/* An absolute time-out on `clock_id` that is read from `address`. One that has passed becomes due
 * at once: the kernel still compares the value first, as it does then. */
static bool absolute_due(const struct tracer *tracer, const struct tracee *tracee, int clock_id,
                         uint64_t address, int64_t *due_ns)
{
    int64_t origin_ns;
    int64_t ns;
    if (!tracer_clock_origin(tracer, clock_id, &origin_ns) ||
        !call_read_timespec(tracee, address, &ns))
        return false;
    *due_ns = ns - origin_ns > tracer_now(tracer) ? ns - origin_ns : tracer_now(tracer);
    return true;
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
    regs->r10 = 0;
    regs->rsi &= ~(uint64_t)FUTEX_CLOCK_REALTIME;
    return tracer_wait(tracer, tracee, due_ns);
}

/* futex_wait(address, value, mask, flags, timeout, clock) */
enum call_verdict futex_wait_begins(struct tracer *tracer, struct tracee *tracee,
                                    struct user_regs_struct *regs)
{
    int64_t due_ns;
    if (!absolute_due(tracer, tracee, (int)regs->r9, regs->r8, &due_ns))
        return CALL_PASSES;
    regs->r8 = 0;
    return tracer_wait(tracer, tracee, due_ns);
}

/* futex_waitv(waiters, count, flags, timeout, clock) */
enum call_verdict futex_waitv_begins(struct tracer *tracer, struct tracee *tracee,
                                     struct user_regs_struct *regs)
{
    int64_t due_ns;
    if (!absolute_due(tracer, tracee, (int)regs->r8, regs->r10, &due_ns))
        return CALL_PASSES;
    regs->r10 = 0;
    return tracer_wait(tracer, tracee, due_ns);
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
    regs->r8 = 0;
    return tracer_wait(tracer, tracee, due_ns);
}

/* A handler has run, so the wait that its signal interrupted has ended with EINTR: what the program
 * does next is a wait of its own. */
enum call_verdict rt_sigreturn_begins(struct tracer *tracer, struct tracee *tracee,
                                      struct user_regs_struct *regs)
{
    (void)tracer;
    (void)regs;
    tracee->may_resume = false;
    return CALL_PASSES;
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
