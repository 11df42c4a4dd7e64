/* Whether every thread of every client sleeps, and has slept all the time between two looks. */
#include "base/duration.h"
#include "clock/machine_timer.h"
#include "clock/proc_lock.h"
#include "clock/tracer_state.h"

#include <sys/syscall.h>
#include <sys/wait.h>

/* A thread that has used so much processor time while nobody could go on may be waiting by looking
 * at a clock: from then on clock reads are traced, until everybody waits again. Less than this is
 * the start of many an interpreter; it is looked for only when some time has passed at all. */
#define WATCH_CLOCK_CPU_NS (700 * NS_PER_MS)
#define WATCH_CLOCK_AGAIN_CPU_NS (30 * NS_PER_MS) /* where time has crept already */
#define WATCH_CLOCK_AFTER_NS (20 * NS_PER_MS)

/* One that has used so much counts as computing for ever. */
#define COMPUTES_CPU_NS (10 * NS_PER_S)

#define TURN_LASTS_NS (20 * NS_PER_MS) /* in real time */

/* A wait on a socket that has a time-out of its own. */
static void take_socket_timeout(struct tracee *tracee)
{
    struct loop *loop = tracee->process->tracer->loop;
    bool goes_on = tracee->receive_goes_on && tracee->receive.position != 0;
    tracee->receive_goes_on = false;
    if (goes_on)
        return;
    loop_cancel(loop, &tracee->receive);
    int64_t timeout_ns;
    if (socket_timeout(tracee, tracee->blocked_in, tracee->blocked_argument, &timeout_ns)) {
        loop_after(loop, &tracee->receive, timeout_ns);
        tracee->receive.is_at_once = false;
    }
}

/* What it sleeps in: read once a sleep. */
static bool know_blocked(struct tracee *tracee)
{
    if (tracee->blocked_runs == tracee->runs)
        return true;
    if (!proc_thread_blocked(&tracee->files, &tracee->blocked_in, &tracee->blocked_argument))
        return false;
    tracee->blocked_runs = tracee->runs;
    if (tracee->phase != TRACEE_WAITS)
        take_socket_timeout(tracee);
    return true;
}

/* Whoever has the lock it waits for and is not traced goes on while all who are sleep. */
static bool waits_for_outsider(const struct tracee *tracee)
{
    pid_t holder =
        proc_lock_is_waited_for_in(tracee->blocked_in) ? proc_lock_holder(tracee->process->pid) : 0;
    return holder != 0 && tracee_process_find(tracee->process->tracer, holder) == NULL;
}

/* Asynchronous I/O goes on while its thread sleeps, too, so that such sleeps prove nothing. */
static bool others_work_for(const struct tracee *tracee)
{
    return tracee->blocked_in == SYS_io_getevents || tracee->blocked_in == SYS_io_pgetevents ||
           waits_for_outsider(tracee);
}

enum look { LOOK_WORKS, LOOK_SLEEPS, LOOK_GONE };

static enum look look_at(const struct tracee *tracee)
{
    char state;
    if (tracee->process == NULL || !proc_thread_state(&tracee->files, &state))
        return LOOK_WORKS; /* its end will be reported */
    /* A zombie is about to be reported, and until then its parent does not know: something is still
     * to happen. Only the first thread of a process stays one while the others live. */
    bool waits_for_others =
        tracee->tid == tracee->process->pid && tracee->process->thread_count > 1;
    if (state == 'Z' || state == 'X')
        return waits_for_others ? LOOK_GONE : LOOK_WORKS;
    /* One that its child, or who may let it go on, has woken runs before it reports so. */
    if (tracee->is_vforked || tracee->is_stopped)
        return state == (tracee->is_stopped ? 't' : 'D') ? LOOK_SLEEPS : LOOK_WORKS;
    return state == 'S' || state == 'T' ? LOOK_SLEEPS : LOOK_WORKS;
}

static bool is_blocked(const struct tracee *tracee)
{
    int64_t number;
    uint64_t argument;
    return proc_thread_blocked(&tracee->files, &number, &argument);
}

static bool is_in_usual_sleep(const struct tracee *tracee)
{
    return !tracee->is_vforked && !tracee->is_stopped;
}

/* The first look (proc_thread.h). A thread that stands in a stop looks blocked too, but then a
 * report is waiting. */
static bool is_asleep(struct tracee *tracee)
{
    enum look look = look_at(tracee);
    if (look != LOOK_SLEEPS)
        return look == LOOK_GONE;
    if (tracee->is_over || !proc_thread_runs(&tracee->files, &tracee->runs))
        return false;
    if (!is_in_usual_sleep(tracee))
        return is_blocked(tracee);
    return know_blocked(tracee) && !others_work_for(tracee);
}

/* Whether an earlier first look at it still holds. Not for one that has been woken since and has
 * not got a processor yet, which the second look sees. */
static bool has_not_run(struct tracee *tracee)
{
    return is_in_usual_sleep(tracee) && !tracee->is_over &&
           proc_thread_runs(&tracee->files, &tracee->runs) &&
           tracee->runs == tracee->blocked_runs && !others_work_for(tracee);
}

/* The second look. */
static bool has_slept_on(const struct tracee *tracee)
{
    enum look look = look_at(tracee);
    if (look != LOOK_SLEEPS)
        return look == LOOK_GONE;
    return !tracee->is_over && proc_thread_has_not_run(&tracee->files, tracee->runs);
}

/* Whether a stop or an end is to be taken up. After the client's own end, which stays reported,
 * only the state of each thread can tell. */
static bool has_report(const struct tracer *tracer)
{
    siginfo_t info = {0};
    if (tracer->client_is_zombie)
        return false;
    return waitid(P_ALL, 0, &info,
                  WEXITED | WSTOPPED | WNOHANG | WNOWAIT | (int)__WALL | (int)__WNOTHREAD) == 0 &&
           info.si_pid != 0;
}

/* A thread that waits on a futex for 5 ms or less does not ask for a delay. It wants its turn at
 * something that another thread holds, and asks the other for it when the time-out has come: so
 * CPython shares its lock among threads that compute. But time stands still while they compute. So
 * such a wait ends when it has lasted long enough in real time, and the clock does not move. */
static void end_turns(struct tracer *tracer)
{
    int64_t now_ns = machine_now();
    if (now_ns - tracer->turns_seen_ns < NS_PER_MS)
        return;
    tracer->turns_seen_ns = now_ns;
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next) {
        if (tracee->phase != TRACEE_WAITS || tracee->is_over || tracee->turn_since_ns == 0 ||
            tracee->process != tracer->suspect->process ||
            now_ns - tracee->turn_since_ns < TURN_LASTS_NS)
            continue;
        loop_cancel(tracer->loop, &tracee->due);
        tracer_end_wait(tracee, tracer_now(tracer));
    }
}

/* For a time that will come: in a wait, or by a timer. */
static bool somebody_waits(struct tracer *tracer)
{
    const struct tracee *tracee = tracer->first;
    while (tracee != NULL && tracee->phase != TRACEE_WAITS)
        tracee = tracee->next;
    return tracee != NULL || guest_timers_are_set(tracer);
}

/* One that computes without an end may be watched by another that will end it after a while, or
 * wait for another in a loop. So in the end its processor time does count: time creeps at the
 * machine's rate, where somebody waits for a moment. */
static void creep(struct tracer *tracer, int64_t cpu_ns)
{
    int64_t machine_ns = machine_now();
    int64_t step_ns = machine_ns - tracer->computes_since_ns;
    bool creeps = cpu_ns - tracer->worker_cpu_ns > COMPUTES_CPU_NS && somebody_waits(tracer);
    bool crept = tracer->computes_since_ns != 0;
    tracer->computes_since_ns = creeps ? machine_ns : 0;
    struct deadline *first = deadlines_first(&tracer->loop->deadlines);
    if (!creeps || !crept || first == NULL)
        return;
    int64_t now_ns = tracer_now(tracer);
    int64_t to_ns = now_ns + step_ns < first->at_ns ? now_ns + step_ns : first->at_ns;
    if (to_ns > now_ns) {
        tracer->summary.crept_ns += to_ns - now_ns;
        clock_jump(&tracer->loop->clock, to_ns);
        guest_time_tell(tracer);
    }
    if (first->at_ns <= to_ns)
        first->is_at_once = true; /* although not everybody waits */
}

static void consider_clock_watch(struct tracer *tracer)
{
    end_turns(tracer);
    if (machine_now() - tracer->last_event_ns < WATCH_CLOCK_AFTER_NS)
        return;
    int64_t cpu_ns = proc_thread_cpu_ns(tracer->suspect->tid);
    if (tracer->worker != tracer->suspect->tid) {
        tracer->worker = tracer->suspect->tid;
        tracer->worker_cpu_ns = cpu_ns;
        tracer->computes_since_ns = 0;
    }
    creep(tracer, cpu_ns);
    if (tracer->clock_is_watched)
        return;
    bool has_crept = tracer->summary.crept_ns > 0;
    if (cpu_ns - tracer->worker_cpu_ns >
        (has_crept ? WATCH_CLOCK_AGAIN_CPU_NS : WATCH_CLOCK_CPU_NS))
        guest_time_watch(tracer, true);
}

bool quiescence_all_wait(void *owner)
{
    struct tracer *tracer = owner;
    if (tracer->suspect != NULL && !is_asleep(tracer->suspect)) {
        consider_clock_watch(tracer);
        return false;
    }
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next) {
        if (has_not_run(tracee) || is_asleep(tracee))
            continue;
        tracer->suspect = tracee;
        consider_clock_watch(tracer);
        return false;
    }
    tracer->last_event_ns = machine_now();
    tracer->worker = 0;
    return !has_report(tracer);
}

bool quiescence_still_waits(void *owner)
{
    struct tracer *tracer = owner;
    if (tracer->has_own_traffic)
        traffic_acknowledge(tracer);
    if (proc_packets_wait(tracer->softnet_fd))
        return false;
    for (struct tracee *tracee = tracer->first; tracee != NULL; tracee = tracee->next) {
        if (has_slept_on(tracee))
            continue;
        tracer->suspect = tracee;
        return false;
    }
    return !has_report(tracer);
}
