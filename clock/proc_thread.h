/* proc_thread: what /proc says of a thread, and what of it proves that the thread sleeps.
 *
 * Two looks prove that a thread has slept all the time between them, and was not about to run:
 *
 *     first look:   proc_thread_runs() is noted, then proc_thread_blocked() answers
 *     second look:  state S, then proc_thread_has_not_run() since the number that was noted
 *
 * A thread counts as sleeping in its state shortly before it leaves the processor, and may change
 * its mind; but proc_thread_blocked() answers only for one that has left it (the kernel waits). It
 * has got none since, or it would have run once more; and it was not woken either, or it would not
 * yet be in state S again. Where that holds for every thread of a set, there was a moment, between
 * the end of the first round and the start of the second, in which all slept.
 *
 * A first look holds for as long as the thread does not run: it is then only its
 * proc_thread_runs().
 */
#ifndef TOOMANY_CLOCK_PROC_THREAD_H
#define TOOMANY_CLOCK_PROC_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Open files of /proc/TID, so that a look is a read; each is opened for every look (-1) where the
 * program has no descriptors left. */
struct proc_thread {
    pid_t tid;
    int state_fd;
    int runs_fd;
    int call_fd;
};

/* A thread that is gone is opened too: all looks at it then fail. */
void proc_thread_open(struct proc_thread *thread, pid_t tid);
void proc_thread_close(struct proc_thread *thread);

/* The state's letter (R, S, D, T, t, Z, X). False when the thread is gone. */
bool proc_thread_state(const struct proc_thread *thread, char *state);

/* A number that has grown when the thread has got a processor and left it again;
 * PROC_THREAD_RUNS_NEVER is none. False when the thread is gone. */
bool proc_thread_runs(const struct proc_thread *thread, uint64_t *runs);
#define PROC_THREAD_RUNS_NEVER UINT64_MAX

/* Whether it was off the processors all the time since proc_thread_runs() gave `runs` and then
 * proc_thread_blocked() answered. */
bool proc_thread_has_not_run(const struct proc_thread *thread, uint64_t runs);

/* The number after `label` ("FDSize:", or in base 16 "SigCgt:") in its status; 0 when it is gone.
 */
uint64_t proc_thread_number(pid_t tid, const char *label, int base);

/* The system call that it is blocked in, with its first argument; -1 where it is in none. False
 * while it is on a processor. */
bool proc_thread_blocked(const struct proc_thread *thread, int64_t *number, uint64_t *argument);

/* The processor time that it has used. */
int64_t proc_thread_cpu_ns(pid_t tid);

/* Opens a file of /proc/TID; -1 with errno. */
int proc_open(pid_t tid, const char *name, int flags);

/* The process that thread `tid` belongs to; `tid` itself when that cannot be read. */
pid_t proc_thread_group(pid_t tid);

/* Whether packets wait for a processor to take them to their socket: under load loopback, too, puts
 * them off. `softnet_fd` is /proc/net/softnet_stat. */
bool proc_packets_wait(int softnet_fd);

#endif
