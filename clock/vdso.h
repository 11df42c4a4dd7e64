/* vdso: gives a process the virtual time without a system call.
 *
 * The kernel maps a small library, the vDSO, into every process; clock_gettime, gettimeofday and
 * time are found there by libc, by Go's runtime and by others, so that reading the clock costs no
 * system call. In the stop after an exec, vdso_replace() writes other functions over them, into the
 * process's own copy of the page, which read the time from a few words beside them. vdso_set_time()
 * writes these words; it is called for every process whenever the clock has moved, while all of its
 * threads are asleep.
 *
 * A process can be told to make system calls instead (`traced`), which the tracer then sees.
 */
#ifndef TOOMANY_CLOCK_VDSO_H
#define TOOMANY_CLOCK_VDSO_H

#include <stdbool.h>
#include <stdint.h>

/* From the address that vdso_replace() returns: 16 bytes that are always 0, a struct timespec that
 * the program has at hand. */
enum { VDSO_ZERO_OFFSET = 48 };

/* What all monotonic clocks and all real-time clocks show. */
struct vdso_time {
    int64_t monotonic_ns;
    int64_t realtime_ns;
    bool traced;
};

/* `memory_fd` is /proc/PID/mem, `base` where the auxiliary vector says that the vDSO is. Returns
 * the address for vdso_set_time(), or 0 when this vDSO is not as expected: it is then untouched. */
uint64_t vdso_replace(int memory_fd, uint64_t base, const struct vdso_time *time);

/* False when the process is gone. */
bool vdso_set_time(int memory_fd, uint64_t address, const struct vdso_time *time);

#endif
