/* Reading clocks by system call: programs without a vDSO, and those that are watched for a loop
 * that waits by looking at a clock. */
#include "clock/traced_call.h"

#include "base/duration.h"

#include <time.h>
#include <unistd.h>

enum call_verdict clock_gettime_begins(struct tracer *tracer, struct tracee *tracee,
                                       struct user_regs_struct *regs)
{
    int64_t origin_ns;
    if (!tracer_clock_origin(tracer, (int)regs->rdi, &origin_ns))
        return CALL_PASSES;
    tracer_note_clock_read(tracer, tracee);
    if (!call_write_timespec(tracee, regs->rsi, origin_ns + tracer_now(tracer)))
        return CALL_PASSES; /* the kernel says EFAULT */
    regs->rax = 0;
    return CALL_ANSWERED;
}

enum call_verdict gettimeofday_begins(struct tracer *tracer, struct tracee *tracee,
                                      struct user_regs_struct *regs)
{
    int64_t origin_ns;
    tracer_clock_origin(tracer, CLOCK_REALTIME, &origin_ns);
    tracer_note_clock_read(tracer, tracee);
    static const int time_zone[2] = {0, 0};
    if ((regs->rdi != 0 &&
         !call_write_timeval(tracee, regs->rdi, origin_ns + tracer_now(tracer))) ||
        (regs->rsi != 0 && !tracee_write(tracee, regs->rsi, time_zone, sizeof time_zone)))
        return CALL_PASSES;
    regs->rax = 0;
    return CALL_ANSWERED;
}

enum call_verdict time_begins(struct tracer *tracer, struct tracee *tracee,
                              struct user_regs_struct *regs)
{
    int64_t origin_ns;
    tracer_clock_origin(tracer, CLOCK_REALTIME, &origin_ns);
    tracer_note_clock_read(tracer, tracee);
    int64_t seconds = (origin_ns + tracer_now(tracer)) / NS_PER_S;
    if (regs->rdi != 0 && !tracee_write(tracee, regs->rdi, &seconds, sizeof seconds))
        return CALL_PASSES;
    regs->rax = (uint64_t)seconds;
    return CALL_ANSWERED;
}

/* The processor times that it writes are the kernel's; what it returns is the time since the start
 * of the machine in ticks. */
enum call_verdict times_begins(struct tracer *tracer, struct tracee *tracee,
                               struct user_regs_struct *regs)
{
    (void)regs;
    tracer_note_clock_read(tracer, tracee);
    return CALL_FOLLOWED;
}

void times_ends(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs)
{
    (void)tracee;
    int64_t origin_ns;
    tracer_clock_origin(tracer, CLOCK_MONOTONIC, &origin_ns);
    if ((int64_t)regs->rax >= 0)
        regs->rax =
            (uint64_t)((origin_ns + tracer_now(tracer)) / (NS_PER_S / sysconf(_SC_CLK_TCK)));
}
