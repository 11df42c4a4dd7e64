/* page: the memory that the harness shares with the preloaded library in every client process.
 *
 * It holds the virtual clock, which processes carry the library, and a slot for each thread that
 * has met a time-out. Whoever waits writes down until when and goes to sleep without a time-out;
 * the harness reads it once it has proved that the thread sleeps, moves the clock, and wakes it by
 * a signal that only the library sees.
 *
 *     library                                     harness
 *     due_ns = now + 2 s; generation 7; WAITS
 *     sleeps                                      sees that all sleep; slot: due in 2 s
 *                                                 now_ns += 2 s; over = 7; PAGE_SIGNAL
 *     wakes; over == generation: timed out
 *
 * A file, so that programs find it after an exec: its path is in the environment. Processes that
 * cannot be trusted with it cannot be clients of a harness either.
 */
#ifndef TOOMANY_CLOCK_PRELOAD_PAGE_H
#define TOOMANY_CLOCK_PRELOAD_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define PAGE_MAGIC UINT64_C(0x746f6f6d616e7933) /* changes whenever the layout does */
#define PAGE_VARIABLE "TOOMANY_CLOCK_PAGE"

#define PAGE_NEVER (INT64_MAX / 2)

enum {
    PAGE_SLOTS_MAX = 4096,
    PAGE_PROCESSES_MAX = 1024,
    PAGE_TIMERS_MAX = 1024,
    PAGE_SIGNAL = 61, /* a real-time signal that programs hardly use; if they do, it still works */
};

/* What a thread waits in: PAGE_CALL_nanosleep, ... */
#define PAGE_CALLS(ROW)                                                                            \
    ROW(nothing)                                                                                   \
    ROW(nanosleep)                                                                                 \
    ROW(clock_nanosleep)                                                                           \
    ROW(usleep)                                                                                    \
    ROW(sleep)                                                                                     \
    ROW(thrd_sleep)                                                                                \
    ROW(poll)                                                                                      \
    ROW(ppoll)                                                                                     \
    ROW(select)                                                                                    \
    ROW(pselect)                                                                                   \
    ROW(epoll_wait)                                                                                \
    ROW(epoll_pwait)                                                                               \
    ROW(epoll_pwait2)                                                                              \
    ROW(pthread_cond_timedwait)                                                                    \
    ROW(pthread_mutex_timedlock)                                                                   \
    ROW(pthread_rwlock_timedlock)                                                                  \
    ROW(pthread_timedjoin)                                                                         \
    ROW(sem_timedwait)                                                                             \
    ROW(sigtimedwait)                                                                              \
    ROW(semtimedop)                                                                                \
    ROW(mq_timedsend)                                                                              \
    ROW(mq_timedreceive)                                                                           \
    ROW(futex)                                                                                     \
    ROW(socket_receive)                                                                            \
    ROW(socket_send)

enum page_call {
#define PAGE_CALL(name) PAGE_CALL_##name,
    PAGE_CALLS(PAGE_CALL)
#undef PAGE_CALL
        PAGE_CALL_COUNT
};

/* Why the library asks that time be let run; the harness has the words. */
enum page_plea {
    PAGE_PLEA_NONE,
    PAGE_PLEA_OTHER_MACHINE, /* it talks to another machine */
    PAGE_PLEA_OTHER_PROGRAM, /* it talks to a program that is not of the run */
    PAGE_PLEA_FULL,          /* more threads, processes or timers than the page holds */
    PAGE_PLEA_TIMER,         /* a timer descriptor could not be handed to the harness */
};

enum page_state { PAGE_RUNS, PAGE_WAITS };

struct page_slot {
    _Atomic int32_t tid; /* 0: free */
    _Atomic int32_t pid;
    _Atomic uint32_t state;
    _Atomic uint32_t generation; /* changes at every begin and end of a wait */
    _Atomic int64_t due_ns;      /* on the run's clock; PAGE_NEVER */
    _Atomic uint32_t call;
    _Atomic uint32_t over; /* the generation of the wait that is over; by the harness */
    char rest[32];         /* one slot a cache line */
};

enum page_timer_kind {
    PAGE_TIMER_FREE,
    PAGE_TIMER_CLAIMED, /* is being filled */
    PAGE_TIMER_FD,      /* timerfd; the harness holds the descriptor too */
    PAGE_TIMER_ALARM,   /* setitimer, alarm */
    PAGE_TIMER_SIGNAL,  /* timer_create */
};

struct page_timer {
    _Atomic uint32_t kind;
    _Atomic int32_t pid;
    _Atomic uint32_t generation; /* changes when it is set */
    _Atomic uint32_t expiries;   /* not yet read; of PAGE_TIMER_SIGNAL: not signalled, overrun */
    _Atomic uint32_t is_shared;  /* somebody may have a duplicate of its descriptor */
    _Atomic int64_t due_ns;      /* PAGE_NEVER: not set */
    _Atomic int64_t interval_ns; /* 0: once */
    int32_t clock;               /* a clockid_t */
    int32_t descriptor;          /* in that process */
    int32_t signal;              /* PAGE_TIMER_SIGNAL: which, 0: none */
    int32_t tid;                 /* to that thread; 0: to the process */
    uint64_t value;              /* its si_value */
};

struct clock_page {
    uint64_t magic;
    _Atomic int64_t now_ns;     /* the run's clock */
    int64_t monotonic_start_ns; /* what CLOCK_MONOTONIC shows at 0 of it */
    int64_t realtime_start_ns;

    _Atomic uint32_t is_let_go; /* time goes as the machine's, from ... */
    _Atomic uint32_t plea;      /* enum page_plea, the first */
    _Atomic int64_t origin_ns;  /* ... this CLOCK_MONOTONIC at 0 of the run's clock */

    /* Clock reads are counted, because somebody may be waiting by looking; changes at each start.
     */
    _Atomic uint32_t watch;         /* 0: they are not */
    _Atomic uint32_t is_stuck;      /* so long that slow reads count as well */
    _Atomic uint32_t slot_changes;  /* how often slots were claimed or left */
    _Atomic uint32_t timer_changes; /* how often timers were set or freed */
    _Atomic uint32_t has_timeouts;  /* somebody set SO_RCVTIMEO or SO_SNDTIMEO */
    _Atomic uint32_t has_timer_fds;
    _Atomic uint64_t ports[65536 / 64]; /* a bit for each that the run itself listens on */
    char socket_name[32];               /* abstract: takes timer descriptors */

    _Atomic int32_t processes[PAGE_PROCESSES_MAX]; /* that carry the library; 0: free */
    struct page_timer timers[PAGE_TIMERS_MAX];
    struct page_slot slots[PAGE_SLOTS_MAX];
};

/* Whether this process of the machine is one that carries the library. */
static inline _Bool page_has_process(const struct clock_page *page, int32_t pid)
{
    for (uint32_t i = 0; i < PAGE_PROCESSES_MAX; i++) {
        if (atomic_load(&page->processes[((uint32_t)pid + i) % PAGE_PROCESSES_MAX]) == pid)
            return 1;
    }
    return 0;
}

#endif
