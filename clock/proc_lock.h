/* proc_lock: for whose lock on a file a process waits, as /proc/locks shows it.
 *
 * Locks of fcntl (F_SETLKW) and flock. Those of open file descriptions (F_OFD_SETLKW) belong to
 * nobody there, and locks of processes in other PID namespaces are not shown.
 */
#ifndef TOOMANY_CLOCK_PROC_LOCK_H
#define TOOMANY_CLOCK_PROC_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether a sleep in this system call is one for a lock. */
bool proc_lock_is_waited_for_in(int64_t call_number);

/* The process, alive, whose lock `waiter` (a process) waits for at last: not one that itself waits
 * in the same queue. 0: none is known. */
pid_t proc_lock_holder(pid_t waiter);

#endif
