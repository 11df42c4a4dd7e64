/* Reading clocks: by libc, by system call, and what is left to the kernel. */
#include "lines.h"

#include <sys/time.h>
#include <sys/times.h>

static const struct {
    clockid_t id;
    const char *name;
} clocks[] = {{CLOCK_REALTIME, "realtime"},
              {CLOCK_MONOTONIC, "monotonic"},
              {CLOCK_MONOTONIC_RAW, "raw"},
              {CLOCK_REALTIME_COARSE, "realtime coarse"},
              {CLOCK_MONOTONIC_COARSE, "monotonic coarse"},
              {CLOCK_BOOTTIME, "boottime"},
              {CLOCK_TAI, "tai"}};

enum { CLOCK_COUNT = sizeof clocks / sizeof clocks[0] };

static int64_t by_call(clockid_t id)
{
    struct timespec now = {0};
    if (syscall(SYS_clock_gettime, id, &now) != 0)
        say("clock_gettime", -1);
    return ns_of(now);
}

int main(void)
{
    int64_t before[CLOCK_COUNT];
    struct timeval time_us;
    struct tms processor;
    /* Coarse clocks lag by a tick of the kernel, in real time. */
    int64_t lag_ns = getenv("EXACT") != NULL ? 0 : 20 * MS;
    for (size_t i = 0; i < CLOCK_COUNT; i++)
        before[i] = clock_ns(clocks[i].id);
    gettimeofday(&time_us, NULL);
    int64_t us_before = time_us.tv_sec * S + time_us.tv_usec * 1000;
    clock_t ticks_before = times(&processor);
    time_t seconds_before = time(NULL);

    struct timespec wait = timespec_of(3 * S);
    nanosleep(&wait, NULL);

    for (size_t i = 0; i < CLOCK_COUNT; i++) {
        say_time(clocks[i].name, "took", clock_ns(clocks[i].id) - before[i] + lag_ns, 3 * S, true);
        say_time(clocks[i].name, "by call took", by_call(clocks[i].id) - before[i] + lag_ns, 3 * S,
                 true);
    }
    gettimeofday(&time_us, NULL);
    say_time("gettimeofday", "took", time_us.tv_sec * S + time_us.tv_usec * 1000 - us_before, 3 * S,
             true);
    syscall(SYS_gettimeofday, &time_us, NULL);
    say_time("gettimeofday by call", "took",
             time_us.tv_sec * S + time_us.tv_usec * 1000 - us_before, 3 * S, true);
    long ticks = times(&processor) - ticks_before;
    say_time("times", "took", ticks * (S / sysconf(_SC_CLK_TCK)) + lag_ns, 3 * S, true);
    say_time("time", "took", (time(NULL) - seconds_before) * S, 3 * S, true);
    time_t seconds;
    say("time by call", syscall(SYS_time, &seconds) == seconds);
    time_t earlier_s = time(NULL); /* another second may begin between */
    int64_t between_s = clock_ns(CLOCK_REALTIME) / S;
    say("time and clock agree", earlier_s <= between_s && between_s <= time(NULL));

    struct timespec now;
    say("no such clock", clock_gettime(99, &now));
    say("no such clock, by call", syscall(SYS_clock_gettime, 99, &now));
    say("nowhere", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8L));
    say("gettimeofday nowhere", syscall(SYS_gettimeofday, 8L, NULL));
    say("gettimeofday of nothing", syscall(SYS_gettimeofday, NULL, NULL));
    struct timespec resolution;
    say("clock_getres", clock_getres(CLOCK_MONOTONIC, &resolution));
    int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (volatile int i = 0; i < 1000000; i++)
        continue;
    say("processor time moves", clock_ns(CLOCK_PROCESS_CPUTIME_ID) > used);
    say("a thread's too", clock_ns(CLOCK_THREAD_CPUTIME_ID) > 0);
    clockid_t of_process;
    say("of a process", clock_getcpuclockid(0, &of_process));
    say("reads it", clock_ns(of_process) > used);

    /* A child sees the same time, also over an exec. */
    int64_t mine = now_ns();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        say_time("child", "took", now_ns() - mine, 0, true);
        _exit(0);
    }
    reap(pid);
    int64_t seconds_now = clock_ns(CLOCK_REALTIME) / S;
    FILE *date = popen("date +%s", "r");
    char line[32];
    if (fgets(line, sizeof line, date) != NULL)
        say_time("date", "took", (atoll(line) - seconds_now) * S, 0, true);
    pclose(date);
    return 0;
}
