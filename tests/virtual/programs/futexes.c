/* Timed waits on futexes, by system call and by pthread functions. */
#include "lines.h"

#include <linux/futex.h>
#include <semaphore.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* As <linux/futex.h> has it since 5.16. */
struct waiter {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

static uint32_t word;
static uint32_t second;

static int64_t wait_on(int operation, uint32_t value, const struct timespec *time)
{
    errno = 0;
    return syscall(SYS_futex, &word, operation, value, time, &second, FUTEX_BITSET_MATCH_ANY);
}

static int64_t wait_on_vector(const struct timespec *time, clockid_t id)
{
    struct waiter waiters[2] = {{.value = 0, .address = (uintptr_t)&word, .flags = 2},
                                {.value = 0, .address = (uintptr_t)&second, .flags = 2}};
    errno = 0;
    return syscall(SYS_futex_waitv, waiters, 2, 0, time, id);
}

enum { RELATIVE, BITSET, BITSET_REALTIME, LOCK_PI, LOCK_PI2, VECTOR, VECTOR_REALTIME, KINDS };

static const char *const names[KINDS] = {"wait",          "wait_bitset", "wait_bitset realtime",
                                         "lock_pi",       "lock_pi2",    "waitv",
                                         "waitv realtime"};

static int64_t wait_by(int kind, int64_t ns)
{
    struct timespec relative = timespec_of(ns);
    struct timespec monotonic = timespec_of(clock_ns(CLOCK_MONOTONIC) + ns);
    struct timespec realtime = timespec_of(clock_ns(CLOCK_REALTIME) + ns);
    switch (kind) {
    case RELATIVE:
        return wait_on(FUTEX_WAIT, word, &relative);
    case BITSET:
        return wait_on(FUTEX_WAIT_BITSET_PRIVATE, word, &monotonic);
    case BITSET_REALTIME:
        return wait_on(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, word, &realtime);
    case LOCK_PI:
        return wait_on(FUTEX_LOCK_PI, 0, &realtime);
    case LOCK_PI2:
        return wait_on(FUTEX_LOCK_PI2, 0, &monotonic);
    case VECTOR:
        return wait_on_vector(&monotonic, CLOCK_MONOTONIC);
    default:
        return wait_on_vector(&realtime, CLOCK_REALTIME);
    }
}

static volatile bool hold;
static sem_t is_held;

/* Owns the word's lock, as the kernel's PI futexes want it: by thread id. */
static void *own(void *unused)
{
    (void)unused;
    word = (uint32_t)gettid();
    sem_post(&is_held);
    while (hold)
        usleep(1000);
    syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void say_wait(int kind, const char *name, int64_t ns, int64_t expected_ns)
{
    char title[128];
    int64_t start = now_ns();
    snprintf(title, sizeof title, "%s, %s", names[kind], name);
    int64_t result = wait_by(kind, ns);
    int64_t took = now_ns() - start + head_start(start);
    say(title, result);
    say_time(title, "took", took, expected_ns, true);
}

static void *wake_later(void *unused)
{
    (void)unused;
    usleep(20000);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
    return NULL;
}

static void *wake_private_later(void *unused)
{
    (void)unused;
    usleep(20000);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

static void all_ends(int kind)
{
    bool is_pi = kind == LOCK_PI || kind == LOCK_PI2;
    pthread_t thread;
    word = 0;
    second = 0;
    if (is_pi) {
        hold = true;
        pthread_create(&thread, NULL, own, NULL);
        sem_wait(&is_held);
    }
    say_wait(kind, "time-out", 20 * MS, 20 * MS);
    if (kind != RELATIVE)
        say_wait(kind, "time-out that has passed", -20 * MS, 0);
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        /* Whose signal restarts the wait, and whose ends it, is the kernel's business. */
        bool restarts = is_pi || (flags != 0 && (kind == VECTOR || kind == VECTOR_REALTIME));
        handle(SIGUSR1, count_signal, flags);
        signals_seen = 0;
        pid_t pid = send_later(SIGUSR1, 30 * MS);
        say_wait(kind, flags == 0 ? "handler" : "handler with SA_RESTART", 70 * MS,
                 restarts ? 70 * MS : 30 * MS);
        say("handlers run", signals_seen);
        reap(pid);
    }
    pid_t pid = stop_later(10 * MS, 20 * MS);
    say_wait(kind, "stopped for a while", 100 * MS, 100 * MS);
    reap(pid);
    if (is_pi) {
        hold = false;
        say("in the end", wait_by(kind, S));
        say("owned", (word & FUTEX_TID_MASK) == (uint32_t)gettid());
        pthread_join(thread, NULL);
        return;
    }
    begin_sender();
    pthread_create(&thread, NULL, kind == BITSET ? wake_private_later : wake_later, NULL);
    if (kind != VECTOR && kind != VECTOR_REALTIME)
        say_wait(kind, "woken", 200 * MS, 20 * MS);
    pthread_join(thread, NULL);
    word = 1;
    if (kind == VECTOR)
        say_wait(kind, "another value", 200 * MS, 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;

static void say_error(const char *name, int error_number, int64_t start_ns, int64_t expected_ns)
{
    printf("%s: %s\n", name, error_name(error_number));
    say_took(name, start_ns, expected_ns);
}

static void *try_locks(void *unused)
{
    (void)unused;
    int64_t start = now_ns();
    struct timespec until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say_error("mutex_timedlock", pthread_mutex_timedlock(&mutex, &until), start, 20 * MS);
    start = now_ns();
    until = timespec_of(start + 20 * MS);
    say_error("mutex_clocklock", pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until), start,
              20 * MS);
    start = now_ns();
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say_error("rwlock_timedrdlock", pthread_rwlock_timedrdlock(&rwlock, &until), start, 20 * MS);
    start = now_ns();
    until = timespec_of(start + 20 * MS);
    say_error("rwlock_clockwrlock", pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &until),
              start, 20 * MS);
    return NULL;
}

static void *signal_later(void *unused)
{
    (void)unused;
    usleep(20000);
    pthread_mutex_lock(&mutex);
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    sem_post(&semaphore);
    return NULL;
}

static void unlock(void *lock)
{
    pthread_mutex_unlock(lock);
}

static void *wait_for_condition(void *unused)
{
    (void)unused;
    struct timespec until = timespec_of(now_ns() + 1000 * S);
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, &mutex);
    pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &until);
    pthread_cleanup_pop(1);
    return NULL;
}

static void pthread_functions(void)
{
    pthread_t thread;
    void *result;
    sem_init(&semaphore, 0, 0);
    pthread_mutex_lock(&mutex);
    pthread_rwlock_wrlock(&rwlock);
    pthread_create(&thread, NULL, try_locks, NULL);
    pthread_join(thread, NULL);
    pthread_rwlock_unlock(&rwlock);

    int64_t start = now_ns();
    struct timespec until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say_error("cond_timedwait", pthread_cond_timedwait(&condition, &mutex, &until), start, 20 * MS);
    start = now_ns();
    until = timespec_of(start + 20 * MS);
    say_error("cond_clockwait", pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &until),
              start, 20 * MS);
    until = timespec_of(now_ns() - 20 * MS);
    start = now_ns();
    say_error("cond_clockwait in the past",
              pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &until), start, 0);
    begin_sender();
    pthread_create(&thread, NULL, signal_later, NULL);
    start = now_ns();
    until = timespec_of(start + 500 * MS);
    say_error("cond_clockwait, signalled",
              pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &until), start, 20 * MS);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);

    say("sem_wait", sem_wait(&semaphore));
    start = now_ns();
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say("sem_timedwait", sem_timedwait(&semaphore, &until));
    say_took("sem_timedwait", start, 20 * MS);
    start = now_ns();
    until = timespec_of(start + 20 * MS);
    say("sem_clockwait", sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until));
    say_took("sem_clockwait", start, 20 * MS);
    handle(SIGUSR1, count_signal, 0);
    pid_t pid = send_later(SIGUSR1, 20 * MS);
    start = now_ns();
    until = timespec_of(start + 500 * MS);
    say("sem_clockwait, handler", sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until));
    say_took("sem_clockwait, handler", start, 20 * MS);
    reap(pid);
    begin_sender();
    pthread_create(&thread, NULL, signal_later, NULL);
    start = now_ns();
    say("sem_clockwait, posted", sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until));
    say_took("sem_clockwait, posted", start, 20 * MS);
    pthread_join(thread, NULL);

    pthread_create(&thread, NULL, wait_for_condition, NULL);
    usleep(1000);
    start = now_ns();
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say_error("timedjoin", pthread_timedjoin_np(thread, &result, &until), start, 20 * MS);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    say("cancelled", result == PTHREAD_CANCELED);
    say_took("cancelled", start, 20 * MS);
}

/* Priority inheritance: glibc's locks use FUTEX_LOCK_PI, and signals must not end them. */
static pthread_mutex_t pi_mutex;

static void *hold_pi(void *unused)
{
    (void)unused;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* the other thread is to get it */
    pthread_mutex_lock(&pi_mutex);
    sem_post(&is_held);
    usleep(100000);
    pthread_mutex_unlock(&pi_mutex);
    return NULL;
}

static void priority_inheritance(void)
{
    pthread_t thread;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&pi_mutex, &attributes);
    pthread_create(&thread, NULL, hold_pi, NULL);
    sem_wait(&is_held);
    int64_t start = now_ns();
    struct timespec until = timespec_of(clock_ns(CLOCK_REALTIME) + 20 * MS);
    say_error("PI timedlock", pthread_mutex_timedlock(&pi_mutex, &until), start, 20 * MS);
    handle(SIGUSR1, count_signal, 0);
    signals_seen = 0;
    pid_t pid = send_later(SIGUSR1, 10 * MS);
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 40 * MS);
    start = now_ns();
    say_error("PI timedlock, handler", pthread_mutex_timedlock(&pi_mutex, &until), start, 40 * MS);
    say("handlers run", signals_seen);
    reap(pid);
    until = timespec_of(clock_ns(CLOCK_REALTIME) + 10 * S);
    printf("PI timedlock, free: %s\n", error_name(pthread_mutex_timedlock(&pi_mutex, &until)));
    pthread_mutex_unlock(&pi_mutex);
    pthread_join(thread, NULL);
}

/* FUTEX_WAIT_REQUEUE_PI, which libc no longer uses: waits on one word, is moved to a lock. */
static uint32_t pi_word;

static void *wait_requeue(void *result)
{
    struct timespec until = timespec_of(now_ns() + 50 * MS);
    errno = 0;
    *(int64_t *)result =
        syscall(SYS_futex, &word, FUTEX_WAIT_REQUEUE_PI, 0, &until, &pi_word, 0) == 0 ? 0 : -errno;
    return NULL;
}

static void requeue(bool moves)
{
    pthread_t thread;
    int64_t result;
    word = 0;
    pi_word = (uint32_t)gettid();
    int64_t start = now_ns();
    pthread_create(&thread, NULL, wait_requeue, &result);
    usleep(10000);
    errno = 0;
    if (moves)
        say("cmp_requeue_pi", syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PI, 1, 1L, &pi_word, 0));
    pthread_join(thread, NULL);
    printf("wait_requeue_pi%s: %s\n", moves ? ", moved" : "", error_name((int)-result));
    say_took("wait_requeue_pi", start, 50 * MS);
}

int main(void)
{
    sem_init(&is_held, 0, 0);
    for (int kind = 0; kind < KINDS; kind++)
        all_ends(kind);
    struct timespec wrong = {.tv_nsec = S};
    struct timespec right = timespec_of(20 * MS);
    word = 1;
    say("wait, another value", wait_on(FUTEX_WAIT, 0, &right));
    say("wait, wrong time", wait_on(FUTEX_WAIT, 1, &wrong));
    say("wait, time from nowhere", wait_on(FUTEX_WAIT, 1, (void *)8));
    right = timespec_of(0);
    say("wait, time-out 0", wait_on(FUTEX_WAIT, 1, &right));
    pthread_functions();
    priority_inheritance();
    requeue(false);
    requeue(true);
    return 0;
}
