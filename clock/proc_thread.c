#include "clock/proc_thread.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATUS_BYTES = 4096,       /* /proc/TID/status has some 1,500 */
    SYSCALL_BYTES = 256,       /* /proc/TID/syscall is one line of nine numbers */
    SOFTNET_BYTES = 64 * 1024, /* /proc/net/softnet_stat has 120 bytes a processor */
    BACKLOG_COLUMN = 12,       /* of softnet_stat, from 1: packets in the backlog */
};

int proc_open(pid_t tid, const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
    return open(path, flags | O_CLOEXEC);
}

void proc_thread_open(struct proc_thread *thread, pid_t tid)
{
    thread->status_fd = proc_open(tid, "status", O_RDONLY);
    thread->syscall_fd = proc_open(tid, "syscall", O_RDONLY);
}

void proc_thread_close(struct proc_thread *thread)
{
    if (thread->status_fd >= 0)
        close(thread->status_fd);
    if (thread->syscall_fd >= 0)
        close(thread->syscall_fd);
    *thread = (struct proc_thread){-1, -1};
}

static bool read_text(int fd, char *text, size_t size)
{
    ssize_t length = pread(fd, text, size - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

bool proc_thread_state(const struct proc_thread *thread, char *state, uint64_t *switches)
{
    static const char state_label[] = "\nState:\t";
    static const char voluntary_label[] = "\nvoluntary_ctxt_switches:\t";
    static const char involuntary_label[] = "\nnonvoluntary_ctxt_switches:\t";
    char text[STATUS_BYTES];
    if (!read_text(thread->status_fd, text, sizeof text))
        return false;
    const char *at = strstr(text, state_label);
    const char *voluntary = at != NULL ? strstr(at, voluntary_label) : NULL;
    const char *involuntary = voluntary != NULL ? strstr(voluntary, involuntary_label) : NULL;
    if (involuntary == NULL)
        return false;
    *state = at[sizeof state_label - 1];
    *switches = strtoull(voluntary + sizeof voluntary_label - 1, NULL, 10) +
                strtoull(involuntary + sizeof involuntary_label - 1, NULL, 10);
    return true;
}

uint64_t proc_thread_number(const struct proc_thread *thread, const char *label, int base)
{
    char text[STATUS_BYTES];
    if (!read_text(thread->status_fd, text, sizeof text))
        return 0;
    const char *at = strstr(text, label);
    return at != NULL ? strtoull(at + strlen(label), NULL, base) : 0;
}

bool proc_thread_blocked(const struct proc_thread *thread, int64_t *number, uint64_t *argument)
{
    char text[SYSCALL_BYTES];
    if (!read_text(thread->syscall_fd, text, sizeof text))
        return false;
    char *end = NULL;
    *number = strtoll(text, &end, 10);
    if (end == text)
        return false; /* "running" */
    *argument = strtoull(end, NULL, 16);
    return true;
}

pid_t proc_thread_group(pid_t tid)
{
    char text[STATUS_BYTES] = "";
    int fd = proc_open(tid, "status", O_RDONLY);
    if (fd >= 0) {
        read_text(fd, text, sizeof text);
        close(fd);
    }
    const char *line = strstr(text, "\nTgid:");
    return line != NULL ? (pid_t)strtol(line + strlen("\nTgid:"), NULL, 10) : tid;
}

bool proc_packets_wait(int softnet_fd)
{
    char text[SOFTNET_BYTES];
    if (!read_text(softnet_fd, text, sizeof text))
        return false;
    for (char *line = text; *line != '\0'; line += strspn(line, "\n")) {
        size_t length = strcspn(line, "\n");
        unsigned long backlog = 0;
        char *end = line;
        int column = 0;
        for (; column < BACKLOG_COLUMN && end < line + length; column++)
            backlog = strtoul(end, &end, 16);
        if (column == BACKLOG_COLUMN && backlog != 0)
            return true;
        line += length;
    }
    return false;
}

int64_t proc_thread_cpu_ns(pid_t tid)
{
    char text[SYSCALL_BYTES] = "0";
    int fd = proc_open(tid, "schedstat", O_RDONLY);
    if (fd >= 0) {
        read_text(fd, text, sizeof text);
        close(fd);
    }
    return strtoll(text, NULL, 10);
}
