/* Waiting for other threads and processes. The times are absolute, and most of these functions go
 * on after signals: wait_until() does it all. */
#include "clock/preload/library.h"

#include <errno.h>

/* glibc (2.25 and later) keeps the clock of a condition variable here; there is no function that
 * tells it. */
static clockid_t condition_clock(const pthread_cond_t *condition)
{
    return (condition->__data.__wrefs & 2U) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

EXPORTED int pthread_cond_timedwait(pthread_cond_t *restrict condition,
                                    pthread_mutex_t *restrict mutex,
                                    const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_cond_timedwait, condition_clock(condition), time,
                      &machine);
    return libc()->pthread_cond_timedwait(condition, mutex, time);
}

EXPORTED int pthread_cond_clockwait(pthread_cond_t *restrict condition,
                                    pthread_mutex_t *restrict mutex, clockid_t id,
                                    const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_cond_timedwait, id, time, &machine);
    return libc()->pthread_cond_clockwait(condition, mutex, id, time);
}

EXPORTED int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex,
                                     const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_mutex_timedlock, CLOCK_REALTIME, time, &machine);
    return libc()->pthread_mutex_timedlock(mutex, time);
}

EXPORTED int pthread_mutex_clocklock(pthread_mutex_t *restrict mutex, clockid_t id,
                                     const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_mutex_timedlock, id, time, &machine);
    return libc()->pthread_mutex_clocklock(mutex, id, time);
}

EXPORTED int pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict lock,
                                        const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_rwlock_timedlock, CLOCK_REALTIME, time, &machine);
    return libc()->pthread_rwlock_timedrdlock(lock, time);
}

EXPORTED int pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict lock,
                                        const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_rwlock_timedlock, CLOCK_REALTIME, time, &machine);
    return libc()->pthread_rwlock_timedwrlock(lock, time);
}

EXPORTED int pthread_rwlock_clockrdlock(pthread_rwlock_t *restrict lock, clockid_t id,
                                        const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_rwlock_timedlock, id, time, &machine);
    return libc()->pthread_rwlock_clockrdlock(lock, id, time);
}

EXPORTED int pthread_rwlock_clockwrlock(pthread_rwlock_t *restrict lock, clockid_t id,
                                        const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_rwlock_timedlock, id, time, &machine);
    return libc()->pthread_rwlock_clockwrlock(lock, id, time);
}

EXPORTED int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_timedjoin, CLOCK_REALTIME, time, &machine);
    return libc()->pthread_timedjoin_np(thread, result, time);
}

EXPORTED int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t id,
                                  const struct timespec *time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_timedjoin, id, time, &machine);
    return libc()->pthread_clockjoin_np(thread, result, id, time);
}

EXPORTED int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
                           const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_cond_timedwait, CLOCK_REALTIME, time, &machine);
    return libc()->cnd_timedwait(condition, mutex, time);
}

EXPORTED int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_pthread_mutex_timedlock, CLOCK_REALTIME, time, &machine);
    return libc()->mtx_timedlock(mutex, time);
}

EXPORTED int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_sem_timedwait, CLOCK_REALTIME, time, &machine);
    return libc()->sem_timedwait(semaphore, time);
}

EXPORTED int sem_clockwait(sem_t *restrict semaphore, clockid_t id,
                           const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = wait_until(&wait, PAGE_CALL_sem_timedwait, id, time, &machine);
    return libc()->sem_clockwait(semaphore, id, time);
}

EXPORTED int semtimedop(int id, struct sembuf *operations, size_t count,
                        const struct timespec *timeout)
{
    WAIT(wait);
    int64_t ns = timeout != NULL ? timespec_ns(timeout) : 0;
    if (ns <= 0 || !is_carried() || !wait_begins(&wait, PAGE_CALL_semtimedop, after_ns(ns)))
        return libc()->semtimedop(id, operations, count, timeout);
    return (int)wait_result(&wait, libc()->semtimedop(id, operations, count, NULL), EAGAIN);
}

/* The kernel ends these two with EINTR, or repeats them: in both cases the handler makes EINTR of
 * it (library.c). */
static const struct timespec *message_time(struct wait *wait, enum page_call call,
                                           const struct timespec *time, struct timespec *machine)
{
    static const struct timespec distant = {.tv_sec = 9000000000};
    int64_t origin;
    libc();
    if (page == NULL || time == NULL || timespec_ns(time) < 0 ||
        !clock_origin(CLOCK_REALTIME, &origin))
        return time;
    int64_t due_ns = timespec_ns(time) - origin;
    if (is_carried() && due_ns > now_ns() && wait_begins(wait, call, due_ns))
        return &distant;
    *machine = is_carried() ? (struct timespec){.tv_sec = 0} : machine_time(CLOCK_REALTIME, time);
    return machine;
}

EXPORTED int mq_timedsend(mqd_t queue, const char *bytes, size_t size, unsigned priority,
                          const struct timespec *time)
{
    WAIT(wait);
    struct timespec machine;
    time = message_time(&wait, PAGE_CALL_mq_timedsend, time, &machine);
    int result = libc()->mq_timedsend(queue, bytes, size, priority, time);
    return (int)wait_result(&wait, result, ETIMEDOUT);
}

EXPORTED ssize_t mq_timedreceive(mqd_t queue, char *restrict bytes, size_t size,
                                 unsigned *restrict priority, const struct timespec *restrict time)
{
    WAIT(wait);
    struct timespec machine;
    time = message_time(&wait, PAGE_CALL_mq_timedreceive, time, &machine);
    ssize_t result = libc()->mq_timedreceive(queue, bytes, size, priority, time);
    return wait_result(&wait, result, ETIMEDOUT);
}
