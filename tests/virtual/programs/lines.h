/* lines: what the programs of this folder print, the same in real and in virtual time.
 *
 * A program says line by line what its calls returned. How long something took is said as what
 * was expected of it: in virtual time (EXACT is set) to the nanosecond, in real time at least that
 * and not senselessly more. Times are short, for the runs in real time.
 */
#ifndef LINES_H
#define LINES_H

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

/* A machine under load may be late by this much without the program being wrong. */
#define LATE_NS (20 * S)

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return now.tv_sec * S + now.tv_nsec;
}

static inline int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static inline struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / S, .tv_nsec = ns % S};
}

static inline int64_t ns_of(struct timespec time)
{
    return time.tv_sec * S + time.tv_nsec;
}

/* The name of an errno, 0 for 0. */
static inline const char *error_name(int error_number)
{
    return error_number == 0 ? "0" : strerrorname_np(error_number);
}

/* "NAME: RESULT ERRNO": what a call returned. */
static inline void say(const char *name, int64_t result)
{
    int error_number = errno;
    printf("%s: %" PRId64, name, result);
    if (result == -1)
        printf(" %s", error_name(error_number));
    printf("\n");
    fflush(stdout);
    errno = 0;
}

/* How a time of `ns` compares with `expected_ns`. `more`: it may be longer in real time. */
static inline void say_time(const char *name, const char *what, int64_t ns, int64_t expected_ns,
                            bool more)
{
    bool is_exact = getenv("EXACT") != NULL;
    int64_t late_ns = ns - expected_ns;
    bool is_right = is_exact ? late_ns == 0
                    : more   ? late_ns >= 0 && late_ns < LATE_NS
                             : late_ns <= 0 && late_ns > -LATE_NS;
    if (is_right)
        printf("%s: %s %" PRId64 " ns\n", name, what, expected_ns);
    else
        printf("%s: %s %" PRId64 " ns instead of %" PRId64 "\n", name, what, ns, expected_ns);
    fflush(stdout);
}

/* Who is to end a wait by and by begins to sleep before it, which real time shows. */
static int64_t sender_began_ns;

static inline void begin_sender(void)
{
    sender_began_ns = now_ns();
}

/* How much earlier than at start_ns that was; 0 where nobody is to end the wait. */
static inline int64_t head_start(int64_t start_ns)
{
    bool is_earlier = sender_began_ns != 0 && sender_began_ns < start_ns;
    int64_t ns = is_earlier && getenv("EXACT") == NULL ? start_ns - sender_began_ns : 0;
    sender_began_ns = 0;
    return ns;
}

static inline void say_took(const char *name, int64_t start_ns, int64_t expected_ns)
{
    int error_number = errno;
    say_time(name, "took", now_ns() - start_ns + head_start(start_ns), expected_ns, true);
    errno = error_number;
}

static inline void say_left(const char *name, int64_t left_ns, int64_t expected_ns)
{
    int error_number = errno;
    say_time(name, "left", left_ns, expected_ns, false);
    errno = error_number;
}

/* A signal handler that only counts. */
static volatile sig_atomic_t signals_seen;

static inline void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

static inline void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

/* A child that sends `number` to its parent after `after_ns`. */
static inline pid_t send_later(int number, int64_t after_ns)
{
    pid_t target = getpid();
    fflush(stdout);
    begin_sender();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct timespec wait = timespec_of(after_ns);
    nanosleep(&wait, NULL);
    kill(target, number);
    _exit(0);
}

/* A child that stops its parent after `after_ns`, and lets it go on `for_ns` later. */
static inline pid_t stop_later(int64_t after_ns, int64_t for_ns)
{
    pid_t target = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct timespec wait = timespec_of(after_ns);
    nanosleep(&wait, NULL);
    kill(target, SIGSTOP);
    wait = timespec_of(for_ns);
    nanosleep(&wait, NULL);
    kill(target, SIGCONT);
    _exit(0);
}

static inline void reap(pid_t pid)
{
    int error_number = errno;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    errno = error_number;
}

#endif
