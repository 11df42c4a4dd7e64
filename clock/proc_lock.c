#include "clock/proc_lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

bool proc_lock_is_waited_for_in(int64_t call_number)
{
    return call_number == SYS_fcntl || call_number == SYS_flock;
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* "12: POSIX  ADVISORY  WRITE 4711 08:01:1234 0 EOF" is a lock; who waits for it follows, with an
 * arrow before the kind: "12: -> POSIX  ADVISORY  WRITE 4712 08:01:1234 0 EOF". */
pid_t proc_lock_holder(pid_t waiter)
{
    FILE *locks = fopen("/proc/locks", "re");
    char *line = NULL;
    size_t size = 0;
    int holder = 0;
    bool is_found = false;
    while (locks != NULL && !is_found && getline(&line, &size, locks) > 0) {
        int pid = 0;
        const char *arrow = strstr(line, "->");
        const char *from = arrow != NULL ? arrow + strlen("->") : line + strcspn(line, " ");
        // NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit
        bool is_read = sscanf(from, " %*s %*s %*s %d", &pid) == 1;
        if (arrow == NULL)
            holder = is_read ? pid : 0;
        else
            is_found = is_read && pid == waiter;
    }
    free(line);
    if (locks != NULL)
        fclose(locks);
    return is_found && holder > 0 && is_alive(holder) ? holder : 0;
}
