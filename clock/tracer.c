#include "clock/tracer.h"

#include "base/duration.h"
#include "clock/machine_timer.h"
#include "clock/proc_thread.h"
#include "clock/traced_call.h"
#include "clock/vdso.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
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

/* A round start for the monotonic clocks: with the machine's up-time, rounding inside programs (a
 * float in a millisecond timer) made one delay in ten another one. */
#define MONOTONIC_START_NS (1000 * NS_PER_S)

/* A program that has neither slept nor made a traced call for this long may be waiting by looking
 * at a clock: from then on its clock reads are traced, until everybody waits again. */
#define WATCH_CLOCK_AFTER_NS (200 * NS_PER_MS)

enum {
    CREEP_AFTER_READS = 5000, /* traced in a row by one thread: it does nothing but look */
    PORTS_MAX = 64,           /* that clients listen on */
};
#define CREEP_NS (100 * NS_PER_US) /* how far time creeps at each further read */

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
    uint16_t ports[PORTS_MAX];
    size_t port_count;

    pid_t client;          /* the one that was attached; its zombie is left to its parent */
    bool client_is_zombie; /* so that its exit would be reported for ever */
    bool clock_is_watched; /* clock reads are traced */
    bool is_let_go;
    int softnet_fd;
    int64_t last_event_ns; /* machine time of the last stop or jump */
    struct tracer_summary summary;
};

/* --- SIGCHLD for all tracers of the program -----------------------------------------------------
 */

enum { TRACERS_MAX = 256 };

/* Handlers reach nothing but globals. Slots hold an eventfd plus one, 0 where free. */
static atomic_int child_fds[TRACERS_MAX];
static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static void on_child(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    uint64_t one = 1;
    for (size_t i = 0; i < TRACERS_MAX; i++) {
        int fd = atomic_load(&child_fds[i]) - 1;
        if (fd >= 0 && write(fd, &one, sizeof one) < 0)
            continue; /* it is readable already */
    }
    errno = saved;
}

static void set_handler(void)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
}

static bool register_child_fd(int fd)
{
    pthread_once(&handler_once, set_handler);
    for (size_t i = 0; i < TRACERS_MAX; i++) {
        int free_slot = 0;
        if (atomic_compare_exchange_strong(&child_fds[i], &free_slot, fd + 1))
            return true;
    }
    return false;
}

static void unregister_child_fd(int fd)
{
    for (size_t i = 0; i < TRACERS_MAX; i++) {
        int slot = fd + 1;
        if (atomic_compare_exchange_strong(&child_fds[i], &slot, 0))
            return;
    }
}

/* --- threads and processes ----------------------------------------------------------------------
 */

static void end_wait(void *owner, int64_t now_ns);
static void end_receive(void *owner, int64_t now_ns);

static struct tracee *find_tracee(struct tracer *tracer, pid_t tid)
{
    struct tracee *tracee = NULL;
    HASH_FIND_INT(tracer->tracees, &tid, tracee);
    return tracee;
}

static struct tracee *add_tracee(struct tracer *tracer, pid_t tid)
{
    struct tracee *tracee = calloc(1, sizeof *tracee);
    if (tracee == NULL) {
        fputs("toomany: out of memory for a client's threads\n", stderr);
        abort();
    }
    tracee->tid = tid;
    tracee->due = (struct deadline){.fire = end_wait, .owner = tracee};
    tracee->receive = (struct deadline){.fire = end_receive, .owner = tracee};
    proc_thread_open(&tracee->files, tid);
    HASH_ADD_INT(tracer->tracees, tid, tracee);
    tracee->previous = tracer->last;
    if (tracer->last != NULL)
        tracer->last->next = tracee;
    else
        tracer->first = tracee;
    tracer->last = tracee;
    return tracee;
}

static struct tracee_process *find_process(struct tracer *tracer, pid_t pid)
{
    struct tracee_process *process = tracer->processes;
    while (process != NULL && process->pid != pid)
        process = process->next;
    return process;
}

static struct tracee_process *add_process(struct tracer *tracer, pid_t pid)
{
    struct tracee_process *process = calloc(1, sizeof *process);
    if (process == NULL) {
        fputs("toomany: out of memory for a client's processes\n", stderr);
        abort();
    }
    *process = (struct tracee_process){.tracer = tracer, .pid = pid, .memory_fd = -1};
    process->next = tracer->processes;
    tracer->processes = process;
    return process;
}

static void leave_process(struct tracer *tracer, struct tracee_process *process)
{
    if (process == NULL || --process->thread_count > 0)
        return;
    struct tracee_process **link = &tracer->processes;
    while (*link != process)
        link = &(*link)->next;
    *link = process->next;
    guest_timers_free(process);
    if (process->memory_fd >= 0)
        close(process->memory_fd);
    free(process);
}

static void join_process(struct tracee *tracee, struct tracee_process *process)
{
    tracee->process = process;
    process->thread_count++;
}

static void remove_tracee(struct tracer *tracer, struct tracee *tracee)
{
    loop_cancel(tracer->loop, &tracee->due);
    loop_cancel(tracer->loop, &tracee->receive);
    HASH_DEL(tracer->tracees, tracee);
    *(tracee->previous != NULL ? &tracee->previous->next : &tracer->first) = tracee->next;
    *(tracee->next != NULL ? &tracee->next->previous : &tracer->last) = tracee->previous;
    if (tracer->suspect == tracee)
        tracer->suspect = NULL;
    proc_thread_close(&tracee->files);
    leave_process(tracer, tracee->process);
    free(tracee);
}

/* --- time ---------------------------------------------------------------------------------------
 */

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

static struct vdso_time time_for_guests(const struct tracer *tracer)
{
    int64_t now_ns = tracer_now(tracer);
    return (struct vdso_time){
        .monotonic_ns = MONOTONIC_START_NS + now_ns,
        .realtime_ns = tracer->loop->clock.wall_start_ns + now_ns,
        .traced = tracer->clock_is_watched || tracer->is_let_go,
    };
}

static void tell_time(struct tracer *tracer)
{
    struct vdso_time time = time_for_guests(tracer);
    for (struct tracee_process *process = tracer->processes; process != NULL;
         process = process->next) {
        if (process->vdso_time != 0)
            vdso_set_time(process->memory_fd, process->vdso_time, &time);
    }
}

static void watch_clock(struct tracer *tracer, bool is_watched)
{
    if (tracer->clock_is_watched == is_watched)
        return;
    tracer->clock_is_watched = is_watched;
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next)
        tracee->clock_reads = 0;
    tell_time(tracer);
}

void tracer_note_clock_read(struct tracer *tracer, struct tracee *tracee)
{
    if (tracer->is_let_go || ++tracee->clock_reads < CREEP_AFTER_READS)
        return;
    tracer->summary.crept_ns += CREEP_NS;
    clock_jump(&tracer->loop->clock, tracer_now(tracer) + CREEP_NS);
    tell_time(tracer);
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
    tell_time(tracer);
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next)
        socket_timeouts_restore(tracee);
}

bool tracer_is_let_go(const struct tracer *tracer)
{
    return tracer->is_let_go;
}

bool tracer_knows_port(const struct tracer *tracer, uint16_t port)
{
    bool is_known = port == tracer->options.server_port;
    for (size_t i = 0; i < tracer->port_count; i++)
        is_known = is_known || tracer->ports[i] == port;
    return is_known;
}

void tracer_add_port(struct tracer *tracer, uint16_t port)
{
    if (port != 0 && !tracer_knows_port(tracer, port) && tracer->port_count < PORTS_MAX)
        tracer->ports[tracer->port_count++] = port;
}

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
    loop_at(tracer->loop, &tracee->due, due_ns);
    tracee->due.is_at_once = false; /* a program's doing: it waits its turn (loop.h) */
    return CALL_WAITS;
}

static void end_wait(void *owner, int64_t now_ns)
{
    struct tracee *tracee = owner;
    (void)now_ns;
    tracee->is_over = true;
    ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* --- stops --------------------------------------------------------------------------------------
 */

static void resume(struct tracee *tracee, int signal_number)
{
    if (tracee->process != NULL)
        tracee->process->tracer->suspect = tracee;
    bool follows = tracee->phase != TRACEE_RUNS;
    ptrace(follows ? PTRACE_SYSCALL : PTRACE_CONT, tracee->tid, NULL, (long)signal_number);
}

static void on_call(struct tracer *tracer, struct tracee *tracee)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) != 0)
        return; /* killed meanwhile */
    tracer->summary.stops++;
    tracee->call = traced_call_find((int64_t)regs.orig_rax);
    tracee->asked = regs;
    uint64_t reads = tracee->clock_reads;
    enum call_verdict verdict =
        tracee->call != NULL ? tracee->call->begins(tracer, tracee, &regs) : CALL_PASSES;
    if (tracee->clock_reads == reads) {
        tracee->clock_reads = 0; /* it did something else than look at a clock */
        tracer->last_event_ns = machine_now();
    }
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
    struct vdso_time time = time_for_guests(tracer);
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
    struct tracee *old = (pid_t)former != tracee->tid ? find_tracee(tracer, (pid_t)former) : NULL;
    if (tracee->process == NULL) {
        struct tracee_process *process = find_process(tracer, tracee->tid);
        join_process(tracee, process != NULL ? process : add_process(tracer, tracee->tid));
    }
    for (struct tracee *other = tracer->first, *next; other != NULL; other = next) {
        next = other->next;
        if (other == old || (other != tracee && other->process == tracee->process))
            remove_tracee(tracer, other);
    }
    loop_cancel(tracer->loop, &tracee->due);
    tracee->phase = TRACEE_RUNS;
    tracee->is_vforked = false;
    tracee->may_resume = false;
    /* The files of the thread that ran before belong to another task now. */
    proc_thread_close(&tracee->files);
    proc_thread_open(&tracee->files, tracee->tid);
    tracee->blocked_switches = 0;
    guest_timers_exec(tracee->process);
    prepare_program(tracer, tracee);
    resume(tracee, 0);
}

static void on_new(struct tracer *tracer, struct tracee *parent)
{
    unsigned long message = 0;
    ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &message);
    pid_t tid = (pid_t)message;
    struct tracee *child = find_tracee(tracer, tid);
    if (child == NULL)
        child = add_tracee(tracer, tid);
    pid_t pid = proc_thread_group(tid);
    struct tracee_process *process = find_process(tracer, pid);
    if (process == NULL) {
        process = add_process(tracer, pid);
        process->memory_fd = proc_open(pid, "mem", O_RDWR);
        process->vdso_time = parent->process->vdso_time; /* a copy of the parent's memory */
    }
    join_process(child, process);
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
            ptrace(PTRACE_LISTEN, tracee->tid, NULL, NULL); /* stopped, as without a tracer */
            return;
        }
        break;
    default:
        break;
    }
    resume(tracee, 0);
}

static void end_blocked(struct tracee *tracee);

static void on_status(struct tracer *tracer, struct tracee *tracee, int status)
{
    if (!WIFSTOPPED(status)) {
        remove_tracee(tracer, tracee);
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
        on_call_end(tracer, tracee);
    } else if (event != 0) {
        on_event(tracer, tracee, event, signal_number);
    } else {
        if (signal_number == SIGALRM)
            guest_timers_sign(tracee);
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
    struct tracee *tracee = find_tracee(tracer, got);
    if (tracee == NULL && WIFSTOPPED(status))
        tracee = add_tracee(tracer, got);
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
        struct tracee *tracee = find_tracee(tracer, tracer->client);
        if (tracee != NULL)
            remove_tracee(tracer, tracee);
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
            remove_tracee(tracer, tracee); /* reaped by whoever killed it */
            taken = true;
        }
        if (next != NULL && find_tracee(tracer, next_tid) != next)
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

/* --- whether everybody waits --------------------------------------------------------------------
 */

/* What it sleeps in, where the filter did not stop it: read once a sleep. */
static bool know_blocked(struct tracee *tracee)
{
    if (tracee->blocked_switches == tracee->switches)
        return true;
    if (!proc_thread_blocked(&tracee->files, &tracee->blocked_in, &tracee->blocked_argument))
        return false;
    tracee->blocked_switches = tracee->switches;
    loop_cancel(tracee->process->tracer->loop, &tracee->receive);
    int64_t timeout_ns;
    if (socket_timeout(tracee, tracee->blocked_in, tracee->blocked_argument, &timeout_ns)) {
        loop_after(tracee->process->tracer->loop, &tracee->receive, timeout_ns);
        tracee->receive.is_at_once = false;
    }
    return true;
}

/* Asynchronous I/O goes on while its thread sleeps, so such a sleep proves nothing. */
static bool is_in_disk_wait(const struct tracee *tracee)
{
    return tracee->blocked_in == SYS_io_getevents || tracee->blocked_in == SYS_io_pgetevents;
}

enum look { LOOK_WORKS, LOOK_SLEEPS, LOOK_GONE };

static enum look look_at(const struct tracee *tracee, uint64_t *switches)
{
    char state;
    if (tracee->is_vforked || tracee->is_stopped)
        return LOOK_GONE; /* until its child has started a program, or somebody lets it go on */
    if (tracee->process == NULL || !proc_thread_state(&tracee->files, &state, switches))
        return LOOK_WORKS; /* its end will be reported */
    /* A zombie is about to be reported, and until then its parent does not know: something is still
     * to happen. Only the first thread of a process stays one while the others live. */
    bool waits_for_others =
        tracee->tid == tracee->process->pid && tracee->process->thread_count > 1;
    if (state == 'Z' || state == 'X')
        return waits_for_others ? LOOK_GONE : LOOK_WORKS;
    return state == 'S' || state == 'T' ? LOOK_SLEEPS : LOOK_WORKS;
}

/* Whether it is in a wait that the filter stopped. It cannot have left that, done something and
 * come back, because the tracer would have seen it; so being blocked now is enough. A thread that
 * has left its wait and stands in a stop looks blocked too, but then a report is waiting. */
static bool is_watched_wait(const struct tracee *tracee)
{
    return tracee->phase == TRACEE_WAITS && !tracee->is_stopped && !tracee->is_vforked &&
           tracee->process != NULL && !tracee->process->tracer->client_is_zombie;
}

static bool is_in_wait(const struct tracee *tracee)
{
    int64_t number;
    uint64_t argument;
    return proc_thread_blocked(&tracee->files, &number, &argument);
}

static bool is_asleep(struct tracee *tracee)
{
    if (is_watched_wait(tracee))
        return is_in_wait(tracee);
    enum look look = look_at(tracee, &tracee->switches);
    if (look != LOOK_SLEEPS)
        return look == LOOK_GONE;
    return know_blocked(tracee) && !is_in_disk_wait(tracee);
}

/* The second look (proc_thread.h). */
static bool has_slept_on(const struct tracee *tracee)
{
    int64_t number;
    uint64_t argument;
    uint64_t switches = 0;
    if (is_watched_wait(tracee))
        return is_in_wait(tracee);
    enum look look = look_at(tracee, &switches);
    if (look != LOOK_SLEEPS)
        return look == LOOK_GONE;
    return proc_thread_blocked(&tracee->files, &number, &argument) && switches == tracee->switches;
}

/* Whether a stop or an end is to be taken up. After the client's own end, which stays reported,
 * only the state of each thread can tell. */
static bool has_report(const struct tracer *tracer)
{
    siginfo_t info = {0};
    if (tracer->client_is_zombie)
        return false;
    return waitid(P_ALL, 0, &info,
                  WEXITED | WSTOPPED | WNOHANG | WNOWAIT | (int)__WALL | (int)__WNOTHREAD) == 0 &&
           info.si_pid != 0;
}

static void consider_clock_watch(struct tracer *tracer)
{
    if (machine_now() - tracer->last_event_ns > WATCH_CLOCK_AFTER_NS)
        watch_clock(tracer, true);
}

static bool all_wait(void *owner)
{
    struct tracer *tracer = owner;
    if (tracer->suspect != NULL && !is_asleep(tracer->suspect)) {
        consider_clock_watch(tracer);
        return false;
    }
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next) {
        if (is_asleep(tracee))
            continue;
        tracer->suspect = tracee;
        consider_clock_watch(tracer);
        return false;
    }
    tracer->last_event_ns = machine_now();
    return !has_report(tracer);
}

static bool still_wait(void *owner)
{
    struct tracer *tracer = owner;
    if (proc_packets_wait(tracer->softnet_fd))
        return false;
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next) {
        if (!has_slept_on(tracee))
            return false;
    }
    return !has_report(tracer);
}

static void jumps(void *owner, int64_t from_ns, const struct deadline *deadline)
{
    struct tracer *tracer = owner;
    int64_t to_ns = deadline->at_ns > from_ns ? deadline->at_ns : from_ns;
    if (tracer->options.log != NULL) {
        char name[32] = "server";
        const struct tracee *tracee =
            deadline->fire == end_wait || deadline->fire == end_receive ? deadline->owner : NULL;
        log_line(tracer, from_ns, to_ns, tracee != NULL ? tracee_name(tracee, name) : name,
                 tracee != NULL && tracee->phase == TRACEE_WAITS ? tracee->call->name
                 : tracee != NULL                                ? "socket time-out"
                                                                 : "deadline");
    }
    watch_clock(tracer, false);
    if (to_ns == from_ns)
        return;
    tracer->summary.jumps++;
    clock_jump(&tracer->loop->clock, to_ns);
    tell_time(tracer);
}

/* A socket's own time-out has come: the thread is interrupted, and in its stop the result is put
 * in place of the repetition that the kernel intends. */
static void end_receive(void *owner, int64_t now_ns)
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
        (int64_t)regs.orig_rax != tracee->blocked_in || (int64_t)regs.rax != -512)
        return; /* something arrived at the last moment */
    bool connects = tracee->blocked_in == SYS_connect;
    regs.rax = (uint64_t)(connects ? -EINPROGRESS : -EAGAIN);
    regs.orig_rax = (uint64_t)-1;
    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
}

/* --- start and end ------------------------------------------------------------------------------
 */

bool tracer_enter(const struct tracer *tracer)
{
    struct sock_fprog program = {.len = (unsigned short)tracer->filter_length};
    char go;
    /* The kernel only reads it. */
    const struct sock_filter *steps = tracer->filter;
    memcpy(&program.filter, &steps, sizeof steps);
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
    struct tracee *tracee = add_tracee(tracer, pid);
    join_process(tracee, add_process(tracer, pid));
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
    tracer->guests = (struct loop_guests){
        .owner = tracer, .all_wait = all_wait, .still_wait = still_wait, .jumps = jumps};
    if (pipe2(tracer->enter_pipe, O_CLOEXEC) != 0 || tracer->child_watch.fd < 0 ||
        !register_child_fd(tracer->child_watch.fd)) {
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
        remove_tracee(tracer, tracer->first);
    }
    socket_timeouts_free(&tracer->sockets);
    loop_unwatch(tracer->loop, &tracer->child_watch);
    unregister_child_fd(tracer->child_watch.fd);
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

/* The calls in which programs usually sleep without a time-out. */
static const char *call_name(int64_t number)
{
    static const struct {
        int64_t number;
        const char *name;
    } names[] = {
        {SYS_read, "read"},
        {SYS_write, "write"},
        {SYS_recvfrom, "recvfrom"},
        {SYS_recvmsg, "recvmsg"},
        {SYS_sendto, "sendto"},
        {SYS_accept, "accept"},
        {SYS_accept4, "accept4"},
        {SYS_connect, "connect"},
        {SYS_futex, "futex"},
        {SYS_poll, "poll"},
        {SYS_ppoll, "ppoll"},
        {SYS_select, "select"},
        {SYS_pselect6, "pselect6"},
        {SYS_wait4, "wait4"},
        {SYS_waitid, "waitid"},
        {SYS_epoll_wait, "epoll_wait"},
        {SYS_epoll_pwait, "epoll_pwait"},
        {SYS_pause, "pause"},
        {SYS_rt_sigsuspend, "sigsuspend"},
        {SYS_rt_sigtimedwait, "sigwait"},
        {SYS_flock, "flock"},
        {SYS_fcntl, "fcntl"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].number == number)
            return names[i].name;
    }
    return "a system call";
}

static void describe_thread(const struct tracee *tracee, FILE *stream)
{
    char name[32];
    char left[DURATION_TEXT_SIZE];
    uint64_t switches;
    char state = '?';
    tracee_name(tracee, name);
    proc_thread_state(&tracee->files, &state, &switches);
    if (tracee->phase == TRACEE_WAITS)
        fprintf(stream, "%s waits in %s for another %s", name, tracee->call->name,
                duration_text(tracee->due.at_ns - tracer_now(tracee->process->tracer), left));
    else if (state == 'S')
        fprintf(stream, "%s waits in %s", name, call_name(tracee->blocked_in));
    else if (state == 'R')
        fprintf(stream, "%s computes", name);
    else
        fprintf(stream, "%s is in state %c", name, state);
}

void tracer_describe(const struct tracer *tracer, FILE *stream)
{
    enum { THREADS_MAX = 16 };
    int count = 0;
    for (const struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next) {
        if (count++ >= THREADS_MAX || tracee->process == NULL)
            continue;
        fputs(count > 1 ? "; " : "", stream);
        describe_thread(tracee, stream);
    }
    if (count > THREADS_MAX)
        fprintf(stream, "; and %d threads more", count - THREADS_MAX);
}

/* --- whether it can be done ---------------------------------------------------------------------
 */

static pthread_once_t probe_once = PTHREAD_ONCE_INIT;
static const char *probe_reason;

/* A child that sleeps behind the filter, traced as clients are. */
static void probe(void)
{
#if defined(__x86_64__)
    struct sock_filter filter[FILTER_LENGTH_MAX];
    struct sock_fprog program = {.len = (unsigned short)traced_call_filter(filter),
                                 .filter = filter};
    int ready[2];
    probe_reason = "out of descriptors";
    if (pipe2(ready, O_CLOEXEC) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        char filtered = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
        ssize_t written = write(ready[1], &filtered, 1);
        (void)written;
        for (;;)
            pause();
    }
    char filtered = 0;
    ssize_t got = read(ready[0], &filtered, 1);
    bool is_traced = pid > 0 && ptrace(PTRACE_SEIZE, pid, NULL, (long)PTRACE_O_EXITKILL) == 0;
    probe_reason = got != 1 || !filtered ? "this system does not let a program filter its system "
                                           "calls (seccomp)"
                   : !is_traced          ? "this system does not let a program trace its children "
                                           "(ptrace)"
                                         : NULL;
    close(ready[0]);
    close(ready[1]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
#else
    probe_reason = "virtual time for programs needs Linux on x86-64";
#endif
}

const char *tracer_unavailable(void)
{
    pthread_once(&probe_once, probe);
    return probe_reason;
}
