#include "clock/tracer.h"

#include "base/duration.h"
#include "clock/child_signal.h"
#include "clock/machine_timer.h"
#include "clock/tracer_state.h"
#include "clock/vdso.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- waits --------------------------------------------------------------------------------------
 */

static bool is_same_call(const struct user_regs_struct *a, const struct user_regs_struct *b)
{
    return a->orig_rax == b->orig_rax && a->rip == b->rip && a->rsp == b->rsp && a->rdi == b->rdi &&
           a->rsi == b->rsi && a->rdx == b->rdx && a->r10 == b->r10 && a->r8 == b->r8 &&
           a->r9 == b->r9;
}

enum call_verdict tracer_wait(struct tracer *tracer, struct tracee *tracee, int64_t due_ns)
{
    if (tracee->may_resume && is_same_call(&tracee->asked, &tracee->resumed))
        due_ns = tracee->resumed_due_ns;
    tracee->may_resume = false;
    tracee->is_over = false;
    int64_t left_ns = due_ns - tracer_now(tracer);
    bool is_turn = tracee->call->number == SYS_futex && left_ns <= TRACER_TURN_NS;
    tracee->turn_since_ns = is_turn ? machine_now() : 0;
    loop_at(tracer->loop, &tracee->due, due_ns);
    tracee->due.is_at_once = false; /* a program's doing: it waits its turn (loop.h) */
    return CALL_WAITS;
}

void tracer_end_wait(void *owner, int64_t now_ns)
{
    struct tracee *tracee = owner;
    (void)now_ns;
    tracee->is_over = true;
    ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* A socket's own time-out has come: the thread is interrupted, and in its stop the result is put
 * in place of the repetition that the kernel intends. */
void tracer_end_receive(void *owner, int64_t now_ns)
{
    struct tracee *tracee = owner;
    (void)now_ns;
    tracee->is_over = true;
    ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

static void end_blocked(struct tracee *tracee)
{
    struct user_regs_struct regs;
    tracee->is_over = false;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) != 0 ||
        (int64_t)regs.orig_rax != tracee->blocked_in || (int64_t)regs.rax != -EINTR)
        return; /* something arrived at the last moment */
    bool connects = tracee->blocked_in == SYS_connect;
    regs.rax = (uint64_t)(connects ? -EINPROGRESS : -EAGAIN);
    regs.orig_rax = (uint64_t)-1;
    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
}

/* --- stops --------------------------------------------------------------------------------------
 */

/* Whether it reads clocks so often that every call between two reads matters (guest_time.c). */
static bool is_checked(const struct tracee *tracee)
{
    return tracee->clock_reads > TRACER_CHECK_AFTER_READS &&
           tracee->clock_reads <= TRACER_CREEP_AFTER_READS;
}

static void resume(struct tracee *tracee, int signal_number)
{
    if (tracee->process != NULL)
        tracee->process->tracer->suspect = tracee;
    bool follows = tracee->phase != TRACEE_RUNS || is_checked(tracee);
    ptrace(follows ? PTRACE_SYSCALL : PTRACE_CONT, tracee->tid, NULL, (long)signal_number);
}

static void on_call(struct tracer *tracer, struct tracee *tracee)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) != 0)
        return; /* killed meanwhile */
    tracer->summary.stops++;
    loop_cancel(tracer->loop, &tracee->receive);
    tracee->call = traced_call_find((int64_t)regs.orig_rax);
    tracee->asked = regs;
    uint64_t reads = tracee->clock_reads;
    enum call_verdict verdict =
        tracee->call != NULL ? tracee->call->begins(tracer, tracee, &regs) : CALL_PASSES;
    if (tracee->clock_reads == reads)
        tracee->clock_reads = 0; /* it did something else than look at a clock */
    if (verdict == CALL_ANSWERED)
        regs.orig_rax = (uint64_t)-1;
    if (verdict == CALL_FOLLOWED)
        tracee->phase = TRACEE_FOLLOWED;
    if (verdict == CALL_WAITS)
        tracee->phase = TRACEE_WAITS;
    if (verdict != CALL_PASSES)
        ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
    resume(tracee, 0);
}

static void on_call_end(struct tracer *tracer, struct tracee *tracee)
{
    struct user_regs_struct regs;
    if (tracee->phase != TRACEE_RUNS && ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
        loop_cancel(tracer->loop, &tracee->due);
        const struct user_regs_struct *asked = &tracee->asked;
        /* A call leaves its arguments as they were. */
        regs.orig_rax = asked->orig_rax;
        regs.rdi = asked->rdi;
        regs.rsi = asked->rsi;
        regs.rdx = asked->rdx;
        regs.r10 = asked->r10;
        regs.r8 = asked->r8;
        regs.r9 = asked->r9;
        tracee->call->ends(tracer, tracee, &regs);
        ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
    }
    tracee->phase = TRACEE_RUNS;
    tracee->is_over = false;
    resume(tracee, 0);
}

/* The address of the vDSO, from the auxiliary vector on the new program's stack; *entry_address is
 * where that stands. */
static uint64_t find_vdso(const struct tracee *tracee, uint64_t *entry_address)
{
    enum { POINTERS_MAX = 1000000, AUXILIARY_MAX = 64 };
    struct user_regs_struct regs;
    uint64_t count;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) != 0 ||
        !tracee_read(tracee, regs.rsp, &count, sizeof count))
        return 0;
    uint64_t address = regs.rsp + 8 * (count + 2); /* argc, argv, NULL */
    uint64_t pointer = 1;
    for (size_t i = 0; i < POINTERS_MAX && pointer != 0; i++) {
        if (!tracee_read(tracee, address, &pointer, sizeof pointer))
            return 0;
        address += 8;
    }
    for (size_t i = 0; i < AUXILIARY_MAX; i++, address += 16) {
        uint64_t entry[2];
        if (!tracee_read(tracee, address, entry, sizeof entry) || entry[0] == AT_NULL)
            return 0;
        if (entry[0] == AT_SYSINFO_EHDR) {
            *entry_address = address;
            return entry[1];
        }
    }
    return 0;
}

static void prepare_program(struct tracer *tracer, struct tracee *tracee)
{
    struct tracee_process *process = tracee->process;
    if (process->memory_fd >= 0)
        close(process->memory_fd);
    process->memory_fd = proc_open(process->pid, "mem", O_RDWR);
    process->vdso_time = 0;
    struct user_regs_struct regs;
    enum { CODE_SEGMENT_64 = 0x33 };
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0 && regs.cs != CODE_SEGMENT_64) {
        tracer_let_go(tracer, "it starts a 32-bit program");
        return;
    }
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)process->pid);
    if (stat(path, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0 && geteuid() != 0)
        tracer_let_go(tracer, "it starts a setuid program, which must not be traced");
    uint64_t entry_address = 0;
    uint64_t base = find_vdso(tracee, &entry_address);
    if (base == 0 || process->memory_fd < 0)
        return;
    struct vdso_time time = guest_time(tracer);
    process->vdso_time = vdso_replace(process->memory_fd, base, &time);
    if (process->vdso_time == 0) {
        /* Not as expected: hide it, and the program makes system calls. */
        uint64_t ignored = AT_IGNORE;
        tracee_write(tracee, entry_address, &ignored, sizeof ignored);
    }
}

/* All other threads of the process are gone, and this one has the process's number now. */
static void on_exec(struct tracer *tracer, struct tracee *tracee)
{
    unsigned long former = 0;
    ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &former);
    struct tracee *old = (pid_t)former != tracee->tid ? tracee_find(tracer, (pid_t)former) : NULL;
    if (tracee->process == NULL) {
        struct tracee_process *process = tracee_process_find(tracer, tracee->tid);
        tracee_join(tracee, process != NULL ? process : tracee_process_add(tracer, tracee->tid));
    }
    for (struct tracee *other = tracer->first, *next; other != NULL; other = next) {
        next = other->next;
        if (other == old || (other != tracee && other->process == tracee->process))
            tracee_remove(tracer, other);
    }
    loop_cancel(tracer->loop, &tracee->due);
    loop_cancel(tracer->loop, &tracee->receive);
    tracee->phase = TRACEE_RUNS;
    tracee->is_vforked = false;
    tracee->may_resume = false;
    /* The files of the thread that ran before belong to another task now. */
    proc_thread_close(&tracee->files);
    proc_thread_open(&tracee->files, tracee->tid);
    tracee->blocked_runs = PROC_THREAD_RUNS_NEVER;
    guest_timers_exec(tracee->process);
    prepare_program(tracer, tracee);
    resume(tracee, 0);
}

static void on_new(struct tracer *tracer, struct tracee *parent)
{
    unsigned long message = 0;
    ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &message);
    pid_t tid = (pid_t)message;
    struct tracee *child = tracee_find(tracer, tid);
    if (child == NULL)
        child = tracee_add(tracer, tid);
    pid_t pid = proc_thread_group(tid);
    struct tracee_process *process = tracee_process_find(tracer, pid);
    if (process == NULL) {
        process = tracee_process_add(tracer, pid);
        process->memory_fd = proc_open(pid, "mem", O_RDWR);
        process->vdso_time = parent->process->vdso_time; /* a copy of the parent's memory */
    }
    tracee_join(child, process);
    if (child->is_held) {
        child->is_held = false;
        resume(child, 0);
    }
    resume(parent, 0);
}

static void on_event(struct tracer *tracer, struct tracee *tracee, int event, int signal_number)
{
    switch (event) {
    case PTRACE_EVENT_SECCOMP:
        on_call(tracer, tracee);
        return;
    case PTRACE_EVENT_EXEC:
        on_exec(tracer, tracee);
        return;
    case PTRACE_EVENT_VFORK:
        tracee->is_vforked = true;
        on_new(tracer, tracee);
        return;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_CLONE:
        on_new(tracer, tracee);
        return;
    case PTRACE_EVENT_VFORK_DONE:
        tracee->is_vforked = false;
        break;
    case PTRACE_EVENT_STOP:
        if (signal_number == SIGSTOP || signal_number == SIGTSTP || signal_number == SIGTTIN ||
            signal_number == SIGTTOU) {
            tracee->is_stopped = true;
            call_meets_stop(tracee);
            ptrace(PTRACE_LISTEN, tracee->tid, NULL, NULL); /* stopped, as without a tracer */
            return;
        }
        break;
    default:
        break;
    }
    resume(tracee, 0);
}

/* The start or the end of some call of a thread that reads clocks in a row. */
static void on_checked_call(struct tracee *tracee)
{
    struct user_regs_struct regs;
    bool is_start = false;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0)
        is_start = (int64_t)regs.rax == -ENOSYS;
    bool is_clock = regs.orig_rax == SYS_clock_gettime || regs.orig_rax == SYS_gettimeofday ||
                    regs.orig_rax == SYS_time || regs.orig_rax == SYS_sched_yield;
    if (is_start && !is_clock)
        tracee->clock_reads = 0;
    resume(tracee, 0);
}

static void on_status(struct tracer *tracer, struct tracee *tracee, int status)
{
    if (!WIFSTOPPED(status)) {
        tracee_remove(tracer, tracee);
        return;
    }
    int signal_number = WSTOPSIG(status);
    int event = status >> 16;
    tracee->is_stopped = false;
    if (tracee->process == NULL && event == PTRACE_EVENT_STOP && tracee->tid != tracer->client) {
        tracee->is_held = true; /* until its parent's stop has been seen */
        return;
    }
    if (event == PTRACE_EVENT_STOP && tracee->is_over && tracee->phase == TRACEE_RUNS)
        end_blocked(tracee);
    if (signal_number == (SIGTRAP | 0x80)) {
        if (tracee->phase == TRACEE_RUNS)
            on_checked_call(tracee);
        else
            on_call_end(tracer, tracee);
    } else if (event != 0) {
        on_event(tracer, tracee, event, signal_number);
    } else {
        if (signal_number == SIGALRM)
            guest_timers_sign(tracee);
        call_meets_signal(tracee, signal_number);
        resume(tracee, signal_number);
    }
}

/* Takes one report. The client's own exit is left, so that its number stays reserved. */
static bool take_report(struct tracer *tracer, pid_t tid)
{
    int status;
    pid_t got = waitpid(tid, &status, __WALL | __WNOTHREAD | WNOHANG);
    if (got <= 0)
        return false;
    struct tracee *tracee = tracee_find(tracer, got);
    if (tracee == NULL && WIFSTOPPED(status))
        tracee = tracee_add(tracer, got);
    if (tracee != NULL)
        on_status(tracer, tracee, status);
    return true;
}

static bool take_any_report(struct tracer *tracer)
{
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info,
               WEXITED | WSTOPPED | WNOHANG | WNOWAIT | (int)__WALL | (int)__WNOTHREAD) != 0 ||
        info.si_pid == 0)
        return false;
    bool has_ended =
        info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
    if (info.si_pid == tracer->client && has_ended) {
        tracer->client_is_zombie = true;
        struct tracee *tracee = tracee_find(tracer, tracer->client);
        if (tracee != NULL)
            tracee_remove(tracer, tracee);
        return true;
    }
    return take_report(tracer, info.si_pid);
}

/* With the client's zombie in the way, each thread that is left is asked for. */
static bool take_each_report(struct tracer *tracer)
{
    bool taken = false;
    for (struct tracee *tracee = tracer->first, *next; tracee != NULL; tracee = next) {
        next = tracee->next;
        pid_t next_tid = next != NULL ? next->tid : 0;
        errno = 0;
        if (take_report(tracer, tracee->tid)) {
            taken = true;
        } else if (errno == ECHILD) {
            tracee_remove(tracer, tracee); /* reaped by whoever killed it */
            taken = true;
        }
        if (next != NULL && tracee_find(tracer, next_tid) != next)
            break; /* it went with the other */
    }
    return taken;
}

static void take_reports(void *owner, uint32_t events)
{
    struct tracer *tracer = owner;
    uint64_t count;
    (void)events;
    ssize_t got = read(tracer->child_watch.fd, &count, sizeof count);
    (void)got;
    while (tracer->client_is_zombie ? take_each_report(tracer) : take_any_report(tracer))
        continue;
}

/* --- start and end ------------------------------------------------------------------------------
 */

bool tracer_enter(const struct tracer *tracer)
{
    struct sock_fprog program = {.len = (unsigned short)tracer->filter_length};
    char go;
    /* The kernel only reads it. */
    const struct sock_filter *steps = tracer->filter;
    memcpy(&program.filter, &steps, sizeof(void *));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return false;
    close(tracer->enter_pipe[1]); /* the child's copy: so that the read ends when there is none */
    ssize_t got;
    while ((got = read(tracer->enter_pipe[0], &go, 1)) < 0 && errno == EINTR)
        continue;
    errno = EPERM;
    return got == 1;
}

bool tracer_attach(struct tracer *tracer, pid_t pid, struct error *error)
{
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC |
                   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    char verdict = 1;
    if (ptrace(PTRACE_SEIZE, pid, NULL, options) != 0) {
        error_set_run(error, "ptrace", "%s", strerror(errno));
        close(tracer->enter_pipe[1]);
        tracer->enter_pipe[1] = -1;
        return false;
    }
    tracer->client = pid;
    tracer->last_event_ns = machine_now();
    struct tracee *tracee = tracee_add(tracer, pid);
    tracee_join(tracee, tracee_process_add(tracer, pid));
    ssize_t written = write(tracer->enter_pipe[1], &verdict, 1);
    (void)written; /* the child holds the other end */
    return true;
}

struct tracer *tracer_new(struct loop *loop, const struct tracer_options *options,
                          struct error *error)
{
    struct tracer *tracer = calloc(1, sizeof *tracer);
    if (tracer == NULL) {
        error_set_run(error, "", "out of memory");
        return NULL;
    }
    tracer->loop = loop;
    tracer->options = *options;
    tracer->filter_length = traced_call_filter(tracer->filter);
    tracer->softnet_fd = open("/proc/net/softnet_stat", O_RDONLY | O_CLOEXEC);
    tracer->child_watch = (struct watch){
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = take_reports, .owner = tracer};
    tracer->guests = (struct loop_guests){.owner = tracer,
                                          .all_wait = quiescence_all_wait,
                                          .still_wait = quiescence_still_waits,
                                          .jumps = guest_time_jumps};
    if (pipe2(tracer->enter_pipe, O_CLOEXEC) != 0 || tracer->child_watch.fd < 0 ||
        !child_signal_register(tracer->child_watch.fd)) {
        error_set_run(error, "tracer", "%s; raise `ulimit -n`", strerror(errno));
        free(tracer);
        return NULL;
    }
    if (!loop_watch(loop, &tracer->child_watch, EPOLLIN, error)) {
        free(tracer);
        return NULL;
    }
    loop_set_guests(loop, &tracer->guests);
    return tracer;
}

void tracer_free(struct tracer *tracer)
{
    if (tracer == NULL)
        return;
    if (tracer->loop->guests == &tracer->guests)
        loop_set_guests(tracer->loop, NULL);
    while (tracer->first != NULL) {
        if (tracer->first->tid != tracer->client)
            kill(tracer->first->tid, SIGKILL);
        tracee_remove(tracer, tracer->first);
    }
    socket_timeouts_free(&tracer->sockets);
    descriptor_timers_free(tracer);
    loop_unwatch(tracer->loop, &tracer->child_watch);
    child_signal_unregister(tracer->child_watch.fd);
    close(tracer->child_watch.fd);
    if (tracer->softnet_fd >= 0)
        close(tracer->softnet_fd);
    close(tracer->enter_pipe[0]);
    if (tracer->enter_pipe[1] >= 0)
        close(tracer->enter_pipe[1]);
    free(tracer);
}

struct tracer_summary tracer_summary(const struct tracer *tracer)
{
    return tracer->summary;
}
