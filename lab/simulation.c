#include "lab/simulation.h"

#include "base/duration.h"
#include "lab/event_queue.h"
#include "lab/large_memory.h"
#include "lab/recorder.h"
#include "mockserver/journal.h"
#include "mockserver/ratelimit_headers.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

enum {
    EVENTS_BETWEEN_LOOKS = 1 << 16, /* at the stop flag */
    CALLERS_AT_START = 1024,        /* of an open loop; grows by doubling */
    FULL_PROGRESS = 1000000,
};

enum what {
    WHAT_CALL,    /* `who` begins its next call */
    WHAT_ARRIVAL, /* the next call of an open loop */
    WHAT_ATTEMPT, /* the wait of `who` for its retry is over */
    WHAT_SERVED,  /* `who` has an answer of 200 */
    WHAT_REFUSED, /* `who` has an answer of 429 */
    WHAT_GATE,    /* the head of the queue may ask again; `who`: which of the timer's settings */
};

/* A worker of a closed loop, or a call of an open one. One cache line, and a million of them is
 * what a simulation may have. */
struct caller {
    struct strategy_state state; /* started_ns: the begin of the call */
    int64_t mark_ns; /* while it waits: since when; while a refusal is under way: what it asks to
                      * wait, -1 nothing */
    uint32_t next;   /* in the gate's queue, or of the unused ones */
    uint32_t tokens; /* of its call */
    uint32_t served; /* calls */
    bool is_waiting;
    bool is_inside;   /* holds a place in the gate */
    bool is_hopeless; /* the refusal under way is of a plan that is used up */
};

_Static_assert(sizeof(struct caller) == 64, "a caller fills one cache line");

/* First come, first served. */
struct line {
    uint32_t first;
    uint32_t last;
};

/* What an attempt has to show to the gate, for gates that want to see it. */
struct headers {
    struct gate_ticket ticket;
    struct ratelimit_told requests;
    struct ratelimit_told tokens;
};

struct simulation {
    const struct run_order *order;
    const struct experiment *experiment;
    const struct strategy *strategy;
    int64_t now_ns;
    struct event_queue *queue;
    struct quota_pool pool;
    struct gate gate;
    bool has_gate;
    struct line line;    /* at the gate */
    struct line retries; /* before it, where the gate lets retries go first */
    int64_t gate_due_ns; /* when the gate's timer is set for; -1: not set */
    uint32_t gate_setting;
    struct caller *callers;
    size_t caller_count;
    uint32_t unused; /* callers of an open loop */
    struct headers *headers;
    struct journal_entry *entries;
    uint64_t requests;
    int in_flight;
    struct arrivals arrivals;
    struct random streams[RUN_STREAM_COUNT];
    struct recorder *recorder;
    uint64_t events;
    bool is_out_of_memory;
    bool has_journal_failed;
};

static struct caller *caller_of(struct simulation *simulation, uint32_t who)
{
    return &simulation->callers[who];
}

static void schedule(struct simulation *simulation, int64_t at_ns, enum what what, uint32_t who)
{
    const struct event event = {.at_ns = at_ns, .who = who, .what = (uint32_t)what};
    if (!event_queue_put(simulation->queue, event))
        simulation->is_out_of_memory = true;
}

static int64_t draw(struct simulation *simulation, const struct distribution *distribution,
                    enum run_stream stream)
{
    return distribution_draw(distribution, &simulation->streams[stream]);
}

/* --- the journal ------------------------------------------------------------------------------ */

static void begin_entry(struct simulation *simulation, uint32_t who,
                        const struct quota_answer *answer, int64_t answered_ns, int64_t asked_ns)
{
    const struct caller *caller = caller_of(simulation, who);
    struct journal_entry *entry = &simulation->entries[who];
    *entry = (struct journal_entry){
        .sequence = simulation->requests,
        .connection = who + UINT64_C(1),
        .method = "POST",
        .path = "/v1/chat/completions",
        .tokens = caller->tokens,
        .arrived_ns = simulation->now_ns,
        .decided_ns = simulation->now_ns,
        .first_byte_ns = answered_ns,
        .answered_ns = answered_ns,
        .decision = answer->admitted ? JOURNAL_SERVED : JOURNAL_THROTTLED,
        .limit = answer->stopped_by,
        .status = answer->admitted ? 200 : 429,
        .retry_after_ns = asked_ns,
        .in_flight = simulation->in_flight,
        .retry_count = caller->state.attempts,
        .script_step = -1,
    };
    static_assert(sizeof entry->model == EXPERIMENT_MODEL_SIZE, "a model's name fits");
    memcpy(entry->model, simulation->experiment->model, sizeof entry->model);
    if (!answer->admitted)
        snprintf(entry->code, sizeof entry->code, "%s",
                 answer->stopped_by == QUOTA_REQUESTS_TOTAL ? "insufficient_quota"
                                                            : "rate_limit_exceeded");
    /* A caller makes one call at a time, so who and when it began tell calls apart. */
    snprintf(entry->call_marker, sizeof entry->call_marker, "%" PRIu32 "-%" PRId64, who + 1,
             caller->state.started_ns);
}

static void end_entry(struct simulation *simulation, uint32_t who)
{
    if (simulation->entries == NULL)
        return;
    if (!journal_write_entry(&simulation->entries[who], simulation->order->journal))
        simulation->has_journal_failed = true;
}

/* --- a request -------------------------------------------------------------------------------- */

static void stop_waiting(struct simulation *simulation, struct caller *caller)
{
    if (caller->is_waiting)
        recorder_wait_ends(simulation->recorder, caller->mark_ns, simulation->now_ns);
    caller->is_waiting = false;
}

static void start_waiting(struct simulation *simulation, struct caller *caller)
{
    if (caller->is_waiting)
        return;
    caller->is_waiting = true;
    caller->mark_ns = simulation->now_ns;
    recorder_wait_begins(simulation->recorder, simulation->now_ns);
}

/* As the server says it: in whole milliseconds, rounded up. */
static int64_t asked_wait(const struct quota_answer *answer)
{
    if (answer->wait_ns < 0)
        return -1;
    return (answer->wait_ns + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;
}

static void note_headers(struct simulation *simulation, uint32_t who)
{
    struct headers *headers = &simulation->headers[who];
    headers->requests = ratelimit_told(&simulation->pool, RATELIMIT_REQUESTS, simulation->now_ns);
    headers->tokens = ratelimit_told(&simulation->pool, RATELIMIT_TOKENS, simulation->now_ns);
}

static void send(struct simulation *simulation, uint32_t who)
{
    const struct experiment *experiment = simulation->experiment;
    struct caller *caller = caller_of(simulation, who);
    int64_t now_ns = simulation->now_ns;
    stop_waiting(simulation, caller);
    const struct quota_answer answer = quota_admit(&simulation->pool, now_ns, caller->tokens);
    recorder_arrives(simulation->recorder, now_ns, caller->state.attempts > 0, !answer.admitted);
    simulation->requests++;
    simulation->in_flight++;
    int64_t answered_ns = now_ns;
    int64_t asked_ns = -1;
    if (answer.admitted) {
        answered_ns += draw(simulation, &experiment->service_time, RUN_STREAM_SERVICE);
        schedule(simulation, answered_ns, WHAT_SERVED, who);
    } else {
        answered_ns += draw(simulation, &experiment->refusal_time, RUN_STREAM_REFUSAL);
        asked_ns = asked_wait(&answer);
        caller->mark_ns = asked_ns;
        caller->is_hopeless = answer.stopped_by == QUOTA_REQUESTS_TOTAL;
        schedule(simulation, answered_ns, WHAT_REFUSED, who);
    }
    if (simulation->gate.settings.kind == GATE_HEADERS)
        note_headers(simulation, who);
    if (simulation->entries != NULL)
        begin_entry(simulation, who, &answer, answered_ns, asked_ns);
}

/* --- the gate --------------------------------------------------------------------------------- */

static void enqueue(struct simulation *simulation, struct line *line, uint32_t who)
{
    caller_of(simulation, who)->next = NOBODY;
    if (line->first == NOBODY)
        line->first = who;
    else
        caller_of(simulation, line->last)->next = who;
    line->last = who;
}

static void set_gate_timer(struct simulation *simulation, int64_t at_ns)
{
    if (simulation->gate_due_ns == at_ns)
        return;
    simulation->gate_due_ns = at_ns;
    schedule(simulation, at_ns, WHAT_GATE, ++simulation->gate_setting);
}

/* True when `who` was let go. */
static bool ask_gate(struct simulation *simulation, uint32_t who)
{
    struct caller *caller = caller_of(simulation, who);
    const struct gate_answer answer =
        gate_ask(&simulation->gate, simulation->now_ns, caller->tokens);
    if (answer.verdict == GATE_WAIT)
        set_gate_timer(simulation, answer.until_ns);
    if (answer.verdict != GATE_GO)
        return false;
    caller->is_inside = true;
    if (caller->state.inner.attempts == 0 && caller->state.outer_rounds == 0)
        caller->state.inner.started_ns = simulation->now_ns;
    if (simulation->headers != NULL)
        simulation->headers[who].ticket = answer.ticket;
    return true;
}

/* Lets go whom the gate lets go. */
static void move_line(struct simulation *simulation)
{
    for (;;) {
        struct line *line =
            simulation->retries.first != NOBODY ? &simulation->retries : &simulation->line;
        uint32_t who = line->first;
        if (who == NOBODY || !ask_gate(simulation, who))
            return;
        line->first = caller_of(simulation, who)->next;
        send(simulation, who);
    }
}

static void approach(struct simulation *simulation, uint32_t who)
{
    struct caller *caller = caller_of(simulation, who);
    if (!simulation->has_gate || caller->is_inside) {
        send(simulation, who);
        return;
    }
    bool goes_first = simulation->gate.settings.retries_first && caller->state.attempts > 0;
    struct line *line = goes_first ? &simulation->retries : &simulation->line;
    start_waiting(simulation, caller);
    enqueue(simulation, line, who);
    /* Whoever is not the head of the queue has nothing to ask. */
    bool is_head = line->first == who && (goes_first || simulation->retries.first == NOBODY);
    if (is_head)
        move_line(simulation);
}

static void leave_gate(struct simulation *simulation, struct caller *caller)
{
    if (!caller->is_inside)
        return;
    caller->is_inside = false;
    gate_leave(&simulation->gate);
}

static struct gate_remaining remaining_of(const struct ratelimit_told *told)
{
    return (struct gate_remaining){.is_told = told->is_told,
                                   .limit = told->limit,
                                   .remaining = told->remaining,
                                   .reset_ns = told->reset_ns};
}

static void tell_gate(struct simulation *simulation, uint32_t who, int status)
{
    struct gate_news news = {.status = status};
    if (simulation->headers != NULL) {
        const struct headers *headers = &simulation->headers[who];
        news.ticket = headers->ticket;
        news.requests = remaining_of(&headers->requests);
        news.tokens = remaining_of(&headers->tokens);
    }
    gate_told(&simulation->gate, &news, simulation->now_ns);
    struct caller *caller = caller_of(simulation, who);
    if (!simulation->gate.settings.holds_for_call)
        leave_gate(simulation, caller);
}

/* --- a call ----------------------------------------------------------------------------------- */

static void begin_call(struct simulation *simulation, uint32_t who, int64_t tokens)
{
    struct caller *caller = caller_of(simulation, who);
    int64_t now_ns = simulation->now_ns;
    caller->state = (struct strategy_state){.inner.started_ns = now_ns, .started_ns = now_ns};
    caller->tokens = (uint32_t)tokens;
    recorder_call_begins(simulation->recorder, now_ns);
    approach(simulation, who);
}

static void begin_next_call(struct simulation *simulation, uint32_t who)
{
    if (simulation->now_ns >= simulation->experiment->duration_ns)
        return;
    begin_call(simulation, who,
               draw(simulation, &simulation->experiment->request_tokens, RUN_STREAM_TOKENS));
}

static void end_call(struct simulation *simulation, uint32_t who, bool is_served)
{
    struct caller *caller = caller_of(simulation, who);
    recorder_call_ends(simulation->recorder, caller->state.started_ns, simulation->now_ns,
                       caller->state.attempts, is_served);
    caller->served += is_served;
    if (simulation->has_gate) {
        leave_gate(simulation, caller);
        move_line(simulation);
    }
    if (simulation->experiment->is_open) {
        caller->next = simulation->unused;
        simulation->unused = who;
        return;
    }
    int64_t thinking_ns =
        draw(simulation, &simulation->experiment->think_time, RUN_STREAM_THINKING);
    if (thinking_ns > 0)
        schedule(simulation, simulation->now_ns + thinking_ns, WHAT_CALL, who);
    else
        begin_next_call(simulation, who);
}

static void served(struct simulation *simulation, uint32_t who)
{
    struct caller *caller = caller_of(simulation, who);
    quota_finish(&simulation->pool);
    simulation->in_flight--;
    end_entry(simulation, who);
    recorder_served(simulation->recorder, simulation->now_ns, caller->tokens);
    caller->state.attempts++;
    if (simulation->has_gate)
        tell_gate(simulation, who, 200);
    end_call(simulation, who, true);
}

static void refused(struct simulation *simulation, uint32_t who)
{
    struct caller *caller = caller_of(simulation, who);
    simulation->in_flight--;
    end_entry(simulation, who);
    const char *code = caller->is_hopeless ? "insufficient_quota" : "rate_limit_exceeded";
    const struct retry_outcome outcome = {
        .status = 429,
        .error_type = caller->is_hopeless ? code : "requests",
        .error_code = code,
        .has_retry_after = caller->mark_ns >= 0,
        .retry_after_ns = caller->mark_ns,
    };
    if (simulation->has_gate)
        tell_gate(simulation, who, 429);
    const struct retry_decision decision =
        strategy_decide(simulation->strategy, &caller->state, &outcome,
                        &simulation->streams[RUN_STREAM_JITTER], simulation->now_ns);
    if (!decision.retry) {
        end_call(simulation, who, false);
        return;
    }
    start_waiting(simulation, caller);
    schedule(simulation, simulation->now_ns + decision.wait_ns, WHAT_ATTEMPT, who);
    if (simulation->has_gate)
        move_line(simulation);
}

/* --- open loop -------------------------------------------------------------------------------- */

static bool grow(struct simulation *simulation)
{
    size_t count = simulation->caller_count * 2;
    if (count > EXPERIMENT_WORKERS_MAX)
        return false;
    struct caller *callers = large_memory_new(count * sizeof(struct caller));
    if (callers == NULL)
        return false;
    size_t old_count = simulation->caller_count;
    memcpy(callers, simulation->callers, old_count * sizeof *callers);
    memset(callers + old_count, 0, (count - old_count) * sizeof *callers);
    free(simulation->callers);
    simulation->callers = callers;
    event_queue_fetch_early(simulation->queue, callers, sizeof *callers, count);
    if (simulation->headers != NULL) {
        struct headers *headers = realloc(simulation->headers, count * sizeof *headers);
        if (headers == NULL)
            return false;
        simulation->headers = headers;
    }
    if (simulation->entries != NULL) {
        struct journal_entry *entries = realloc(simulation->entries, count * sizeof *entries);
        if (entries == NULL)
            return false;
        simulation->entries = entries;
    }
    for (size_t i = count; i > old_count; i--) {
        callers[i - 1].next = simulation->unused;
        simulation->unused = (uint32_t)(i - 1);
    }
    simulation->caller_count = count;
    return true;
}

static void schedule_arrival(struct simulation *simulation)
{
    const struct arrival arrival =
        arrivals_next(&simulation->arrivals, &simulation->streams[RUN_STREAM_ARRIVALS]);
    if (arrival.at_ns >= simulation->experiment->duration_ns)
        return;
    /* The recorded size travels as `who`, which no caller has yet. */
    uint32_t tokens = arrival.tokens < 0 ? NOBODY : (uint32_t)arrival.tokens;
    schedule(simulation, arrival.at_ns, WHAT_ARRIVAL, tokens);
}

static void arrive(struct simulation *simulation, uint32_t recorded_tokens)
{
    /* Scheduled first, so that those who come at the same time keep their order. */
    schedule_arrival(simulation);
    if (simulation->unused == NOBODY && !grow(simulation)) {
        simulation->is_out_of_memory = true;
        return;
    }
    uint32_t who = simulation->unused;
    simulation->unused = caller_of(simulation, who)->next;
    int64_t tokens = recorded_tokens;
    if (recorded_tokens == NOBODY)
        tokens = draw(simulation, &simulation->experiment->request_tokens, RUN_STREAM_TOKENS);
    begin_call(simulation, who, tokens);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void happen(struct simulation *simulation, const struct event *event)
{
    switch ((enum what)event->what) {
    case WHAT_CALL:
        begin_next_call(simulation, event->who);
        return;
    case WHAT_ARRIVAL:
        arrive(simulation, event->who);
        return;
    case WHAT_ATTEMPT:
        approach(simulation, event->who);
        return;
    case WHAT_SERVED:
        served(simulation, event->who);
        return;
    case WHAT_REFUSED:
        refused(simulation, event->who);
        return;
    case WHAT_GATE:
        if (event->who == simulation->gate_setting) {
            simulation->gate_due_ns = -1;
            move_line(simulation);
        }
        return;
    }
}

/* True when somebody asks to stop. Tells how far it is. */
static bool look_up(const struct simulation *simulation)
{
    const struct run_order *order = simulation->order;
    if (order->progress != NULL) {
        double share = (double)simulation->now_ns / (double)simulation->experiment->duration_ns;
        atomic_store(order->progress,
                     (uint_least32_t)(share < 1 ? share * FULL_PROGRESS : FULL_PROGRESS));
    }
    return order->stop != NULL && atomic_load(order->stop);
}

/* False when it was stopped on the way. */
static bool run(struct simulation *simulation)
{
    const struct experiment *experiment = simulation->experiment;
    int64_t end_ns = experiment->duration_ns + experiment->drain_ns;
    struct event event;
    while (event_queue_take(simulation->queue, &event)) {
        if (event.at_ns > end_ns) {
            simulation->now_ns = end_ns;
            return true;
        }
        simulation->now_ns = event.at_ns;
        happen(simulation, &event);
        if (++simulation->events % EVENTS_BETWEEN_LOOKS == 0 &&
            (simulation->is_out_of_memory || look_up(simulation)))
            return false;
    }
    return true;
}

static bool allocate(struct simulation *simulation)
{
    const struct experiment *experiment = simulation->experiment;
    size_t count = experiment->is_open ? CALLERS_AT_START : (size_t)simulation->order->load;
    assert(count > 0);
    simulation->caller_count = count;
    simulation->queue = event_queue_new();
    simulation->callers = large_memory_new(count * sizeof(struct caller));
    simulation->recorder = malloc(sizeof *simulation->recorder);
    if (simulation->queue == NULL || simulation->callers == NULL || simulation->recorder == NULL)
        return false;
    memset(simulation->callers, 0, count * sizeof *simulation->callers);
    event_queue_fetch_early(simulation->queue, simulation->callers, sizeof *simulation->callers,
                            count);
    enum gate_kind gate = simulation->strategy->gate.kind;
    if (gate == GATE_HEADERS || gate == GATE_ADAPTIVE) {
        simulation->headers = calloc(count, sizeof *simulation->headers);
        if (simulation->headers == NULL)
            return false;
    }
    if (simulation->order->journal != NULL) {
        simulation->entries = calloc(count, sizeof *simulation->entries);
        if (simulation->entries == NULL)
            return false;
    }
    return true;
}

static void start(struct simulation *simulation)
{
    const struct experiment *experiment = simulation->experiment;
    for (int i = 0; i < RUN_STREAM_COUNT; i++)
        random_seed(&simulation->streams[i], simulation->order->seed, (uint64_t)i);
    quota_init(&simulation->pool, &experiment->limits, 0);
    simulation->has_gate = !gate_is_open(&simulation->strategy->gate);
    gate_init(&simulation->gate, &simulation->strategy->gate, 0);
    const struct recorder_settings settings = recorder_settings_of(experiment, &simulation->pool);
    recorder_init(simulation->recorder, &settings);
    if (experiment->is_open) {
        for (size_t i = simulation->caller_count; i > 0; i--) {
            simulation->callers[i - 1].next = simulation->unused;
            simulation->unused = (uint32_t)(i - 1);
        }
        arrivals_init(&simulation->arrivals, &experiment->arrivals, simulation->order->load);
        schedule_arrival(simulation);
        return;
    }
    double count = (double)simulation->caller_count;
    for (size_t i = 0; i < simulation->caller_count; i++) {
        int64_t at_ns = (int64_t)((double)experiment->ramp_ns * ((double)i / count));
        schedule(simulation, at_ns, WHAT_CALL, (uint32_t)i);
    }
}

static bool finish(struct simulation *simulation, bool is_complete, struct run_result *result,
                   struct error *error)
{
    if (simulation->is_out_of_memory || event_queue_failed(simulation->queue))
        return error_set_run(error, simulation->experiment->file, "out of memory with %zu callers",
                             simulation->caller_count);
    if (simulation->has_journal_failed)
        return error_set_run(error, "journal", "it cannot be written (is the disk full?)");
    uint32_t *served_counts = NULL;
    if (!simulation->experiment->is_open) {
        served_counts = malloc(simulation->caller_count * sizeof *served_counts);
        if (served_counts == NULL)
            return error_set_run(error, simulation->experiment->file, "out of memory");
        for (size_t i = 0; i < simulation->caller_count; i++)
            served_counts[i] = simulation->callers[i].served;
    }
    recorder_finish(simulation->recorder, simulation->now_ns, is_complete, served_counts,
                    simulation->caller_count, result);
    result->events = simulation->events;
    free(served_counts);
    return true;
}

bool simulation_run(const struct run_order *order, struct run_result *result, struct error *error)
{
    struct simulation *simulation = calloc(1, sizeof *simulation);
    if (simulation == NULL)
        return error_set_run(error, order->experiment->file, "out of memory");
    simulation->order = order;
    simulation->experiment = order->experiment;
    simulation->strategy = order->strategy;
    simulation->line = simulation->retries = (struct line){.first = NOBODY, .last = NOBODY};
    simulation->unused = NOBODY;
    simulation->gate_due_ns = -1;
    bool is_done = false;
    if (allocate(simulation)) {
        start(simulation);
        bool is_complete = run(simulation);
        is_done = finish(simulation, is_complete, result, error);
        quota_free(&simulation->pool);
    } else {
        error_set_run(error, order->experiment->file, "out of memory with %zu callers",
                      simulation->caller_count);
    }
    event_queue_free(simulation->queue);
    free(simulation->callers);
    free(simulation->headers);
    free(simulation->entries);
    free(simulation->recorder);
    free(simulation);
    return is_done;
}
