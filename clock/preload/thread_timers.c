/* Timers of timer_create() that start a thread at each expiry (SIGEV_THREAD). libc has a thread
 * that waits for the kernel's signals; here each timer has one that waits until its time, as any
 * thread does. Creating one allocates, as in libc. */
#include "clock/preload/library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { THREAD_TIMERS_MAX = 256 };

/* timer_t of ours, which neither those of libc nor of timers.c look like. */
#define THREAD_TIMER_FROM UINT64_C(0x0074696d65800000)

struct thread_timer {
    pid_t pid; /* a child does not have it */
    clockid_t clock;
    void (*function)(union sigval value);
    union sigval value;
    size_t stack_size; /* 0: as usual */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_deleted;
    int64_t due_ns; /* PAGE_NEVER: not set */
    int64_t interval_ns;
};

static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct thread_timer *table[THREAD_TIMERS_MAX];

static void *notify(void *argument)
{
    struct thread_timer copy = *(struct thread_timer *)argument;
    sigset_t none;
    free(argument);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    copy.function(copy.value);
    return NULL;
}

static void start_thread(const struct thread_timer *timer)
{
    pthread_t thread;
    pthread_attr_t attributes;
    struct thread_timer *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return; /* an expiry that is lost, as libc loses it */
    *copy = *timer;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (timer->stack_size != 0)
        pthread_attr_setstacksize(&attributes, timer->stack_size);
    if (pthread_create(&thread, &attributes, notify, copy) != 0)
        free(copy);
    pthread_attr_destroy(&attributes);
}

static void wait_for_change(struct thread_timer *timer)
{
    struct timespec until = ns_timespec(page->monotonic_start_ns + timer->due_ns);
    if (timer->due_ns == PAGE_NEVER)
        pthread_cond_wait(&timer->changed, &timer->mutex);
    else
        pthread_cond_clockwait(&timer->changed, &timer->mutex, CLOCK_MONOTONIC, &until);
}

static void *keep_time(void *argument)
{
    struct thread_timer *timer = argument;
    pthread_mutex_lock(&timer->mutex);
    while (!timer->is_deleted) {
        if (timer->due_ns == PAGE_NEVER || timer->due_ns > now_ns()) {
            wait_for_change(timer);
            continue;
        }
        timer->due_ns = timer->interval_ns > 0 ? timer->due_ns + timer->interval_ns : PAGE_NEVER;
        start_thread(timer);
    }
    pthread_mutex_unlock(&timer->mutex);
    pthread_mutex_destroy(&timer->mutex);
    pthread_cond_destroy(&timer->changed);
    free(timer);
    return NULL;
}

/* Without signals: they are the program's. */
static bool start_keeper(struct thread_timer *timer)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started = pthread_create(&thread, &attributes, keep_time, timer) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return is_started;
}

static pid_t present_pid(void)
{
    return (pid_t)RAW(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static int place_of(timer_t id)
{
    uint64_t number;
    memcpy(&number, &id, sizeof number);
    bool is_ours = number >= THREAD_TIMER_FROM && number < THREAD_TIMER_FROM + THREAD_TIMERS_MAX;
    return is_ours ? (int)(number - THREAD_TIMER_FROM) : -1;
}

bool thread_timer_has(timer_t id)
{
    return place_of(id) >= 0;
}

/* Locked; NULL with errno when there is none. */
static struct thread_timer *lock_timer(timer_t id)
{
    pthread_mutex_lock(&table_mutex);
    struct thread_timer *timer = table[place_of(id)];
    if (timer != NULL && timer->pid == present_pid())
        pthread_mutex_lock(&timer->mutex);
    else
        timer = NULL;
    pthread_mutex_unlock(&table_mutex);
    if (timer == NULL)
        errno = EINVAL;
    return timer;
}

int thread_timer_create(clockid_t clock, const struct sigevent *event, timer_t *id)
{
    struct thread_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        errno = EAGAIN;
        return -1;
    }
    *timer = (struct thread_timer){.pid = present_pid(),
                                   .clock = clock,
                                   .function = event->sigev_notify_function,
                                   .value = event->sigev_value,
                                   .due_ns = PAGE_NEVER};
    pthread_mutex_init(&timer->mutex, NULL);
    pthread_cond_init(&timer->changed, NULL);
    if (event->sigev_notify_attributes != NULL)
        pthread_attr_getstacksize(event->sigev_notify_attributes, &timer->stack_size);
    pthread_mutex_lock(&table_mutex);
    size_t place = 0;
    while (place < THREAD_TIMERS_MAX && table[place] != NULL && table[place]->pid == timer->pid)
        place++;
    bool is_started = place < THREAD_TIMERS_MAX && start_keeper(timer);
    if (is_started)
        table[place] = timer;
    pthread_mutex_unlock(&table_mutex);
    if (!is_started) {
        free(timer);
        errno = EAGAIN;
        return -1;
    }
    uint64_t number = THREAD_TIMER_FROM + place;
    memcpy(id, &number, sizeof number);
    return 0;
}

static struct itimerspec state_of(const struct thread_timer *timer)
{
    int64_t left_ns = timer->due_ns - now_ns();
    if (timer->due_ns == PAGE_NEVER)
        left_ns = 0;
    else if (left_ns < 1)
        left_ns = 1;
    return (struct itimerspec){.it_value = ns_timespec(left_ns),
                               .it_interval = ns_timespec(timer->interval_ns)};
}

int thread_timer_set(timer_t id, int flags, const struct itimerspec *wanted,
                     struct itimerspec *before)
{
    int64_t value_ns = timespec_ns(&wanted->it_value);
    int64_t interval_ns = timespec_ns(&wanted->it_interval);
    int64_t origin = 0;
    if (value_ns < 0 || interval_ns < 0) {
        errno = EINVAL;
        return -1;
    }
    struct thread_timer *timer = lock_timer(id);
    if (timer == NULL)
        return -1;
    if (before != NULL)
        *before = state_of(timer);
    bool is_absolute = (flags & TIMER_ABSTIME) != 0 && clock_origin(timer->clock, &origin);
    int64_t due_ns = is_absolute ? value_ns - origin : now_ns() + value_ns;
    timer->due_ns = value_ns == 0 ? PAGE_NEVER : due_ns;
    timer->interval_ns = interval_ns;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->mutex);
    return 0;
}

int thread_timer_get(timer_t id, struct itimerspec *state)
{
    struct thread_timer *timer = lock_timer(id);
    if (timer == NULL)
        return -1;
    *state = state_of(timer);
    pthread_mutex_unlock(&timer->mutex);
    return 0;
}

int thread_timer_delete(timer_t id)
{
    struct thread_timer *timer = lock_timer(id);
    if (timer == NULL)
        return -1;
    table[place_of(id)] = NULL;
    timer->is_deleted = true;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->mutex); /* its thread frees it */
    return 0;
}
