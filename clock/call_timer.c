/* Timers that a program sets and that come to it as a readable descriptor or a signal. The kernel's
 * own timer stays disarmed; a deadline on the loop takes its place, and when it comes the tracer
 * does what the kernel would have done. */
#include "clock/traced_call.h"

#include "base/duration.h"

#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

enum timer_kind { TIMER_DESCRIPTOR, TIMER_INTERVAL, TIMER_POSIX };

struct guest_timer {
    struct tracer *tracer;
    struct tracee_process *process; /* NULL: a descriptor, which several may have */
    struct guest_timer *next;
    enum timer_kind kind;
    struct deadline due;
    int64_t interval_ns;
    int64_t origin_ns; /* of the clock that it runs on */
    int descriptor;    /* ours, for the program's timerfd; -1: none */
    uint64_t ticks;    /* that have not been read */
    int posix_id;
    struct sigevent event; /* of timer_create */
    int overruns;          /* expiries while its signal was pending */
    bool is_signed;        /* a SIGALRM of ours is on its way */
};

/* --- the list of a process ----------------------------------------------------------------------
 */

static void fire(void *owner, int64_t now_ns);

static struct guest_timer **list_of(struct tracer *tracer, struct tracee_process *process)
{
    return process != NULL ? &process->timers : tracer_descriptor_timers(tracer);
}

static struct guest_timer *add_timer(struct tracer *tracer, struct tracee_process *process,
                                     enum timer_kind kind)
{
    struct guest_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    struct guest_timer **list = list_of(tracer, process);
    *timer = (struct guest_timer){
        .tracer = tracer, .process = process, .next = *list, .kind = kind, .descriptor = -1};
    timer->due = (struct deadline){.fire = fire, .owner = timer};
    *list = timer;
    return timer;
}

static void remove_timer(struct guest_timer *timer)
{
    struct guest_timer **link = list_of(timer->tracer, timer->process);
    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
    loop_cancel(tracer_loop(timer->tracer), &timer->due);
    if (timer->descriptor >= 0)
        close(timer->descriptor);
    free(timer);
}

void guest_timers_free(struct tracee_process *process)
{
    while (process->timers != NULL)
        remove_timer(process->timers);
}

void descriptor_timers_free(struct tracer *tracer)
{
    while (*tracer_descriptor_timers(tracer) != NULL)
        remove_timer(*tracer_descriptor_timers(tracer));
}

static bool is_one_set(const struct guest_timer *timer)
{
    while (timer != NULL && timer->due.position == 0)
        timer = timer->next;
    return timer != NULL;
}

bool guest_timers_are_set(struct tracer *tracer)
{
    const struct tracee_process *process = tracer_processes(tracer);
    while (process != NULL && !is_one_set(process->timers))
        process = process->next;
    return process != NULL || is_one_set(*tracer_descriptor_timers(tracer));
}

bool guest_timer_is(const struct deadline *deadline)
{
    return deadline->fire == fire;
}

void guest_timers_exec(struct tracee_process *process)
{
    for (struct guest_timer *timer = process->timers, *next; timer != NULL; timer = next) {
        next = timer->next;
        if (timer->kind == TIMER_POSIX)
            remove_timer(timer);
    }
}

/* --- what happens when one is due ---------------------------------------------------------------
 */

static bool is_same_file(const struct guest_timer *timer, pid_t pid, int number)
{
    return syscall(SYS_kcmp, pid, getpid(), KCMP_FILE, number, timer->descriptor) == 0;
}

static bool has_descriptor(const struct guest_timer *timer, const struct tracee_process *process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)process->pid);
    DIR *directory = opendir(path);
    bool has = false;
    for (struct dirent *entry; !has && directory != NULL && (entry = readdir(directory)) != NULL;)
        has = entry->d_name[0] != '.' &&
              is_same_file(timer, process->pid, (int)strtol(entry->d_name, NULL, 10));
    if (directory != NULL)
        closedir(directory);
    return has;
}

/* Whether some program still has the descriptor: a periodic timer that all have closed would move
 * the clock for nobody. */
static bool is_still_open(const struct guest_timer *timer)
{
    const struct tracee_process *process = tracer_processes(timer->tracer);
    while (process != NULL && !has_descriptor(timer, process))
        process = process->next;
    return process != NULL;
}

static void make_readable(struct guest_timer *timer, uint64_t ticks)
{
    struct pollfd unread = {.fd = timer->descriptor, .events = POLLIN};
    timer->ticks = poll(&unread, 1, 0) == 1 ? timer->ticks + ticks : ticks;
    if (ioctl(timer->descriptor, TFD_IOC_SET_TICKS, &timer->ticks) == 0)
        return;
    /* A kernel without checkpoint and restore: the shortest real timer does it, for one tick. */
    struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    timerfd_settime(timer->descriptor, 0, &at_once, NULL);
    poll(&unread, 1, -1);
}

/* Whether the signal of its last expiry is still to be taken. */
static bool is_pending(const struct guest_timer *timer)
{
    bool to_thread = timer->event.sigev_notify == SIGEV_THREAD_ID;
    const struct tracee *tracee =
        tracee_find(timer->tracer, to_thread ? timer->event._sigev_un._tid : timer->process->pid);
    if (tracee == NULL || timer->event.sigev_notify == SIGEV_NONE)
        return false;
    uint64_t pending = proc_thread_number(tracee->tid, to_thread ? "\nSigPnd:" : "\nShdPnd:", 16);
    return (pending >> (timer->event.sigev_signo - 1) & 1) != 0;
}

static void send_signal(struct guest_timer *timer)
{
    pid_t pid = timer->process->pid;
    if (timer->kind == TIMER_INTERVAL) {
        timer->is_signed = true;
        kill(pid, SIGALRM);
        return;
    }
    if (is_pending(timer)) {
        timer->overruns++; /* one signal stands for all */
        return;
    }
    timer->overruns = 0;
    siginfo_t info = {0};
    info.si_signo = timer->event.sigev_signo;
    info.si_code = SI_TIMER;
    info.si_timerid = timer->posix_id;
    info.si_value = timer->event.sigev_value;
    if (timer->event.sigev_notify == SIGEV_THREAD_ID)
        syscall(SYS_rt_tgsigqueueinfo, pid, timer->event._sigev_un._tid, info.si_signo, &info);
    else if (timer->event.sigev_notify == SIGEV_SIGNAL)
        syscall(SYS_rt_sigqueueinfo, pid, info.si_signo, &info);
}

static void set_deadline(struct guest_timer *timer, int64_t at_ns)
{
    loop_at(tracer_loop(timer->tracer), &timer->due, at_ns);
    timer->due.is_at_once = false; /* a program's doing: it waits its turn (loop.h) */
}

/* The timer, due at `at_ns`, expires; once for each interval that has passed since. */
static void expire(struct guest_timer *timer, int64_t at_ns, int64_t now_ns)
{
    int64_t ticks = 1;
    if (timer->interval_ns > 0) {
        ticks += (now_ns - at_ns) / timer->interval_ns;
        set_deadline(timer, at_ns + ticks * timer->interval_ns);
    }
    if (timer->kind == TIMER_DESCRIPTOR)
        make_readable(timer, (uint64_t)ticks);
    else
        send_signal(timer);
}

/* A descriptor of ours would keep one that the program closes readable in its epoll, so it is held
 * only while it must be. */
static void forget_disarmed(struct guest_timer *timer)
{
    if (timer->kind == TIMER_DESCRIPTOR && timer->due.position == 0)
        remove_timer(timer);
}

static void fire(void *owner, int64_t now_ns)
{
    struct guest_timer *timer = owner;
    if (timer->kind == TIMER_DESCRIPTOR && !is_still_open(timer)) {
        remove_timer(timer);
        return;
    }
    expire(timer, timer->due.at_ns, now_ns);
    forget_disarmed(timer);
}

void guest_timers_sign(struct tracee *tracee)
{
    for (struct guest_timer *timer = tracee->process->timers; timer != NULL; timer = timer->next) {
        siginfo_t info;
        if (!timer->is_signed || ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, &info) != 0 ||
            info.si_signo != SIGALRM || info.si_pid != getpid())
            continue;
        timer->is_signed = false;
        siginfo_t as_kernel = {0};
        as_kernel.si_signo = SIGALRM;
        as_kernel.si_code = SI_KERNEL;
        ptrace(PTRACE_SETSIGINFO, tracee->tid, NULL, &as_kernel);
        return;
    }
}

/* --- setting and telling ------------------------------------------------------------------------
 */

static int64_t left_of(const struct guest_timer *timer)
{
    if (timer == NULL || timer->due.position == 0)
        return 0;
    int64_t left_ns = timer->due.at_ns - tracer_now(timer->tracer);
    return left_ns > 0 ? left_ns : 1; /* 0 would say that it is disarmed */
}

static int64_t interval_of(const struct guest_timer *timer)
{
    return timer != NULL ? timer->interval_ns : 0;
}

static bool read_setting(const struct tracee *tracee, uint64_t address, bool is_timeval,
                         int64_t *interval_ns, int64_t *value_ns)
{
    bool (*read)(const struct tracee *, uint64_t, int64_t *) =
        is_timeval ? call_read_timeval : call_read_timespec;
    return read(tracee, address, interval_ns) && read(tracee, address + 16, value_ns);
}

static bool write_setting(const struct tracee *tracee, uint64_t address, bool is_timeval,
                          const struct guest_timer *timer)
{
    bool (*write)(const struct tracee *, uint64_t, int64_t) =
        is_timeval ? call_write_timeval : call_write_timespec;
    int64_t left_ns = left_of(timer);
    if (is_timeval && left_ns > 0 && left_ns < NS_PER_US)
        left_ns = NS_PER_US; /* 0 would say that it is disarmed */
    return address == 0 ||
           (write(tracee, address, interval_of(timer)) && write(tracee, address + 16, left_ns));
}

static void arm(struct guest_timer *timer, int64_t value_ns, int64_t interval_ns, bool is_absolute)
{
    timer->interval_ns = interval_ns;
    loop_cancel(tracer_loop(timer->tracer), &timer->due);
    if (value_ns == 0)
        return;
    int64_t now_ns = tracer_now(timer->tracer);
    int64_t at_ns = is_absolute ? value_ns - timer->origin_ns : now_ns + value_ns;
    if (at_ns > now_ns)
        set_deadline(timer, at_ns);
    else
        expire(timer, at_ns, now_ns);
}

static enum call_verdict answer(struct user_regs_struct *regs, bool succeeded)
{
    regs->rax = succeeded ? 0 : (uint64_t)-EFAULT;
    return CALL_ANSWERED;
}

/* --- timerfd ------------------------------------------------------------------------------------
 */

/* The timer behind the program's descriptor. */
static struct guest_timer *find_descriptor(struct tracer *tracer,
                                           const struct tracee_process *process, int number)
{
    struct guest_timer *timer = *tracer_descriptor_timers(tracer);
    while (timer != NULL && !is_same_file(timer, process->pid, number))
        timer = timer->next;
    return timer;
}

static int take_descriptor(pid_t pid, int number)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int descriptor = (int)syscall(SYS_pidfd_getfd, pid_fd, number, 0);
    close(pid_fd);
    return descriptor;
}

/* Which clock a timerfd runs on: /proc has it. */
static int clock_of_descriptor(int descriptor)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", descriptor);
    FILE *stream = fopen(path, "re");
    int clock_id = -1;
    static const char label[] = "clockid:";
    char line[128];
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, label, sizeof label - 1) == 0)
            clock_id = (int)strtol(line + sizeof label - 1, NULL, 10);
    }
    if (stream != NULL)
        fclose(stream);
    return clock_id;
}

static struct guest_timer *have_descriptor(struct tracer *tracer, struct tracee_process *process,
                                           int number)
{
    struct guest_timer *timer = find_descriptor(tracer, process, number);
    if (timer != NULL)
        return timer;
    int descriptor = take_descriptor(process->pid, number);
    if (descriptor < 0)
        return NULL;
    int64_t origin_ns = 0;
    bool is_timer = tracer_clock_origin(tracer, clock_of_descriptor(descriptor), &origin_ns);
    timer = is_timer ? add_timer(tracer, NULL, TIMER_DESCRIPTOR) : NULL;
    if (timer == NULL) {
        close(descriptor);
        return NULL;
    }
    timer->descriptor = descriptor;
    timer->origin_ns = origin_ns;
    return timer;
}

enum call_verdict timerfd_settime_begins(struct tracer *tracer, struct tracee *tracee,
                                         struct user_regs_struct *regs)
{
    int64_t interval_ns;
    int64_t value_ns;
    static const uint32_t flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    if (((uint32_t)regs->rsi & ~flags) != 0 ||
        !read_setting(tracee, regs->rdx, false, &interval_ns, &value_ns))
        return CALL_PASSES;
    struct guest_timer *timer = have_descriptor(tracer, tracee->process, (int)regs->rdi);
    if (timer == NULL)
        return CALL_PASSES; /* no timerfd: the kernel says what is wrong */
    if (!write_setting(tracee, regs->r10, false, timer))
        return answer(regs, false);
    static const struct itimerspec disarmed;
    timerfd_settime(timer->descriptor, 0, &disarmed, NULL); /* forgets what was not read */
    arm(timer, value_ns, interval_ns, (regs->rsi & TFD_TIMER_ABSTIME) != 0);
    forget_disarmed(timer);
    return answer(regs, true);
}

enum call_verdict timerfd_gettime_begins(struct tracer *tracer, struct tracee *tracee,
                                         struct user_regs_struct *regs)
{
    const struct guest_timer *timer = find_descriptor(tracer, tracee->process, (int)regs->rdi);
    if (timer == NULL)
        return CALL_PASSES;
    return answer(regs, write_setting(tracee, regs->rsi, false, timer));
}

/* --- setitimer and alarm ------------------------------------------------------------------------
 */

static struct guest_timer *find_interval(const struct tracee_process *process)
{
    struct guest_timer *timer = process->timers;
    while (timer != NULL && timer->kind != TIMER_INTERVAL)
        timer = timer->next;
    return timer;
}

static struct guest_timer *have_interval(struct tracee_process *process)
{
    struct guest_timer *timer = find_interval(process);
    return timer != NULL ? timer : add_timer(process->tracer, process, TIMER_INTERVAL);
}

enum call_verdict setitimer_begins(struct tracer *tracer, struct tracee *tracee,
                                   struct user_regs_struct *regs)
{
    (void)tracer;
    int64_t interval_ns = 0;
    int64_t value_ns = 0;
    bool is_set = regs->rsi != 0; /* NULL disarms, an old oddity */
    if (regs->rdi != ITIMER_REAL ||
        (is_set && !read_setting(tracee, regs->rsi, true, &interval_ns, &value_ns)))
        return CALL_PASSES;
    struct guest_timer *timer = have_interval(tracee->process);
    if (timer == NULL || !write_setting(tracee, regs->rdx, true, timer))
        return answer(regs, false);
    arm(timer, value_ns, interval_ns, false);
    return answer(regs, true);
}

enum call_verdict getitimer_begins(struct tracer *tracer, struct tracee *tracee,
                                   struct user_regs_struct *regs)
{
    (void)tracer;
    if (regs->rdi != ITIMER_REAL)
        return CALL_PASSES;
    return answer(regs, write_setting(tracee, regs->rsi, true, find_interval(tracee->process)));
}

enum call_verdict alarm_begins(struct tracer *tracer, struct tracee *tracee,
                               struct user_regs_struct *regs)
{
    (void)tracer;
    struct guest_timer *timer = have_interval(tracee->process);
    if (timer == NULL)
        return CALL_PASSES;
    int64_t left_ns = left_of(timer);
    arm(timer, (int64_t)(uint32_t)regs->rdi * NS_PER_S, 0, false);
    regs->rax = (uint64_t)((left_ns + NS_PER_S / 2) / NS_PER_S);
    if (regs->rax == 0 && left_ns > 0)
        regs->rax = 1;
    return CALL_ANSWERED;
}

/* --- timer_create -------------------------------------------------------------------------------
 */

static struct guest_timer *find_posix(const struct tracee_process *process, int id)
{
    struct guest_timer *timer = process->timers;
    while (timer != NULL && (timer->kind != TIMER_POSIX || timer->posix_id != id))
        timer = timer->next;
    return timer;
}

enum call_verdict timer_create_begins(struct tracer *tracer, struct tracee *tracee,
                                      struct user_regs_struct *regs)
{
    (void)tracee;
    int64_t origin_ns;
    return tracer_clock_origin(tracer, (int)regs->rdi, &origin_ns) ? CALL_FOLLOWED : CALL_PASSES;
}

void timer_create_ends(struct tracer *tracer, struct tracee *tracee, struct user_regs_struct *regs)
{
    int id;
    const struct user_regs_struct *asked = &tracee->asked;
    if (regs->rax != 0 || !tracee_read(tracee, asked->rdx, &id, sizeof id))
        return;
    struct guest_timer *timer = add_timer(tracer, tracee->process, TIMER_POSIX);
    if (timer == NULL)
        return;
    timer->posix_id = id;
    tracer_clock_origin(tracer, (int)asked->rdi, &timer->origin_ns);
    timer->event = (struct sigevent){
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = id};
    if (asked->rsi != 0)
        tracee_read(tracee, asked->rsi, &timer->event, sizeof timer->event);
}

enum call_verdict timer_settime_begins(struct tracer *tracer, struct tracee *tracee,
                                       struct user_regs_struct *regs)
{
    (void)tracer;
    int64_t interval_ns;
    int64_t value_ns;
    struct guest_timer *timer = find_posix(tracee->process, (int)regs->rdi);
    if (timer == NULL || !read_setting(tracee, regs->rdx, false, &interval_ns, &value_ns))
        return CALL_PASSES;
    if (!write_setting(tracee, regs->r10, false, timer))
        return answer(regs, false);
    arm(timer, value_ns, interval_ns, (regs->rsi & TIMER_ABSTIME) != 0);
    return answer(regs, true);
}

enum call_verdict timer_gettime_begins(struct tracer *tracer, struct tracee *tracee,
                                       struct user_regs_struct *regs)
{
    (void)tracer;
    const struct guest_timer *timer = find_posix(tracee->process, (int)regs->rdi);
    if (timer == NULL)
        return CALL_PASSES;
    return answer(regs, write_setting(tracee, regs->rsi, false, timer));
}

enum call_verdict timer_getoverrun_begins(struct tracer *tracer, struct tracee *tracee,
                                          struct user_regs_struct *regs)
{
    (void)tracer;
    const struct guest_timer *timer = find_posix(tracee->process, (int)regs->rdi);
    if (timer == NULL)
        return CALL_PASSES;
    regs->rax = (unsigned)timer->overruns;
    return CALL_ANSWERED;
}

enum call_verdict timer_delete_begins(struct tracer *tracer, struct tracee *tracee,
                                      struct user_regs_struct *regs)
{
    (void)tracer;
    struct guest_timer *timer = find_posix(tracee->process, (int)regs->rdi);
    if (timer != NULL)
        remove_timer(timer);
    return CALL_PASSES;
}
