/* tracee: a thread of a client, and the process it belongs to, as the tracer knows them.
 *
 * Private to the tracer's files in this folder.
 */
#ifndef TOOMANY_CLOCK_TRACEE_H
#define TOOMANY_CLOCK_TRACEE_H

#include "clock/loop.h"
#include "clock/proc_thread.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include <uthash.h>

struct traced_call;
struct tracer;

/* A timer that a process has set: timerfd, setitimer, alarm, timer_create. */
struct guest_timer;

struct tracee_process {
    struct tracer *tracer;
    pid_t pid;
    int memory_fd;      /* /proc/PID/mem of its present program; -1 not opened */
    uint64_t vdso_time; /* where in its vDSO the virtual time stands; 0: clock reads are traced */
    int thread_count;
    struct guest_timer *timers;
    struct tracee_process *next;
};

enum tracee_phase {
    TRACEE_RUNS,
    TRACEE_FOLLOWED, /* in a system call whose end the tracer wants to see */
    TRACEE_WAITS,    /* in a wait that the tracer has taken the time-out from */
};

struct tracee {
    pid_t tid;
    struct tracee_process *process; /* NULL: its parent has not told of it yet */
    enum tracee_phase phase;
    bool is_held;    /* stopped until its parent has told of it */
    bool is_stopped; /* by SIGSTOP or its like */
    bool is_vforked; /* waits for the child that it vforked */

    /* The call that it is in, as the program made it. */
    const struct traced_call *call;
    struct user_regs_struct asked;
    uint64_t note; /* what the call's handler wants to remember until its end */
    struct deadline due;
    int64_t
        turn_since_ns; /* machine time at which it began to wait for its turn (quiescence.c); 0 */
    bool is_over;      /* the deadline has come */

    /* A wait that a signal interrupted and that the kernel repeats goes on to its old deadline. */
    bool may_resume;
    struct user_regs_struct resumed;
    int64_t resumed_due_ns;

    /* For the proof that it has not run between two looks. */
    struct proc_thread files;
    uint64_t runs;         /* at the last look (proc_thread.h) */
    uint64_t blocked_runs; /* when `blocked_in` was read */
    int64_t blocked_in;    /* the system call that it sleeps in */
    uint64_t blocked_argument;
    bool receive_goes_on;    /* it was interrupted by a signal that it is not to hear of */
    struct deadline receive; /* the end of a wait on a socket with SO_RCVTIMEO or SO_SNDTIMEO */
    /* For telling who waits by looking at a clock (guest_time.c). */
    uint64_t clock_reads;   /* one after another, with no other call between */
    uint64_t watched_reads; /* since clock reads are traced */
    int64_t watched_cpu_ns; /* its processor time when that began; 0: not read */
    bool works_on;          /* it has used much processor time since, and never slept */

    struct tracee *next; /* in the order in which they appeared */
    struct tracee *previous;
    UT_hash_handle hh;
};

/* Memory of a stopped or sleeping thread. False when the address is not the program's. */
bool tracee_read(const struct tracee *tracee, uint64_t address, void *bytes, size_t length);
bool tracee_write(const struct tracee *tracee, uint64_t address, const void *bytes, size_t length);

/* NULL when it is not known. */
struct tracee *tracee_find(struct tracer *tracer, pid_t tid);
/* Out of memory ends the program: a thread that is not carried would stand still for ever. */
struct tracee *tracee_add(struct tracer *tracer, pid_t tid);
/* Forgets it, and its process with its last thread. */
void tracee_remove(struct tracer *tracer, struct tracee *tracee);

struct tracee_process *tracee_process_find(struct tracer *tracer, pid_t pid);
struct tracee_process *tracee_process_add(struct tracer *tracer, pid_t pid);
void tracee_join(struct tracee *tracee, struct tracee_process *process);

/* The name of its program, as /proc has it. */
const char *tracee_name(const struct tracee *tracee, char name[32]);

#endif
