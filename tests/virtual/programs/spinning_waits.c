/* A time-out that has passed already ends its wait at once, also while another thread computes. */
#include "lines.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/timerfd.h>

static atomic_bool is_done;

static void *compute(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_done))
        continue;
    return NULL;
}

int main(void)
{
    pthread_t thread;
    uint32_t word = 0;
    uint64_t ticks;
    handle(SIGALRM, count_signal, 0);
    /* Signals are for this thread: the other could take one, and handle it later. */
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_create(&thread, NULL, compute, NULL);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    struct timespec past = timespec_of(now_ns() - S);
    struct timespec zero = timespec_of(0);
    say("futex", syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &past, NULL, -1));
    say("futex of 0", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &zero, NULL, 0));
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec setting = {.it_value = past};
    say("timerfd_settime", timerfd_settime(fd, TFD_TIMER_ABSTIME, &setting, NULL));
    say("read", read(fd, &ticks, sizeof ticks));
    timer_t timer;
    say("timer_create", timer_create(CLOCK_MONOTONIC, NULL, &timer));
    say("timer_settime", timer_settime(timer, TIMER_ABSTIME, &setting, NULL));
    say("signals", signals_seen);
    atomic_store(&is_done, true);
    pthread_join(thread, NULL);
    return 0;
}
