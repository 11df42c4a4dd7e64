/* proc_thread: what /proc says of a thread, and what of it proves that the thread sleeps.
 *
 * Two looks prove that a thread has slept all the time between them:
 *
 *     first look:   state S, `switches` is noted
 *     second look:  proc_thread_blocked() answers, state S, the same `switches`
 *
 * A thread counts as sleeping in its state shortly before it leaves the processor, and may change
 * its mind; but proc_thread_blocked() answers only for one that has left it (the kernel waits), and
 * whoever has left it since the first look has switched once more. So the thread was off the
 * processor at the first look already. Where that holds for every thread of a set, there was a
 * moment, between the end of the first round and the start of the second, in which all slept.
 */
#ifndef TOOMANY_CLOCK_PROC_THREAD_H
#define TOOMANY_CLOCK_PROC_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Open files of /proc/TID, so that a look is a read. */
struct proc_thread {
    int status_fd;
    int syscall_fd;
};

/* A thread that is gone is opened too: all looks at it then fail. */
void proc_thread_open(struct proc_thread *thread, pid_t tid);
void proc_thread_close(struct proc_thread *thread);

/* The state's letter (R, S, D, T, t, Z, X) and the number of switches from and to a processor, of
 * its own accord or not. False when the thread is gone. */
bool proc_thread_state(const struct proc_thread *thread, char *state, uint64_t *switches);

/* The number after `label` ("FDSize:", or in base 16 "SigCgt:") in its status; 0 when it is gone.
 */
uint64_t proc_thread_number(const struct proc_thread *thread, const char *label, int base);

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
