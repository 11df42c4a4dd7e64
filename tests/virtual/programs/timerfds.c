/* timerfd: one-shot and periodic, relative and absolute, shared, and in epoll. */
#include "lines.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static int make(int clock_id, int flags)
{
    int fd = timerfd_create(clock_id, flags);
    if (fd < 0)
        say("timerfd_create", fd);
    return fd;
}

static void arm(int fd, int flags, int64_t value_ns, int64_t interval_ns)
{
    struct itimerspec setting = {.it_value = timespec_of(value_ns),
                                 .it_interval = timespec_of(interval_ns)};
    errno = 0;
    if (timerfd_settime(fd, flags, &setting, NULL) != 0)
        say("timerfd_settime", -1);
}

static void say_read(const char *name, int fd)
{
    uint64_t ticks = 77;
    errno = 0;
    ssize_t got = read(fd, &ticks, sizeof ticks);
    say(name, got);
    if (got > 0)
        printf("%s: ticks %" PRIu64 "\n", name, ticks);
}

static void sleep_ns(int64_t ns)
{
    struct timespec wait = timespec_of(ns);
    nanosleep(&wait, NULL);
}

static void one_shot(clockid_t id, const char *name)
{
    char title[64];
    struct itimerspec now;
    int fd = make(id, 0);
    int64_t start = now_ns();
    arm(fd, 0, 30 * MS, 0);
    timerfd_gettime(fd, &now);
    snprintf(title, sizeof title, "%s, at first", name);
    say_left(title, ns_of(now.it_value), 30 * MS);
    sleep_ns(10 * MS);
    timerfd_gettime(fd, &now);
    snprintf(title, sizeof title, "%s, later", name);
    say_left(title, ns_of(now.it_value), 20 * MS);
    snprintf(title, sizeof title, "%s, blocking read", name);
    say_read(title, fd);
    say_took(title, start, 30 * MS);
    timerfd_gettime(fd, &now);
    say("disarmed", ns_of(now.it_value));

    start = clock_ns(id);
    arm(fd, TFD_TIMER_ABSTIME, start + 20 * MS, 0);
    snprintf(title, sizeof title, "%s, absolute", name);
    say_read(title, fd);
    say_time(title, "took", clock_ns(id) - start, 20 * MS, true);
    arm(fd, TFD_TIMER_ABSTIME, clock_ns(id) - 20 * MS, 0);
    snprintf(title, sizeof title, "%s, in the past", name);
    say_read(title, fd);
    close(fd);
}

static void periodic(void)
{
    int fd = make(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int64_t start = now_ns();
    say_read("nothing armed", fd);
    arm(fd, 0, 100 * MS, 200 * MS);
    say_read("not yet", fd);
    sleep_ns(750 * MS); /* 100, 300, 500, 700 */
    say_read("four", fd);
    say_read("none since", fd);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    say("poll", poll(&poll_fd, 1, 10000));
    say_took("poll", start, 900 * MS);
    say_read("one", fd);
    struct itimerspec old;
    struct itimerspec never = {.it_value = {0}};
    say("disarm", timerfd_settime(fd, 0, &never, &old));
    say("interval", ns_of(old.it_interval));
    say_left("until the next", ns_of(old.it_value), 200 * MS);
    say("poll, disarmed", poll(&poll_fd, 1, 300));
    /* Ten intervals have passed already. */
    arm(fd, TFD_TIMER_ABSTIME, now_ns() - 950 * MS, 100 * MS);
    say_read("ten at once", fd);
    arm(fd, 0, 20 * MS, 0);
    sleep_ns(50 * MS);
    arm(fd, 0, 50 * MS, 0); /* forgets what was not read */
    say_read("set anew", fd);
    say("poll", poll(&poll_fd, 1, 10000));
    say_read("set anew, later", fd);
    close(fd);
}

static void in_epoll(void)
{
    int fd = make(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 5};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    int64_t start = now_ns();
    arm(fd, 0, 20 * MS, 100 * MS);
    say("epoll", epoll_wait(epoll_fd, &event, 1, -1));
    say_took("epoll", start, 20 * MS);
    say_read("one", fd);
    say("epoll, edge again", epoll_wait(epoll_fd, &event, 1, 10000));
    say_took("epoll, edge again", start, 120 * MS);
    say_read("one more", fd);
    close(fd);
    say("epoll, closed", epoll_wait(epoll_fd, &event, 1, 250));

    /* One that has expired and is closed unread leaves the epoll. */
    fd = make(CLOCK_MONOTONIC, TFD_NONBLOCK);
    event.events = EPOLLIN;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    arm(fd, 0, 20 * MS, 0);
    say("epoll, unread", epoll_wait(epoll_fd, &event, 1, 1000));
    close(fd);
    start = now_ns();
    say("epoll, closed unread", epoll_wait(epoll_fd, &event, 1, 30));
    say_took("epoll, closed unread", start, 30 * MS);
    close(epoll_fd);
}

static void shared(void)
{
    int fd = make(CLOCK_MONOTONIC, 0);
    int other = dup(fd);
    int64_t start = now_ns();
    arm(fd, 0, 30 * MS, 0);
    close(fd);
    say_read("by its duplicate", other);
    say_took("by its duplicate", start, 30 * MS);

    /* The child sets what the parent reads. */
    fflush(stdout);
    if (fork() == 0) {
        arm(other, 0, 40 * MS, 0);
        _exit(0);
    }
    wait(NULL);
    say_read("set by a child", other);
    say_took("set by a child", start, 70 * MS);

    /* The parent sets what the child sets anew: one timer, not two. */
    arm(other, 0, 20 * MS, 0);
    fflush(stdout);
    if (fork() == 0) {
        arm(other, 0, 60 * MS, 0);
        _exit(0);
    }
    wait(NULL);
    say_read("set anew by a child", other);
    say_took("set anew by a child", start, 130 * MS);

    /* The one that set it is gone. */
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        arm(other, 0, 30 * MS, 0);
        fflush(stdout);
        if (fork() == 0) {
            say_read("outlives who set it", other);
            say_took("outlives who set it", start, 160 * MS);
            _exit(0);
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    sleep_ns(50 * MS);
    close(other);
}

int main(void)
{
    one_shot(CLOCK_MONOTONIC, "monotonic");
    one_shot(CLOCK_REALTIME, "realtime");
    one_shot(CLOCK_BOOTTIME, "boottime");
    periodic();
    in_epoll();
    shared();
    int fd = make(CLOCK_MONOTONIC, 0);
    struct itimerspec wrong = {.it_value = {.tv_nsec = S}};
    say("wrong time", timerfd_settime(fd, 0, &wrong, NULL));
    say("time from nowhere", syscall(SYS_timerfd_settime, fd, 0, 8L, NULL));
    wrong.it_value.tv_nsec = 1;
    say("no timerfd", timerfd_settime(1, 0, &wrong, NULL));
    say("closed", timerfd_settime(1000, 0, &wrong, NULL));
    say("wrong flags", timerfd_settime(fd, 64, &wrong, NULL));
    struct itimerspec now;
    say("gettime of no timerfd", timerfd_gettime(1, &now));
    return 0;
}
