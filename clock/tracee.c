#include "clock/tracee.h"

#include "base/duration.h"
#include "clock/tracer_state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* An address of the program, which is none of ours, in the form that the kernel wants. */
static struct iovec place_of(uint64_t address, size_t length)
{
    struct iovec place = {.iov_len = length};
    _Static_assert(sizeof place.iov_base == sizeof address, "64-bit programs trace 64-bit ones");
    memcpy(&place.iov_base, &address, sizeof address);
    return place;
}

bool tracee_read(const struct tracee *tracee, uint64_t address, void *bytes, size_t length)
{
    struct iovec ours = {.iov_base = bytes, .iov_len = length};
    struct iovec theirs = place_of(address, length);
    return process_vm_readv(tracee->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)length;
}

bool tracee_write(const struct tracee *tracee, uint64_t address, const void *bytes, size_t length)
{
    /* struct iovec serves both directions and so knows no const; nothing writes to `bytes`. */
    struct iovec ours = {.iov_len = length};
    memcpy(&ours.iov_base, &bytes, sizeof bytes);
    struct iovec theirs = place_of(address, length);
    return process_vm_writev(tracee->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)length;
}

const char *tracee_name(const struct tracee *tracee, char name[32])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)tracee->tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, name, 31) : 0;
    if (fd >= 0)
        close(fd);
    name[length > 0 ? length : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return name;
}

struct tracee *tracee_find(struct tracer *tracer, pid_t tid)
{
    struct tracee *tracee = NULL;
    HASH_FIND_INT(tracer->tracees, &tid, tracee);
    return tracee;
}

struct tracee *tracee_add(struct tracer *tracer, pid_t tid)
{
    struct tracee *tracee = calloc(1, sizeof *tracee);
    if (tracee == NULL) {
        fputs("toomany: out of memory for a client's threads\n", stderr);
        abort();
    }
    tracee->tid = tid;
    tracee->blocked_runs = PROC_THREAD_RUNS_NEVER;
    tracee->due = (struct deadline){.fire = tracer_end_wait, .owner = tracee};
    tracee->receive = (struct deadline){.fire = tracer_end_receive, .owner = tracee};
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

struct tracee_process *tracee_process_find(struct tracer *tracer, pid_t pid)
{
    struct tracee_process *process = tracer->processes;
    while (process != NULL && process->pid != pid)
        process = process->next;
    return process;
}

struct tracee_process *tracee_process_add(struct tracer *tracer, pid_t pid)
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

void tracee_join(struct tracee *tracee, struct tracee_process *process)
{
    tracee->process = process;
    process->thread_count++;
}

void tracee_remove(struct tracer *tracer, struct tracee *tracee)
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

/* --- telling --------------------------------------------------------------------------------- */

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
    char state = '?';
    tracee_name(tracee, name);
    proc_thread_state(&tracee->files, &state);
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
