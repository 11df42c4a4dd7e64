/* A thread that computes, and hands over what it holds only when another asks for it after 5 ms: as
 * CPython's threads share its lock. It must not compute for ever, and the clock must not move. */
#include "lines.h"

#include <stdatomic.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool is_held;
static atomic_bool is_asked;
static atomic_int turns;
static atomic_bool is_alone; /* one may take several turns in a row, and be done first */

static void take(void)
{
    pthread_mutex_lock(&mutex);
    while (is_held) {
        struct timespec until = timespec_of(now_ns() + 5 * MS);
        if (pthread_cond_clockwait(&released, &mutex, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            atomic_store(&is_asked, true);
    }
    is_held = true;
    atomic_store(&is_asked, false);
    pthread_mutex_unlock(&mutex);
}

static void give(void)
{
    pthread_mutex_lock(&mutex);
    is_held = false;
    pthread_cond_signal(&released);
    pthread_mutex_unlock(&mutex);
}

static void *compute(void *unused)
{
    (void)unused;
    while (atomic_load(&turns) < 10) {
        take();
        if (atomic_load(&turns) < 10) /* the other may have had the last */
            atomic_fetch_add(&turns, 1);
        while (!atomic_load(&is_asked) && !atomic_load(&is_alone))
            continue;
        give();
    }
    atomic_store(&is_alone, true);
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    int64_t start = now_ns();
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, compute, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    say("turns", turns);
    say_took("turns", start, 0);
    return 0;
}
