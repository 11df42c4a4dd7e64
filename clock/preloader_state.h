/* preloader_state: what a preloader knows, for its files in this folder: preloader.c (start, end,
 * time), preloader_guests.c (which threads there are), preloader_looks.c (whether everybody waits,
 * and until when), preloader_timers.c.
 */
#ifndef TOOMANY_CLOCK_PRELOADER_STATE_H
#define TOOMANY_CLOCK_PRELOADER_STATE_H

#include "clock/preload/page.h"
#include "clock/preloader.h"
#include "clock/proc_call.h"

#include <uthash.h>

/* A process of the client's family. */
struct guest_process {
    pid_t pid;
    int thread_count;
    bool is_mapped; /* carries the library without having registered: made by a bare system call */
    UT_hash_handle hh;
};

/* One of its threads. */
struct guest {
    struct preloader *preloader;
    pid_t tid;
    struct guest_process *process;
    struct proc_thread files;
    struct page_slot *slot; /* NULL: it has not met a time-out yet */

    struct deadline due; /* of the wait that its slot tells of, ... */
    uint32_t generation; /* ... in this generation */
    int64_t called_ns;   /* machine time at which it was last woken; 0: not in this wait */

    uint64_t runs;         /* at the last look (proc_thread.h) */
    uint64_t blocked_runs; /* when `blocked` was read */
    struct proc_call blocked;
    uint32_t turn_generation; /* of a wait for its turn (preloader_looks.c), ... */
    int64_t turn_since_ns;    /* ... and the machine time at which it was first seen */
    int64_t timed_since_ns;   /* machine time: in a timed call that we do not manage; 0: in none */

    struct guest *next; /* in the order in which they appeared */
    struct guest *previous;
    UT_hash_handle hh;
};

/* A timer of the page. */
struct guest_timer {
    struct preloader *preloader;
    struct deadline due;
    uint32_t generation;
    int fd; /* of a timer descriptor, handed over by its process; -1 */
};

struct preloader {
    struct loop *loop;
    struct carrier_options options;
    struct loop_guests guests;
    struct clock_page *page;
    char *page_path;
    char *page_entry;    /* "TOOMANY_CLOCK_PAGE=..." */
    char *preload_entry; /* "LD_PRELOAD=..." of the last environment */
    struct watch socket; /* takes timer descriptors */

    struct guest *by_tid;
    struct guest *first;
    struct guest *last;
    struct guest *suspect; /* was seen to work, or woken, last; or NULL */
    struct guest_process *processes;
    struct guest_timer *timers;

    pid_t client;
    long last_birth;        /* the machine's newest thread when the family was last complete */
    long newest_birth;      /* when it was last looked for */
    bool births_are_hidden; /* the machine does not tell it: every process is looked at each time */
    int birth_fd;
    uint32_t slot_changes; /* the page's, when slots were last assigned */
    uint32_t timer_changes;
    bool has_zombies; /* seen in this look */
    uint32_t watch;
    int64_t last_event_ns; /* machine time at which everybody waited last */
    int64_t turns_seen_ns; /* machine time of the last look at who waits for a turn */
    int softnet_fd;
    bool is_let_go;
    struct carrier_summary summary;
};

/* Lets the clock run at the machine's rate, because `reason` (static) keeps us from knowing when
 * everybody waits. */
void preloader_let_go(struct preloader *preloader, const char *reason);

/* ---- preloader_guests.c ---- */

struct guest *guest_add(struct preloader *preloader, pid_t tid, pid_t pid);
void guest_remove(struct guest *guest);

/* Looks for threads and processes that were born since the family was last complete. False when
 * some were found, or one may be of the family and it cannot be said yet. */
bool guests_know_family(struct preloader *preloader);
/* The newest thread of the machine; -1 where it is not told. */
long guests_last_birth(const struct preloader *preloader);
/* Whether it is of the family. */
bool guests_have_process(const struct preloader *preloader, pid_t pid);
/* Gives each thread the slot that it has claimed. */
void guests_assign_slots(struct preloader *preloader);
/* Why a process does not carry the library; NULL when it does. */
const char *guests_not_carried(const struct preloader *preloader, struct guest_process *process);

/* ---- preloader_looks.c ---- */

bool looks_all_wait(void *owner);
bool looks_still_wait(void *owner);
/* Wakes a thread whose time has come. */
void looks_end_wait(void *owner, int64_t now_ns);
/* Makes a deadline of what a sleeping thread's slot says. */
void looks_take_deadline(struct guest *guest);

/* ---- preloader_timers.c ---- */

bool timers_start(struct preloader *preloader, struct error *error);
void timers_free(struct preloader *preloader);
/* Makes deadlines of those that were set. */
void timers_take_deadlines(struct preloader *preloader);
/* A process has ended. */
void timers_of_process_end(struct preloader *preloader, pid_t pid);

#endif
