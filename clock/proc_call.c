#include "clock/proc_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* The function of the kernel that it sleeps in. False while it runs. */
static bool read_channel(pid_t tid, char text[64])
{
    int fd = proc_open(tid, "wchan", O_RDONLY);
    ssize_t length = fd >= 0 ? read(fd, text, 63) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return text[0] != '\0' && text[0] != '0';
}

bool proc_call_read(const struct proc_thread *thread, pid_t tid, struct proc_call *call)
{
    char text[256];
    ssize_t length = pread(thread->call_fd, text, sizeof text - 1, 0);
    char channel[64];
    *call = (struct proc_call){.number = PROC_CALL_HIDDEN};
    if (length < 0 && (errno == EPERM || errno == EACCES || errno == EBADF))
        return read_channel(tid, channel);
    if (length <= 0)
        return false;
    text[length] = '\0';
    char *end = NULL;
    call->number = strtoll(text, &end, 10);
    if (end == text)
        return false; /* "running" */
    for (size_t i = 0; i < 6 && call->number >= 0; i++)
        call->arguments[i] = strtoull(end, &end, 16);
    return true;
}

static bool is_timed_futex(const struct proc_call *call)
{
    uint64_t operation = call->arguments[1] & (uint64_t)FUTEX_CMD_MASK;
    bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET ||
                 operation == FUTEX_LOCK_PI || operation == FUTEX_LOCK_PI2 ||
                 operation == FUTEX_WAIT_REQUEUE_PI;
    return waits && call->arguments[3] != 0;
}

bool proc_call_is_timed(const struct proc_call *call)
{
    const uint64_t *of = call->arguments;
    switch (call->number) {
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return true;
    case SYS_poll:
        return (int)of[2] > 0;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return (int)of[3] > 0;
    case SYS_ppoll:
    case SYS_rt_sigtimedwait:
        return of[2] != 0;
    case 441: /* epoll_pwait2 */
    case SYS_semtimedop:
        return of[3] != 0;
    case SYS_select:
    case SYS_pselect6:
    case SYS_mq_timedsend:
    case SYS_mq_timedreceive:
        return of[4] != 0;
    case SYS_futex:
        return is_timed_futex(call);
    default:
        return false;
    }
}

bool proc_call_is_disk_wait(const struct proc_call *call)
{
    return call->number == SYS_io_getevents || call->number == SYS_io_pgetevents;
}

/* A thread may sleep for other reasons in a fork, before there is a child: for memory, say. */
bool proc_call_is_vfork(pid_t tid)
{
    char channel[64];
    return read_channel(tid, channel) &&
           (strcmp(channel, "kernel_clone") == 0 || strcmp(channel, "_do_fork") == 0);
}
