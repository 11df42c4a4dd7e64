/* setitimer, getitimer, alarm, timer_create, and the ways in which their signals come. */
#include "lines.h"

#include <sys/signalfd.h>
#include <sys/time.h>

static void sleep_ns(int64_t ns)
{
    struct timespec wait = timespec_of(ns);
    while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
        continue;
}

static int64_t left_of_itimer(void)
{
    struct itimerval now;
    getitimer(ITIMER_REAL, &now);
    return now.it_value.tv_sec * S + now.it_value.tv_usec * 1000;
}

static volatile sig_atomic_t code_seen;
static volatile sig_atomic_t value_seen;
static volatile sig_atomic_t thread_seen;

static void note_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    code_seen = info->si_code;
    value_seen = info->si_value.sival_int;
    thread_seen = gettid();
    signals_seen++;
}

static void handle_info(int number)
{
    struct sigaction action = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO};
    sigaction(number, &action, NULL);
}

static void with_setitimer(void)
{
    struct itimerval once = {.it_value.tv_usec = 30000};
    struct itimerval old;
    handle_info(SIGALRM);
    int64_t start = now_ns();
    say("setitimer", setitimer(ITIMER_REAL, &once, NULL));
    say_left("setitimer", left_of_itimer(), 30 * MS);
    say("pause", pause());
    say_took("pause", start, 30 * MS);
    say("signals", signals_seen);
    say("from the kernel", code_seen == SI_KERNEL);
    say("disarmed", left_of_itimer());

    signals_seen = 0;
    struct itimerval often = {.it_value.tv_usec = 100000, .it_interval.tv_usec = 200000};
    setitimer(ITIMER_REAL, &often, NULL);
    start = now_ns();
    sleep_ns(800 * MS);
    say("periodic", signals_seen);
    struct itimerval never = {.it_value.tv_sec = 0};
    say("setitimer, old", setitimer(ITIMER_REAL, &never, &old));
    say("interval", old.it_interval.tv_usec);
    say("value is set", old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 200000);
    struct timespec wait = timespec_of(300 * MS);
    say("no more", nanosleep(&wait, NULL));
    struct itimerval wrong = {.it_value.tv_usec = 1000000};
    say("wrong", setitimer(ITIMER_REAL, &wrong, NULL));
    say("no such", setitimer(7, &never, NULL));

    /* Not inherited by a child, kept over an exec. */
    setitimer(ITIMER_REAL, &once, NULL);
    fflush(stdout);
    if (fork() == 0) {
        say("in the child", left_of_itimer());
        _exit(0);
    }
    while (wait4(-1, NULL, 0, NULL) < 0)
        continue;
    sleep_ns(50 * MS);
}

static void with_alarm(void)
{
    signals_seen = 0;
    handle(SIGALRM, count_signal, 0);
    int64_t start = now_ns();
    say("alarm", alarm(100));
    say("alarm again", alarm(1));
    say("pause", pause());
    say_took("pause", start, S);
    say("signals", signals_seen);
    alarm(1);
    say("alarm off", alarm(0));
    /* What ends a program that handles no alarm. */
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(1);
        for (;;)
            pause();
    }
    int status;
    waitpid(pid, &status, 0);
    say("killed by", WTERMSIG(status));
    say_took("killed by", start, 2 * S);
}

static void with_blocked_signals(void)
{
    sigset_t set;
    sigset_t other;
    siginfo_t info;
    struct signalfd_siginfo read_info;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigemptyset(&other);
    sigaddset(&other, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);

    int64_t start = now_ns();
    struct itimerval once = {.it_value.tv_usec = 20000};
    setitimer(ITIMER_REAL, &once, NULL);
    printf("sigwait: %s\n", error_name(sigwait(&set, &number)));
    say_took("sigwait", start, 20 * MS);
    start = now_ns();
    setitimer(ITIMER_REAL, &once, NULL);
    struct timespec wait = timespec_of(S);
    say("sigtimedwait", sigtimedwait(&set, &info, &wait) == SIGALRM);
    say_took("sigtimedwait", start, 20 * MS);
    start = now_ns();
    wait = timespec_of(30 * MS);
    say("sigtimedwait, time-out", sigtimedwait(&set, &info, &wait));
    say_took("sigtimedwait, time-out", start, 30 * MS);
    wait = timespec_of(0);
    say("sigtimedwait, 0", sigtimedwait(&set, &info, &wait));
    wait.tv_nsec = S;
    say("sigtimedwait, wrong", sigtimedwait(&set, &info, &wait));
    handle(SIGUSR1, count_signal, 0);
    pid_t pid = send_later(SIGUSR1, 10 * MS);
    wait = timespec_of(S);
    start = now_ns();
    say("sigtimedwait, handler", sigtimedwait(&set, &info, &wait));
    say_took("sigtimedwait, handler", start, 10 * MS);
    reap(pid);
    pid = send_later(SIGALRM, 10 * MS);
    start = now_ns();
    say("sigtimedwait, sent", sigtimedwait(&set, &info, &wait) == SIGALRM);
    say_took("sigtimedwait, sent", start, 10 * MS);
    say("by the child", info.si_pid == pid);
    reap(pid);

    int fd = signalfd(-1, &set, 0);
    start = now_ns();
    setitimer(ITIMER_REAL, &once, NULL);
    say("signalfd", read(fd, &read_info, sizeof read_info));
    say_took("signalfd", start, 20 * MS);
    say("signo", read_info.ssi_signo == SIGALRM);
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static timer_t timer;

static void set_timer(int flags, int64_t value_ns, int64_t interval_ns)
{
    struct itimerspec setting = {.it_value = timespec_of(value_ns),
                                 .it_interval = timespec_of(interval_ns)};
    errno = 0;
    if (timer_settime(timer, flags, &setting, NULL) != 0)
        say("timer_settime", -1);
}

static int64_t left_of_timer(void)
{
    struct itimerspec now;
    timer_gettime(timer, &now);
    return ns_of(now.it_value);
}

static void count_in_thread(union sigval value)
{
    value_seen = value.sival_int;
    signals_seen++;
}

static void *sleep_in_thread(void *result)
{
    *(pid_t *)result = gettid();
    usleep(200000);
    return NULL;
}

static void with_timer_create(void)
{
    signals_seen = 0;
    handle_info(SIGUSR1);
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    say("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer));
    int64_t start = now_ns();
    set_timer(0, 30 * MS, 0);
    say_left("timer", left_of_timer(), 30 * MS);
    say("pause", pause());
    say_took("pause", start, 30 * MS);
    say("of a timer", code_seen == SI_TIMER);
    say("value", value_seen);
    start = now_ns();
    set_timer(TIMER_ABSTIME, start + 20 * MS, 0);
    say("pause", pause());
    say_took("absolute", start, 20 * MS);
    say("overrun", timer_getoverrun(timer));
    signals_seen = 0;
    set_timer(0, 100 * MS, 200 * MS);
    sleep_ns(800 * MS);
    say("periodic", signals_seen);

    /* While it is blocked, one signal stands for all. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals_seen = 0;
    set_timer(0, 100 * MS, 200 * MS);
    sleep_ns(800 * MS);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    say("blocked", signals_seen);
    say("overrun", timer_getoverrun(timer));
    say("timer_delete", timer_delete(timer));
    say("deleted", timer_delete(timer));
    struct timespec wait = timespec_of(300 * MS);
    say("no more", nanosleep(&wait, NULL));

    event.sigev_notify = SIGEV_NONE;
    timer_create(CLOCK_REALTIME, &event, &timer);
    set_timer(0, 30 * MS, 0);
    wait = timespec_of(20 * MS);
    nanosleep(&wait, NULL);
    say_left("of none", left_of_timer(), 10 * MS);
    wait = timespec_of(50 * MS);
    say("of none, sleeps on", nanosleep(&wait, NULL));
    say("of none, past", left_of_timer());
    timer_delete(timer);

    signals_seen = 0;
    value_seen = 0;
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD,
                              .sigev_notify_function = count_in_thread,
                              .sigev_value.sival_int = 43};
    say("timer_create, thread", timer_create(CLOCK_MONOTONIC, &event, &timer));
    set_timer(0, 20 * MS, 0);
    sleep_ns(100 * MS);
    say("in a thread", signals_seen);
    say("value", value_seen);
    timer_delete(timer);

    pthread_t thread;
    pid_t tid = 0;
    signals_seen = 0;
    pthread_create(&thread, NULL, sleep_in_thread, &tid);
    sleep_ns(MS);
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event._sigev_un._tid = tid;
    say("timer_create, to a thread", timer_create(CLOCK_BOOTTIME, &event, &timer));
    set_timer(0, 20 * MS, 0);
    pthread_join(thread, NULL);
    say("signals", signals_seen);
    say("to the thread", thread_seen == tid);
    timer_delete(timer);

    struct itimerspec wrong = {.it_value.tv_nsec = S};
    timer_create(CLOCK_MONOTONIC, NULL, &timer);
    say("wrong", timer_settime(timer, 0, &wrong, NULL));
    say("no timer", timer_settime((timer_t)777, 0, &wrong, NULL));
    timer_delete(timer);
    event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    say("processor time", timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer));
    set_timer(0, MS, 0);
    signals_seen = 0;
    for (volatile int i = 0; signals_seen == 0 && i < 2000000000; i++)
        continue;
    say("processor time has come", signals_seen > 0);
}

int main(void)
{
    with_setitimer();
    with_alarm();
    with_blocked_signals();
    with_timer_create();
    return 0;
}
