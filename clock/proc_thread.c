#include "clock/proc_thread.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATUS_BYTES = 4096,       /* /proc/TID/status has some 1,500 */
    LINE_BYTES = 512,          /* the other files of a thread are one line, of 350 at most */
    SOFTNET_BYTES = 64 * 1024, /* /proc/net/softnet_stat has 120 bytes a processor */
    BACKLOG_COLUMN = 12,       /* of softnet_stat, from 1: packets in the backlog */
};

int proc_open(pid_t tid, const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
    return open(path, flags | O_CLOEXEC);
}

static ssize_t read_line(pid_t tid, const char *name, char *text, size_t size)
{
    int fd = proc_open(tid, name, O_RDONLY);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

/* The times of its sleeps and runs are the cheaper, but a kernel may be built without them: it then
 * says nothing but zeros, of us too, who have surely run. */
static const char *runs_name(void)
{
    static _Atomic(const char *) name;
    const char *known = name;
    if (known == NULL) {
        char text[LINE_BYTES];
        bool has_counts =
            read_line(getpid(), "schedstat", text, sizeof text) > 0 && strcmp(text, "0 0 0\n") != 0;
        name = known = has_counts ? "schedstat" : "status";
    }
    return known;
}

/* The task's own: /proc/TID/stat sums up all threads of the process. */
static const char *state_name(pid_t tid, char name[32])
{
    snprintf(name, 32, "task/%d/stat", (int)tid);
    return name;
}

void proc_thread_open(struct proc_thread *thread, pid_t tid)
{
    char name[32];
    thread->tid = tid;
    thread->state_fd = proc_open(tid, state_name(tid, name), O_RDONLY);
    thread->runs_fd = proc_open(tid, runs_name(), O_RDONLY);
    thread->call_fd = proc_open(tid, "syscall", O_RDONLY);
}

void proc_thread_close(struct proc_thread *thread)
{
    const int fds[] = {thread->state_fd, thread->runs_fd, thread->call_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *thread = (struct proc_thread){.tid = -1, .state_fd = -1, .runs_fd = -1, .call_fd = -1};
}

static bool read_text(int fd, char *text, size_t size)
{
    ssize_t length = pread(fd, text, size - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static bool read_file(int fd, pid_t tid, const char *name, char *text, size_t size)
{
    return fd >= 0 ? read_text(fd, text, size) : read_line(tid, name, text, size) > 0;
}

bool proc_thread_state(const struct proc_thread *thread, char *state)
{
    char name[32];
    char text[LINE_BYTES];
    if (!read_file(thread->state_fd, thread->tid, state_name(thread->tid, name), text, sizeof text))
        return false;
    const char *end_of_name = strrchr(text, ')'); /* the program's name, which may have one too */
    if (end_of_name == NULL || end_of_name[1] != ' ')
        return false;
    *state = end_of_name[2];
    return true;
}

/* The switches from a processor, of its own accord or not. */
static bool count_switches(const char *status, uint64_t *runs)
{
    static const char voluntary_label[] = "\nvoluntary_ctxt_switches:\t";
    static const char involuntary_label[] = "\nnonvoluntary_ctxt_switches:\t";
    const char *voluntary = strstr(status, voluntary_label);
    const char *involuntary = voluntary != NULL ? strstr(voluntary, involuntary_label) : NULL;
    if (involuntary == NULL)
        return false;
    *runs = strtoull(voluntary + sizeof voluntary_label - 1, NULL, 10) +
            strtoull(involuntary + sizeof involuntary_label - 1, NULL, 10);
    return true;
}

bool proc_thread_runs(const struct proc_thread *thread, uint64_t *runs)
{
    char text[STATUS_BYTES];
    if (!read_file(thread->runs_fd, thread->tid, runs_name(), text, sizeof text))
        return false;
    if (text[0] < '0' || text[0] > '9')
        return count_switches(text, runs);
    /* How long it has run in ns, how long it has waited to, how often it has got a processor. */
    char *end = NULL;
    uint64_t run_ns = strtoull(text, &end, 10);
    strtoull(end, &end, 10);
    *runs = run_ns + strtoull(end, NULL, 10);
    return true;
}

/* Switches are counted when a processor is left; so it must be shown that it is on none. */
bool proc_thread_has_not_run(const struct proc_thread *thread, uint64_t runs)
{
    int64_t number;
    uint64_t argument;
    uint64_t now;
    bool counts_arrivals = strcmp(runs_name(), "schedstat") == 0;
    return (counts_arrivals || proc_thread_blocked(thread, &number, &argument)) &&
           proc_thread_runs(thread, &now) && now == runs;
}

uint64_t proc_thread_number(pid_t tid, const char *label, int base)
{
    char text[STATUS_BYTES];
    if (read_line(tid, "status", text, sizeof text) <= 0)
        return 0;
    const char *at = strstr(text, label);
    return at != NULL ? strtoull(at + strlen(label), NULL, base) : 0;
}

bool proc_thread_blocked(const struct proc_thread *thread, int64_t *number, uint64_t *argument)
{
    char text[LINE_BYTES];
    if (!read_file(thread->call_fd, thread->tid, "syscall", text, sizeof text))
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
    uint64_t group = proc_thread_number(tid, "\nTgid:", 10);
    return group != 0 ? (pid_t)group : tid;
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
    char text[LINE_BYTES];
    return read_line(tid, "schedstat", text, sizeof text) > 0 ? strtoll(text, NULL, 10) : 0;
}
