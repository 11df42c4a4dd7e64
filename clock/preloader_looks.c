/* Whether every thread of the family sleeps, and has slept all the time between two looks; and
 * until when they want to. */
#include "base/duration.h"
#include "clock/machine_timer.h"
#include "clock/preloader_state.h"
#include "clock/proc_lock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A family in which somebody has worked for this long may be waiting by looking at a clock: from
 * then on its clock reads are counted, until everybody waits again. */
#define WATCH_CLOCK_AFTER_NS (200 * NS_PER_MS)

/* And one that has worked for this long waits so, even if it does something between. */
#define STUCK_AFTER_NS (5 * NS_PER_S)

/* Waits for another thread that are not longer are for a turn, which lasts as long in real time. */
#define TURN_NS (5 * NS_PER_MS)
#define TURN_LASTS_NS (20 * NS_PER_MS)

/* A timed wait that is not ours to end counts as work for this long: it may be a short pause. */
#define FOREIGN_WAIT_NS (50 * NS_PER_MS)

/* A thread that was woken, but sleeps on: it was in a signal handler. It is called again. */
#define CALL_AGAIN_NS (20 * NS_PER_MS)

/* ---- waking ---- */

void looks_end_wait(void *owner, int64_t now_ns)
{
    struct guest *guest = owner;
    struct page_slot *slot = guest->slot;
    (void)now_ns;
    if (slot == NULL || atomic_load(&slot->state) != PAGE_WAITS ||
        atomic_load(&slot->generation) != guest->generation)
        return;
    atomic_store(&slot->over, guest->generation);
    siginfo_t info = {.si_signo = PAGE_SIGNAL, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    uintptr_t magic = PAGE_MAGIC;
    memcpy(&info.si_value, &magic, sizeof magic);
    guest->called_ns = machine_now();
    guest->preloader->suspect = guest;
    if (syscall(SYS_rt_tgsigqueueinfo, guest->process->pid, guest->tid, PAGE_SIGNAL, &info) != 0 &&
        errno == EPERM)
        preloader_let_go(guest->preloader, "it runs as another user, who cannot be woken");
}

void looks_take_deadline(struct guest *guest)
{
    struct page_slot *slot = guest->slot;
    struct loop *loop = guest->preloader->loop;
    uint32_t generation = slot != NULL ? atomic_load(&slot->generation) : 0;
    if (slot == NULL || atomic_load(&slot->state) != PAGE_WAITS) {
        loop_cancel(loop, &guest->due);
        guest->generation = generation;
        return;
    }
    bool is_new = generation != guest->generation;
    bool is_deaf = !is_new && guest->due.position == 0 && guest->called_ns != 0 &&
                   machine_now() - guest->called_ns > CALL_AGAIN_NS;
    if (!is_new && !is_deaf)
        return;
    int64_t due_ns = atomic_load(&slot->due_ns);
    guest->generation = generation;
    guest->called_ns = 0;
    loop_at(loop, &guest->due, due_ns > loop_now(loop) ? due_ns : loop_now(loop));
    guest->due.is_at_once = false; /* a program's doing: it waits its turn (loop.h) */
}

/* ---- one thread ---- */

enum look { LOOK_WORKS, LOOK_SLEEPS, LOOK_GONE, LOOK_ENDED };

static enum look look_at(const struct guest *guest)
{
    char state;
    if (!proc_thread_state(&guest->files, &state))
        return LOOK_ENDED;
    if (state == 'Z' || state == 'X') {
        guest->preloader->has_zombies = true;
        if (guest->slot != NULL) /* it may have been killed in a wait */
            atomic_store(&guest->slot->state, PAGE_RUNS);
        return LOOK_GONE;
    }
    if (state == 'D' && proc_call_is_vfork(guest->tid))
        return LOOK_GONE; /* until its child has started a program */
    return state == 'S' || state == 'T' || state == 't' ? LOOK_SLEEPS : LOOK_WORKS;
}

static bool is_in_our_wait(const struct guest *guest)
{
    return guest->slot != NULL && atomic_load(&guest->slot->state) == PAGE_WAITS;
}

/* What it sleeps in, read once a sleep. */
static bool know_blocked(struct guest *guest)
{
    if (guest->blocked_runs == guest->runs)
        return true;
    if (!proc_call_read(&guest->files, guest->tid, &guest->blocked))
        return false;
    guest->blocked_runs = guest->runs;
    guest->timed_since_ns = 0;
    return true;
}

/* Whoever has the lock it waits for and is not of the family goes on while the family sleeps. */
static bool waits_for_outsider(const struct guest *guest)
{
    pid_t holder = proc_lock_is_waited_for_in(guest->blocked.number)
                       ? proc_lock_holder(guest->process->pid)
                       : 0;
    return holder != 0 && !guests_have_process(guest->preloader, holder);
}

/* The first look. */
static enum look look_closely(struct guest *guest)
{
    enum look look = look_at(guest);
    if (look == LOOK_GONE) {
        guest->blocked_runs = PROC_THREAD_RUNS_NEVER; /* it is in no call any more */
        return LOOK_SLEEPS;
    }
    if (look != LOOK_SLEEPS)
        return look;
    if (!proc_thread_runs(&guest->files, &guest->runs))
        return LOOK_ENDED;
    if (!know_blocked(guest) || proc_call_is_disk_wait(&guest->blocked) ||
        waits_for_outsider(guest))
        return LOOK_WORKS;
    return LOOK_SLEEPS;
}

/* The second look (proc_thread.h). */
static bool has_slept_on(const struct guest *guest)
{
    struct proc_call call;
    uint64_t runs;
    enum look look = look_at(guest);
    if (look != LOOK_SLEEPS)
        return look == LOOK_GONE;
    bool is_same_wait =
        guest->slot == NULL || atomic_load(&guest->slot->generation) == guest->generation;
    return is_same_wait && proc_call_read(&guest->files, guest->tid, &call) &&
           proc_thread_runs(&guest->files, &runs) && runs == guest->runs;
}

/* ---- all of them ---- */

static const char *plea_words(enum page_plea plea)
{
    switch (plea) {
    case PAGE_PLEA_OTHER_MACHINE:
        return "it talks to another machine, whose answers take real time";
    case PAGE_PLEA_OTHER_PROGRAM:
        return "it talks to a program of this machine that is not part of the run";
    case PAGE_PLEA_FULL:
        return "it has more threads, processes or timers than can be preloaded";
    case PAGE_PLEA_TIMER:
        return "it uses a timer descriptor that could not be handed over";
    case PAGE_PLEA_NONE:
        break;
    }
    return NULL;
}

/* A program that waited by looking at the clock has moved it. */
static void take_creeping(struct preloader *preloader)
{
    int64_t page_ns = atomic_load(&preloader->page->now_ns);
    int64_t now_ns = loop_now(preloader->loop);
    if (page_ns <= now_ns)
        return;
    preloader->summary.crept_ns += page_ns - now_ns;
    clock_jump(&preloader->loop->clock, page_ns);
}

static void watch_clock(struct preloader *preloader, bool is_watched)
{
    if (is_watched == (atomic_load(&preloader->page->watch) != 0))
        return;
    atomic_store(&preloader->page->watch, is_watched ? ++preloader->watch : 0);
}

static bool is_for_a_turn(const struct guest *guest)
{
    if (!is_in_our_wait(guest))
        return false;
    uint32_t call = atomic_load(&guest->slot->call);
    bool is_for_thread = call == PAGE_CALL_pthread_cond_timedwait ||
                         call == PAGE_CALL_pthread_mutex_timedlock ||
                         call == PAGE_CALL_sem_timedwait || call == PAGE_CALL_futex;
    int64_t left_ns = atomic_load(&guest->slot->due_ns) - loop_now(guest->preloader->loop);
    return is_for_thread && left_ns <= TURN_NS;
}

/* A thread that waits for another for 5 ms or less does not ask for a delay. It wants its turn at
 * something that the other holds, and asks the other for it when the time-out has come: so CPython
 * shares its lock among threads that compute. But time stands still while they compute. So such a
 * wait ends when it has lasted long enough in real time, and the clock does not move. */
static void end_turns(struct preloader *preloader, const struct guest_process *process)
{
    int64_t now_ns = machine_now();
    if (now_ns - preloader->turns_seen_ns < NS_PER_MS)
        return;
    preloader->turns_seen_ns = now_ns;
    guests_know_family(preloader);
    guests_assign_slots(preloader);
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next) {
        if (guest->process != process || !is_for_a_turn(guest))
            continue;
        uint32_t generation = atomic_load(&guest->slot->generation);
        bool is_new = guest->turn_generation != generation;
        bool is_over = !is_new && now_ns - guest->turn_since_ns >= TURN_LASTS_NS;
        guest->turn_generation = generation;
        if (is_new || is_over)
            guest->turn_since_ns = now_ns;
        if (is_over) {
            loop_cancel(preloader->loop, &guest->due);
            guest->generation = generation;
            looks_end_wait(guest, loop_now(preloader->loop));
        }
    }
}

/* False when it works, or has ended: then whoever waits for it may work. */
static bool sleeps(struct preloader *preloader, struct guest *guest)
{
    enum look look = look_closely(guest);
    if (look == LOOK_ENDED)
        guest_remove(guest);
    else
        preloader->suspect = guest;
    if (look == LOOK_SLEEPS)
        return true;
    if (look == LOOK_WORKS)
        end_turns(preloader, guest->process);
    int64_t works_ns = machine_now() - preloader->last_event_ns;
    if (works_ns > WATCH_CLOCK_AFTER_NS)
        watch_clock(preloader, true);
    atomic_store(&preloader->page->is_stuck, works_ns > STUCK_AFTER_NS);
    return false;
}

/* Whether those who sleep do so as we know it; else time may have to be let go. */
static bool are_all_carried(struct preloader *preloader)
{
    int64_t now_ns = machine_now();
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next) {
        const char *reason = NULL;
        if (guest->tid == guest->process->pid)
            reason = guests_not_carried(preloader, guest->process);
        bool is_timed = guest->blocked_runs == guest->runs && proc_call_is_timed(&guest->blocked) &&
                        !is_in_our_wait(guest);
        if (reason == NULL && is_timed) {
            if (guest->timed_since_ns == 0)
                guest->timed_since_ns = now_ns;
            if (now_ns - guest->timed_since_ns < FOREIGN_WAIT_NS)
                return false;
            reason = "it waits with a time-out in a system call that does not go through libc";
        }
        if (reason != NULL) {
            preloader_let_go(preloader, reason);
            return false;
        }
    }
    return true;
}

bool looks_all_wait(void *owner)
{
    struct preloader *preloader = owner;
    enum page_plea plea = atomic_load(&preloader->page->plea);
    take_creeping(preloader);
    if (plea != PAGE_PLEA_NONE) {
        preloader_let_go(preloader, plea_words(plea));
        return false;
    }
    preloader->has_zombies = false;
    if (preloader->suspect != NULL && !sleeps(preloader, preloader->suspect))
        return false;
    guests_know_family(preloader);
    guests_assign_slots(preloader);
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next) {
        if (!sleeps(preloader, guest))
            return false;
    }
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next)
        looks_take_deadline(guest);
    timers_take_deadlines(preloader);
    preloader->last_event_ns = machine_now();
    watch_clock(preloader, false);
    return are_all_carried(preloader);
}

/* A zombie shows as one shortly before its parent hears of it, in a section of the kernel that this
 * call has to wait for. */
static void wait_for_ends(const struct preloader *preloader)
{
    if (preloader->has_zombies)
        kill(-preloader->client, 0);
}

bool looks_still_wait(void *owner)
{
    struct preloader *preloader = owner;
    const struct clock_page *page = preloader->page;
    wait_for_ends(preloader);
    if (proc_packets_wait(preloader->softnet_fd) || !guests_know_family(preloader))
        return false;
    long newest_birth = preloader->newest_birth;
    for (struct guest *guest = preloader->first; guest != NULL; guest = guest->next) {
        if (!has_slept_on(guest))
            return false;
    }
    /* Whoever could have given birth slept, so that all who were born have been found. */
    if (guests_last_birth(preloader) != newest_birth)
        return false;
    preloader->last_birth = newest_birth;
    return atomic_load(&page->plea) == PAGE_PLEA_NONE &&
           atomic_load(&page->slot_changes) == preloader->slot_changes &&
           atomic_load(&page->timer_changes) == preloader->timer_changes &&
           atomic_load(&page->now_ns) == loop_now(preloader->loop);
}
