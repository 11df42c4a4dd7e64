/* nanosleep, clock_nanosleep, sleep, usleep: all clocks, relative and absolute, and all ends. */
#include "lines.h"

static void sleeps_its_time(void)
{
    struct timespec wait = timespec_of(20 * MS);
    int64_t start = now_ns();
    say("nanosleep", nanosleep(&wait, NULL));
    say_took("nanosleep", start, 20 * MS);
    start = now_ns();
    say("usleep", usleep(20001));
    say_took("usleep", start, 20001000);
    wait = timespec_of(0);
    start = now_ns();
    say("nanosleep of 0", nanosleep(&wait, NULL));
    wait = timespec_of(1);
    start = now_ns();
    say("nanosleep of 1 ns", nanosleep(&wait, NULL));
    say_took("nanosleep of 1 ns", start, 1);
}

static void refuses_what_is_wrong(void)
{
    struct timespec wrong = {.tv_sec = 0, .tv_nsec = S};
    say("nanosleep of too many ns", nanosleep(&wrong, NULL));
    wrong = (struct timespec){.tv_sec = -1};
    say("nanosleep of less than 0", nanosleep(&wrong, NULL));
    say("nanosleep from nowhere", syscall(SYS_nanosleep, (void *)8, NULL));
    printf("clock_nanosleep of less than 0: %s\n",
           error_name(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL)));
    printf("clock_nanosleep to less than 0: %s\n",
           error_name(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wrong, NULL)));
    struct timespec right = timespec_of(MS);
    printf("clock_nanosleep on no clock: %s\n", error_name(clock_nanosleep(999, 0, &right, NULL)));
    printf("clock_nanosleep on a thread's clock: %s\n",
           error_name(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &right, NULL)));
}

static void sleeps_on_each_clock(void)
{
    static const struct {
        clockid_t id;
        const char *name;
    } clocks[] = {{CLOCK_MONOTONIC, "monotonic"},
                  {CLOCK_REALTIME, "realtime"},
                  {CLOCK_BOOTTIME, "boottime"},
                  {CLOCK_TAI, "tai"}};
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        clockid_t id = clocks[i].id;
        struct timespec wait = timespec_of(10 * MS);
        int64_t start = clock_ns(id);
        printf("%s, relative: %s\n", clocks[i].name,
               error_name(clock_nanosleep(id, 0, &wait, NULL)));
        say_time(clocks[i].name, "took", clock_ns(id) - start, 10 * MS, true);
        start = clock_ns(id);
        wait = timespec_of(start + 10 * MS);
        printf("%s, absolute: %s\n", clocks[i].name,
               error_name(clock_nanosleep(id, TIMER_ABSTIME, &wait, NULL)));
        say_time(clocks[i].name, "took", clock_ns(id) - start, 10 * MS, true);
        wait = timespec_of(start - 10 * MS);
        printf("%s, in the past: %s\n", clocks[i].name,
               error_name(clock_nanosleep(id, TIMER_ABSTIME, &wait, NULL)));
    }
}

static void is_interrupted(int flags, const char *name)
{
    handle(SIGUSR1, count_signal, flags);
    signals_seen = 0;
    struct timespec left = {7, 7};
    struct timespec wait = timespec_of(200 * MS);
    int64_t start = now_ns();
    pid_t pid = send_later(SIGUSR1, 50 * MS);
    say(name, nanosleep(&wait, &left));
    say_took(name, start, 50 * MS);
    say_left(name, ns_of(left), 150 * MS);
    say("handlers run", signals_seen);
    reap(pid);
    /* The rest, in the same place of the program: a wait of its own. */
    start = now_ns();
    int64_t rest = ns_of(left);
    say("the rest", nanosleep(&left, &left));
    say_time("the rest", "took", now_ns() - start + 150 * MS - rest, 150 * MS, true);

    left = (struct timespec){7, 7};
    start = now_ns();
    pid = send_later(SIGUSR1, 50 * MS);
    struct timespec until = timespec_of(now_ns() + 200 * MS);
    printf("%s, absolute: %s\n", name,
           error_name(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &left)));
    say_took(name, start, 50 * MS);
    say("left as it was", ns_of(left));
    reap(pid);
}

static void goes_on_after(int number, const char *name)
{
    struct timespec left = {7, 7};
    struct timespec wait = timespec_of(100 * MS);
    int64_t start = now_ns();
    pid_t pid = send_later(number, 30 * MS);
    say(name, nanosleep(&wait, &left));
    say_took(name, start, 100 * MS);
    reap(pid);
}

static void goes_on_after_stop(int64_t stopped_ns, int64_t expected_ns, const char *name)
{
    struct timespec wait = timespec_of(100 * MS);
    int64_t start = now_ns();
    pid_t pid = stop_later(30 * MS, stopped_ns);
    say(name, nanosleep(&wait, &wait));
    say_took(name, start, expected_ns);
    reap(pid);
}

static void *sleep_long(void *name)
{
    (void)name;
    sleep(1000);
    return NULL;
}

static void is_cancelled(void)
{
    pthread_t thread;
    void *result;
    int64_t start = now_ns();
    pthread_create(&thread, NULL, sleep_long, NULL);
    usleep(20000);
    say("pthread_cancel", pthread_cancel(thread));
    pthread_join(thread, &result);
    say("cancelled", result == PTHREAD_CANCELED);
    say_took("cancelled", start, 20 * MS);
}

static void is_killed(void)
{
    int64_t start = now_ns();
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        sleep(1000);
        _exit(0);
    }
    usleep(20000);
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    say("killed by", WTERMSIG(status));
    say_took("killed", start, 20 * MS);
}

int main(void)
{
    sleeps_its_time();
    refuses_what_is_wrong();
    sleeps_on_each_clock();
    is_interrupted(0, "interrupted");
    is_interrupted(SA_RESTART, "interrupted with SA_RESTART");
    signal(SIGUSR2, SIG_IGN);
    goes_on_after(SIGUSR2, "ignored signal");
    goes_on_after(SIGCONT, "SIGCONT");
    goes_on_after(SIGCHLD, "SIGCHLD");
    goes_on_after_stop(20 * MS, 100 * MS, "stopped for a while");
    goes_on_after_stop(300 * MS, 330 * MS, "stopped past the end");
    is_cancelled();
    is_killed();
    handle(SIGALRM, count_signal, 0);
    alarm(1);
    int64_t start = now_ns();
    unsigned left = sleep(3); /* 2 s but for what the machine is late by; cut to whole seconds */
    say("sleep, with an alarm", left == 1 || left == 2);
    say_took("sleep, with an alarm", start, S);
    return 0;
}
