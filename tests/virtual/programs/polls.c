/* poll, ppoll, select, pselect, epoll_wait, epoll_pwait, epoll_pwait2. */
#include "lines.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static int ends[2];
static int epoll_fd;

enum { POLL, PPOLL, SELECT, PSELECT, EPOLL_WAIT, EPOLL_PWAIT, EPOLL_PWAIT2, KINDS };

static const char *const names[KINDS] = {"poll",       "ppoll",       "select",      "pselect",
                                         "epoll_wait", "epoll_pwait", "epoll_pwait2"};

static int64_t left_ns;
static bool is_in_set;

/* Waits for the pipe, by system calls where libc hides what Linux tells. */
static int64_t wait_by(int kind, int64_t ns, const sigset_t *mask)
{
    struct pollfd poll_fd = {.fd = ends[0], .events = POLLIN, .revents = 77};
    struct epoll_event event = {.events = 99};
    struct timespec time = timespec_of(ns);
    struct timeval time_us = {.tv_sec = ns / S, .tv_usec = ns % S / 1000};
    struct {
        const sigset_t *mask;
        size_t size;
    } mask_argument = {mask, 8};
    fd_set set;
    int64_t result;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    errno = 0;
    left_ns = -1;
    switch (kind) {
    case POLL:
        result = poll(&poll_fd, 1, (int)(ns / MS));
        is_in_set = poll_fd.revents == POLLIN;
        if (poll_fd.revents == 77)
            printf("revents as they were\n");
        return result;
    case PPOLL:
        result = syscall(SYS_ppoll, &poll_fd, 1, &time, mask, 8);
        is_in_set = poll_fd.revents == POLLIN;
        left_ns = ns_of(time);
        return result;
    case SELECT:
        result = select(ends[0] + 1, &set, NULL, NULL, &time_us);
        is_in_set = FD_ISSET(ends[0], &set);
        left_ns = time_us.tv_sec * S + time_us.tv_usec * 1000;
        return result;
    case PSELECT:
        result = syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &time, &mask_argument);
        is_in_set = FD_ISSET(ends[0], &set);
        left_ns = ns_of(time);
        return result;
    case EPOLL_WAIT:
        result = epoll_wait(epoll_fd, &event, 1, (int)(ns / MS));
        break;
    case EPOLL_PWAIT:
        result = epoll_pwait(epoll_fd, &event, 1, (int)(ns / MS), mask);
        break;
    default:
        result = syscall(SYS_epoll_pwait2, epoll_fd, &event, 1, &time, mask, 8);
        break;
    }
    is_in_set = event.events == EPOLLIN;
    return result;
}

static void say_wait(const char *name, int kind, int64_t ns, const sigset_t *mask,
                     int64_t expected_ns)
{
    char title[128];
    int64_t start = now_ns();
    snprintf(title, sizeof title, "%s, %s", names[kind], name);
    int64_t result = wait_by(kind, ns, mask);
    int64_t took = now_ns() - start;
    int64_t head_start_ns = head_start(start);
    say(title, result);
    say_time(title, "took", took + head_start_ns, expected_ns, true);
    if (left_ns >= 0)
        say_left(title, left_ns - head_start_ns, ns - expected_ns);
    printf("%s: set %d\n", title, is_in_set);
}

static pid_t write_later(int64_t after_ns)
{
    fflush(stdout);
    begin_sender();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct timespec wait = timespec_of(after_ns);
    nanosleep(&wait, NULL);
    _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
}

static void all_ends(int kind)
{
    sigset_t without;
    sigset_t with;
    char byte;
    sigemptyset(&without);
    sigemptyset(&with);
    sigaddset(&with, SIGUSR1);

    say_wait("time-out", kind, 20 * MS, NULL, 20 * MS);
    say_wait("time-out 0", kind, 0, NULL, 0);

    pid_t pid = write_later(10 * MS);
    say_wait("event", kind, 500 * MS, NULL, 10 * MS);
    reap(pid);
    say_wait("event that is there", kind, 500 * MS, NULL, 0);
    say("read", read(ends[0], &byte, 1));

    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        handle(SIGUSR1, count_signal, flags);
        signals_seen = 0;
        pid = send_later(SIGUSR1, 30 * MS);
        say_wait(flags == 0 ? "handler" : "handler with SA_RESTART", kind, 500 * MS, NULL, 30 * MS);
        say("handlers run", signals_seen);
        reap(pid);
    }
    if (kind == PPOLL || kind == PSELECT || kind == EPOLL_PWAIT || kind == EPOLL_PWAIT2) {
        /* Blocked, pending, and let in by the call alone. */
        signals_seen = 0;
        sigprocmask(SIG_BLOCK, &with, NULL);
        raise(SIGUSR1);
        say_wait("pending signal let in", kind, 500 * MS, &without, 0);
        say("handlers run", signals_seen);
        pid = send_later(SIGUSR1, 30 * MS);
        say_wait("later signal let in", kind, 500 * MS, &without, 30 * MS);
        say("handlers run", signals_seen);
        reap(pid);
        sigprocmask(SIG_UNBLOCK, &with, NULL);
        /* Kept out by the call alone. */
        pid = send_later(SIGUSR1, 10 * MS);
        say_wait("signal kept out", kind, 60 * MS, &with, 60 * MS);
        say("handlers run", signals_seen);
        reap(pid);
    }
    if (kind < EPOLL_WAIT) {
        pid = stop_later(10 * MS, 20 * MS);
        say_wait("stopped for a while", kind, 100 * MS, NULL, 100 * MS);
        reap(pid);
        pid = stop_later(10 * MS, 200 * MS);
        int64_t start = now_ns();
        say("stopped past the end", wait_by(kind, 100 * MS, NULL));
        say_took("stopped past the end", start, 210 * MS);
        reap(pid);
    } else {
        /* Linux ends epoll_wait when its process is stopped and goes on (signal(7)). */
        pid = stop_later(10 * MS, 20 * MS);
        say_wait("stopped for a while", kind, 100 * MS, NULL, 30 * MS);
        reap(pid);
    }
}

static void refuses_what_is_wrong(void)
{
    struct timespec wrong = {.tv_nsec = S};
    struct timeval wrong_us = {.tv_sec = -1};
    struct epoll_event event;
    struct pollfd none = {.fd = -1};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(1000, &set);
    say("ppoll, wrong time", syscall(SYS_ppoll, &none, 1, &wrong, NULL, 8));
    say("ppoll, time from nowhere", syscall(SYS_ppoll, &none, 1, 8L, NULL, 8));
    say("select, wrong time", select(0, NULL, NULL, NULL, &wrong_us));
    wrong_us = (struct timeval){.tv_usec = 20000};
    say("select, closed descriptor", select(1001, &set, NULL, NULL, &wrong_us));
    say("epoll_wait, no room", epoll_wait(epoll_fd, &event, 0, 20));
    say("epoll_wait, no epoll", epoll_wait(ends[0], &event, 1, 20));
    say("epoll_wait, closed", epoll_wait(1000, &event, 1, 20));
    say("poll, nowhere", syscall(SYS_poll, 8L, 1, 20));
    say("poll, nothing", poll(NULL, 0, 20));
    say("poll, closed", poll(&(struct pollfd){.fd = 1000, .events = POLLIN}, 1, 20));
}

/* select looks at no more bits than there can be descriptors, and writes no more. */
static void selects_with_large_count(void)
{
    uint64_t sets[1024 + 1];
    memset(sets, 0, sizeof sets);
    for (size_t i = 16; i < sizeof sets / sizeof sets[0]; i++)
        sets[i] = 0x5a5a5a5a5a5a5a5a;
    struct timeval time = {.tv_usec = 10000};
    sets[0] = UINT64_C(1) << ends[0];
    say("select, large count", syscall(SYS_select, 65536, sets, NULL, NULL, &time));
    bool is_intact = true;
    for (size_t i = 16; i < sizeof sets / sizeof sets[0]; i++)
        is_intact = is_intact && sets[i] == 0x5a5a5a5a5a5a5a5a;
    say("select, large count: set", (int64_t)sets[0]);
    say("select, large count: the rest as it was", is_intact);
}

static void *poll_long(void *unused)
{
    (void)unused;
    poll(NULL, 0, 1000000);
    return NULL;
}

int main(void)
{
    if (pipe(ends) != 0)
        return 1;
    epoll_fd = epoll_create1(0);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &(struct epoll_event){.events = EPOLLIN});
    for (int kind = 0; kind < KINDS; kind++)
        all_ends(kind);
    refuses_what_is_wrong();
    selects_with_large_count();
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, poll_long, NULL);
    usleep(1000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    say("cancelled", result == PTHREAD_CANCELED);
    return 0;
}
