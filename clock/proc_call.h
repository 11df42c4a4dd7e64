/* proc_call: the system call that a sleeping thread is in, as /proc shows it.
 *
 * Where the machine forbids to trace, it may also hide the call. What is left then is the function
 * of the kernel that the thread sleeps in: enough to know that it has left its processor, but not
 * whether a time-out will wake it.
 */
#ifndef TOOMANY_CLOCK_PROC_CALL_H
#define TOOMANY_CLOCK_PROC_CALL_H

#include "clock/proc_thread.h"

enum { PROC_CALL_HIDDEN = -2 }; /* the number of a call that may not be seen */

struct proc_call {
    int64_t number; /* -1: in none (a page fault); PROC_CALL_HIDDEN */
    uint64_t arguments[6];
};

/* False while it is on a processor, or about to be. */
bool proc_call_read(const struct proc_thread *thread, pid_t tid, struct proc_call *call);

/* Whether the kernel will end it at a time that the call gives. */
bool proc_call_is_timed(const struct proc_call *call);

/* Whether work goes on while it sleeps: asynchronous I/O. */
bool proc_call_is_disk_wait(const struct proc_call *call);

/* Whether it waits for a child that it vforked to start a program. */
bool proc_call_is_vfork(pid_t tid);

#endif
