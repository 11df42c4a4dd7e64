#include "lab/live.h"

#include "base/duration.h"
#include "client/client.h"
#include "lab/lateness.h"
#include "lab/recorder.h"
#include "mockserver/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    NOTES_AT_START = 4096, /* grows by doubling */
    FULL_PROGRESS = 1000000,
    CHARS_PER_TOKEN = 4, /* as the server estimates (mockserver/token_estimate.c) */
    MARKER_SIZE = 40,
};

_Static_assert((int)RUN_STREAM_SERVICE == (int)API_STREAM_LATENCY &&
                   (int)RUN_STREAM_REFUSAL == (int)API_STREAM_REFUSAL,
               "the server draws from the streams that the simulation draws from");

/* How often the stop flag is looked at, while nothing happens. */
#define LOOK_NS (100 * NS_PER_MS)

static const char marker_header[] = "X-Toomany-Call";

/* What happened, in order. The recorder is told afterwards: whether an attempt was throttled on its
 * arrival is known only when its answer has come. */
enum note_kind { NOTE_BEGINS, NOTE_WAITS, NOTE_SENT, NOTE_ANSWERED, NOTE_ENDS };

struct note {
    int64_t at_ns;
    int64_t amount;   /* sent: its tokens; answered: the note of its sending; ends: begun when */
    int64_t since_ns; /* sent: of its wait; -1: it did not wait */
    int32_t attempts;
    uint8_t kind;
    bool is_retry;
    bool is_throttled;
    bool is_served;
    bool is_admitted; /* by the pool that follows the server's, when the notes are read */
};

/* A worker of a closed loop, or a call of an open one. */
struct caller {
    struct live *live;
    struct caller *next_made;
    struct caller *next_unused;
    struct deadline next_call;
    int64_t begun_ns;
    int64_t waits_since_ns; /* -1: does not wait */
    int64_t ended_ns;       /* of the last attempt */
    int64_t tokens;
    size_t sent_note;
    uint32_t number; /* from 1 */
    uint32_t served;
};

struct live {
    const struct run_order *order;
    const struct experiment *experiment;
    struct loop loop;
    struct server *server;
    struct client *client;
    int64_t start_ns; /* the begin of the run on the loop's clock */
    struct caller *workers;
    struct caller *made; /* callers of an open loop, each allocated by itself */
    struct caller *unused;
    uint32_t caller_count;
    size_t workers_due; /* workers that will make another call */
    struct arrivals arrivals;
    struct arrival arrival; /* the next one */
    bool is_arriving;
    struct deadline next_arrival;
    struct deadline end;
    bool has_ended;
    struct lateness lateness; /* of a real clock */
    struct random streams[RUN_STREAM_COUNT];
    char *text; /* what messages are cut from */
    size_t text_size;
    struct note *notes;
    size_t note_count;
    size_t note_capacity;
    uint64_t answers;
    bool has_failed;
    struct error *error;
};

static bool fail(struct live *live, const char *place, const char *message)
{
    if (!live->has_failed)
        error_set_run(live->error, place, "%s", message);
    live->has_failed = true;
    return false;
}

static int64_t run_time(const struct live *live, int64_t at_ns)
{
    return at_ns - live->start_ns;
}

static int64_t run_now(const struct live *live)
{
    return run_time(live, loop_now(&live->loop));
}

/* --- notes ------------------------------------------------------------------------------------ */

static void take_note(struct live *live, struct note note)
{
    if (live->note_count == live->note_capacity) {
        size_t capacity = live->note_capacity == 0 ? NOTES_AT_START : live->note_capacity * 2;
        struct note *notes = realloc(live->notes, capacity * sizeof *notes);
        if (notes == NULL) {
            fail(live, live->experiment->file, "out of memory for what happened");
            return;
        }
        live->notes = notes;
        live->note_capacity = capacity;
    }
    live->notes[live->note_count++] = note;
}

static void note_sent(struct live *live, struct caller *caller, const struct client_event *event)
{
    caller->sent_note = live->note_count;
    take_note(live, (struct note){.kind = NOTE_SENT,
                                  .at_ns = run_time(live, event->at_ns),
                                  .amount = caller->tokens,
                                  .since_ns = caller->waits_since_ns,
                                  .is_retry = event->attempt > 1});
    caller->waits_since_ns = -1;
}

static void note_answered(struct live *live, struct caller *caller,
                          const struct client_event *event)
{
    caller->ended_ns = run_time(live, event->at_ns);
    live->answers += event->status != 0;
    if (caller->sent_note < live->note_count && event->status == 429)
        live->notes[caller->sent_note].is_throttled = true;
    take_note(live, (struct note){.kind = NOTE_ANSWERED,
                                  .at_ns = caller->ended_ns,
                                  .amount = (int64_t)caller->sent_note,
                                  .is_served = event->status == 200});
}

static void on_event(void *owner, const struct client_event *event)
{
    struct live *live = owner;
    struct caller *caller = event->owner;
    switch (event->kind) {
    case CLIENT_CALL_WAITS:
        if (caller->waits_since_ns >= 0)
            return; /* at the gate now, after its wait for a retry */
        caller->waits_since_ns = run_time(live, event->at_ns);
        take_note(live, (struct note){.kind = NOTE_WAITS, .at_ns = caller->waits_since_ns});
        return;
    case CLIENT_ATTEMPT_SENT:
        note_sent(live, caller, event);
        return;
    case CLIENT_ATTEMPT_ENDED:
        note_answered(live, caller, event);
        return;
    }
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call_ended(void *owner, const struct client_outcome *outcome);

/* A message that the server estimates at `tokens`. It stands until the next one is asked for. */
static char *message_of(struct live *live, int64_t tokens)
{
    if (tokens < LIVE_TOKENS_MIN || tokens > LIVE_TOKENS_MAX) {
        fail(live, "request_tokens",
             "a real request has 3 to 1000000 tokens; --simulate takes others, too");
        return NULL;
    }
    size_t length = (size_t)(tokens - LIVE_TOKENS_MIN) * CHARS_PER_TOKEN;
    if (length >= live->text_size) {
        char *text = realloc(live->text, length + 1);
        if (text == NULL) {
            fail(live, live->experiment->file, "out of memory for a message");
            return NULL;
        }
        live->text = text;
        live->text_size = length + 1;
    }
    memset(live->text, 'x', length);
    live->text[length] = '\0';
    return live->text;
}

static int64_t draw(struct live *live, const struct distribution *distribution,
                    enum run_stream stream)
{
    return distribution_draw(distribution, &live->streams[stream]);
}

/* `due_ns`: when it should have begun; a busy machine begins it later, and it waits from then. */
static void begin_call(struct live *live, struct caller *caller, int64_t due_ns, int64_t tokens)
{
    struct error error;
    char marker[MARKER_SIZE];
    char *message = message_of(live, tokens);
    if (message == NULL)
        return;
    caller->begun_ns = due_ns;
    caller->tokens = tokens;
    caller->waits_since_ns = -1;
    take_note(live, (struct note){.kind = NOTE_BEGINS, .at_ns = run_now(live)});
    snprintf(marker, sizeof marker, "%" PRIu32 "-%" PRId64, caller->number, due_ns);
    const struct client_request request = {
        .model = live->experiment->model,
        .message = message,
        .tokens = tokens,
        .marker_header_name = marker_header,
        .marker_header_value = marker,
    };
    if (!client_call(live->client, &request, call_ended, caller, &error) && !live->has_failed) {
        *live->error = error;
        live->has_failed = true;
    }
}

static void begin_next_call(struct live *live, struct caller *caller)
{
    int64_t now_ns = run_now(live);
    if (now_ns >= live->experiment->duration_ns) {
        live->workers_due--;
        return;
    }
    begin_call(live, caller, now_ns,
               draw(live, &live->experiment->request_tokens, RUN_STREAM_TOKENS));
}

static void next_call_due(void *owner, int64_t now_ns)
{
    struct caller *caller = owner;
    (void)now_ns;
    begin_next_call(caller->live, caller);
}

static void think(struct live *live, struct caller *caller)
{
    int64_t thinking_ns = draw(live, &live->experiment->think_time, RUN_STREAM_THINKING);
    if (thinking_ns > 0)
        loop_after(&live->loop, &caller->next_call, thinking_ns);
    else
        begin_next_call(live, caller);
}

static void call_ended(void *owner, const struct client_outcome *outcome)
{
    struct caller *caller = owner;
    struct live *live = caller->live;
    take_note(live, (struct note){.kind = NOTE_ENDS,
                                  .at_ns = caller->ended_ns,
                                  .amount = caller->begun_ns,
                                  .attempts = outcome->attempts,
                                  .is_served = outcome->succeeded});
    caller->served += outcome->succeeded;
    /* Nothing cuts a connection to a server of ours, and one that answers nobody is none. */
    if (outcome->status == 0 && (live->server != NULL || live->answers == 0))
        fail(live, "a request got no answer", outcome->transport_error);
    if (live->has_failed)
        return;
    if (!live->experiment->is_open) {
        think(live, caller);
        return;
    }
    caller->next_unused = live->unused;
    live->unused = caller;
}

/* --- open loop -------------------------------------------------------------------------------- */

static struct caller *take_caller(struct live *live)
{
    struct caller *caller = live->unused;
    if (caller != NULL) {
        live->unused = caller->next_unused;
        return caller;
    }
    caller = live->caller_count < LIVE_CALLS_MAX ? calloc(1, sizeof *caller) : NULL;
    if (caller == NULL) {
        fail(live, live->experiment->file,
             "more than 8000 calls are open at once; --simulate takes as many as come");
        return NULL;
    }
    caller->live = live;
    caller->number = ++live->caller_count;
    caller->next_made = live->made;
    live->made = caller;
    return caller;
}

static void expect_arrival(struct live *live)
{
    live->arrival = arrivals_next(&live->arrivals, &live->streams[RUN_STREAM_ARRIVALS]);
    live->is_arriving = live->arrival.at_ns < live->experiment->duration_ns;
    if (live->is_arriving)
        loop_at(&live->loop, &live->next_arrival, live->start_ns + live->arrival.at_ns);
}

static void call_arrives(void *owner, int64_t now_ns)
{
    struct live *live = owner;
    struct arrival arrival = live->arrival;
    (void)now_ns;
    expect_arrival(live);
    struct caller *caller = take_caller(live);
    if (caller == NULL)
        return;
    int64_t tokens = arrival.tokens;
    if (tokens < 0)
        tokens = draw(live, &live->experiment->request_tokens, RUN_STREAM_TOKENS);
    begin_call(live, caller, arrival.at_ns, tokens);
}

/* --- settings --------------------------------------------------------------------------------- */

bool live_check(const struct live_settings *settings, struct error *error)
{
    char host[CLIENT_HOST_SIZE];
    bool is_loopback = false;
    if (settings->speed < 0 || settings->speed > CLOCK_SPEED_MAX)
        return error_set(error, "speed", "found %" PRId64 ", wanted 1 to %d", settings->speed,
                         CLOCK_SPEED_MAX);
    if (settings->base_url == NULL)
        return true;
    if (settings->clock == CLOCK_VIRTUAL || settings->speed > 1)
        return error_set(error, "base_url",
                         "another server keeps the machine's time; leave out the speed");
    if (!client_host_of(settings->base_url, host, &is_loopback, error))
        return false;
    if (is_loopback ||
        (settings->allowed_host != NULL && strcasecmp(settings->allowed_host, host) == 0))
        return true;
    return error_set(error, "base_url",
                     "%s is not this machine; an experiment sends it as many requests as it can: "
                     "say --allow-host %s if it may",
                     host, host);
}

static const struct live_settings *settings_of(const struct live *live)
{
    static const struct live_settings defaults = {.clock = CLOCK_REAL};
    return live->order->live != NULL ? live->order->live : &defaults;
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool start_server(struct live *live, struct config *config, struct error *error)
{
    const struct server_options options = {
        .config = config,
        .seed = live->order->seed,
        .marker_header = marker_header,
        .journal_capacity = LIVE_JOURNAL_ENTRIES,
        .journal_when_full = JOURNAL_DROP_OLDEST,
        .journal_stream = live->order->journal,
    };
    live->server = server_new(&live->loop, &options, error);
    return live->server != NULL;
}

static bool start_client(struct live *live, struct error *error)
{
    const struct live_settings *settings = settings_of(live);
    const struct client_options options = {
        .base_url = live->server != NULL ? server_base_url(live->server) : settings->base_url,
        .api_key = settings->api_key != NULL ? settings->api_key : "sk-toomany-load",
        .strategy = *live->order->strategy,
        /* A model may take a day; only a server that never answers must not hold the run for
         * ever, and that its drain ends. */
        .attempt_timeout_ns = NS_PER_DAY,
        .jitter = &live->streams[RUN_STREAM_JITTER],
        .key_seed = live->order->seed,
        .connections_kept = LIVE_CALLS_MAX,
        .on_event = on_event,
        .on_event_owner = live,
    };
    live->client = client_new(&live->loop, &options, error);
    return live->client != NULL;
}

static void end_reached(void *owner, int64_t now_ns)
{
    struct live *live = owner;
    (void)now_ns;
    live->has_ended = true;
}

static bool start_calls(struct live *live)
{
    const struct experiment *experiment = live->experiment;
    for (int i = 0; i < RUN_STREAM_COUNT; i++)
        random_seed(&live->streams[i], live->order->seed, (uint64_t)i);
    live->start_ns = loop_now(&live->loop);
    live->end = (struct deadline){.fire = end_reached, .owner = live};
    loop_at(&live->loop, &live->end,
            live->start_ns + experiment->duration_ns + experiment->drain_ns);
    if (live->loop.clock.kind != CLOCK_VIRTUAL &&
        !lateness_start(&live->lateness, &live->loop, live->start_ns, experiment->duration_ns,
                        live->error))
        return false;
    if (experiment->is_open) {
        arrivals_init(&live->arrivals, &experiment->arrivals, live->order->load);
        live->next_arrival = (struct deadline){.fire = call_arrives, .owner = live};
        expect_arrival(live);
        return true;
    }
    size_t count = (size_t)live->order->load;
    if (live->order->load > LIVE_CALLS_MAX)
        return fail(live, live->experiment->file,
                    "a real run has at most 8000 workers; --simulate takes more");
    live->workers = calloc(count, sizeof *live->workers);
    if (live->workers == NULL)
        return fail(live, live->experiment->file, "out of memory for the workers");
    live->workers_due = count;
    for (size_t i = 0; i < count; i++) {
        struct caller *worker = &live->workers[i];
        *worker = (struct caller){.live = live,
                                  .number = (uint32_t)i + 1,
                                  .next_call = {.fire = next_call_due, .owner = worker}};
        double at_ns = (double)experiment->ramp_ns * ((double)i / (double)count);
        loop_at(&live->loop, &worker->next_call, live->start_ns + (int64_t)at_ns);
    }
    return true;
}

static bool is_stopped(const struct live *live)
{
    const struct run_order *order = live->order;
    if (order->progress != NULL) {
        double share = (double)run_now(live) / (double)live->experiment->duration_ns;
        atomic_store(order->progress,
                     (uint_least32_t)(share < 1 ? share * FULL_PROGRESS : FULL_PROGRESS));
    }
    return order->stop != NULL && atomic_load(order->stop);
}

static bool is_over(const struct live *live)
{
    return live->has_ended ||
           (live->workers_due == 0 && !live->is_arriving && client_calls_open(live->client) == 0);
}

/* False when it was stopped on the way. */
static bool run(struct live *live)
{
    int64_t wait_ns = live->loop.clock.kind == CLOCK_VIRTUAL ? -1 : LOOK_NS;
    while (!is_over(live)) {
        if (live->has_failed || is_stopped(live))
            return false;
        loop_turn(&live->loop, wait_ns);
    }
    return true;
}

/* --- the measures ----------------------------------------------------------------------------- */

/* The pool follows the server's: what that admitted is taken out of this one too. */
static void read_note(struct live *live, struct note *note, struct recorder *recorder,
                      struct quota_pool *pool)
{
    struct note *sent = NULL;
    switch ((enum note_kind)note->kind) {
    case NOTE_BEGINS:
        recorder_call_begins(recorder, note->at_ns);
        return;
    case NOTE_WAITS:
        recorder_wait_begins(recorder, note->at_ns);
        return;
    case NOTE_SENT:
        if (note->since_ns >= 0)
            recorder_wait_ends(recorder, note->since_ns, note->at_ns);
        recorder_arrives(recorder, note->at_ns, note->is_retry, note->is_throttled);
        if (!note->is_throttled)
            note->is_admitted = quota_admit(pool, note->at_ns, note->amount).admitted;
        return;
    case NOTE_ANSWERED:
        sent = &live->notes[note->amount];
        if (sent->is_admitted)
            quota_finish(pool);
        if (note->is_served)
            recorder_served(recorder, note->at_ns, sent->amount);
        return;
    case NOTE_ENDS:
        recorder_call_ends(recorder, note->amount, note->at_ns, note->attempts, note->is_served);
        return;
    }
}

static bool make_result(struct live *live, int64_t ended_ns, bool is_complete,
                        struct run_result *result)
{
    const struct experiment *experiment = live->experiment;
    struct quota_pool pool = {0};
    const struct recorder_settings settings = recorder_settings_of(experiment, &pool);
    struct recorder *recorder = malloc(sizeof *recorder);
    size_t worker_count = experiment->is_open ? 0 : (size_t)live->order->load;
    uint32_t *served = calloc(worker_count + 1, sizeof *served);
    if (recorder != NULL && served != NULL) {
        quota_init(&pool, &experiment->limits, 0);
        recorder_init(recorder, &settings);
        for (size_t i = 0; i < live->note_count; i++)
            read_note(live, &live->notes[i], recorder, &pool);
        for (size_t i = 0; i < worker_count; i++)
            served[i] = live->workers[i].served;
        recorder_finish(recorder, ended_ns, is_complete, experiment->is_open ? NULL : served,
                        worker_count, result);
        result->events = live->note_count;
        result->measures[MEASURE_LATE] = lateness_mean_s(&live->lateness);
        quota_free(&pool);
    } else {
        fail(live, experiment->file, "out of memory for the measures");
    }
    free(recorder);
    free(served);
    return !live->has_failed;
}

/* Ends what is open, and lets the server write the last entries of its journal. */
static void wind_up(struct live *live)
{
    client_free(live->client);
    live->client = NULL;
    while (live->server != NULL && server_in_flight(live->server) > 0)
        loop_turn(&live->loop, LOOK_NS);
    if (live->server != NULL && journal_stream_failed(server_journal(live->server)))
        fail(live, "journal", "it cannot be written (is the disk full?)");
    loop_cancel(&live->loop, &live->next_arrival);
    loop_cancel(&live->loop, &live->end);
}

static void free_callers(struct live *live)
{
    while (live->made != NULL) {
        struct caller *caller = live->made;
        live->made = caller->next_made;
        free(caller);
    }
    free(live->workers);
}

static bool run_on_loop(struct live *live, struct run_result *result, struct error *error)
{
    const struct experiment *experiment = live->experiment;
    struct config_quota quota = {.model = (char[]){"*"}, .limits = experiment->limits};
    /* Its distributions are the experiment's: not to be freed here. */
    struct config config = {
        .quotas = {.items = &quota, .count = 1},
        .latency = experiment->service_time,
        .refusal_latency = experiment->refusal_time,
    };
    bool is_done = false;
    bool is_own = settings_of(live)->base_url == NULL;
    if ((!is_own || start_server(live, &config, error)) && start_client(live, error) &&
        start_calls(live)) {
        bool is_complete = run(live);
        int64_t ended_ns = run_now(live);
        lateness_stop(&live->lateness);
        wind_up(live);
        is_done = !live->has_failed && make_result(live, ended_ns, is_complete, result);
    }
    lateness_stop(&live->lateness);
    client_free(live->client);
    server_free(live->server);
    return is_done;
}

bool live_run(const struct run_order *order, struct run_result *result, struct error *error)
{
    struct live *live = calloc(1, sizeof *live);
    if (live == NULL)
        return error_set_run(error, order->experiment->file, "out of memory");
    live->order = order;
    live->experiment = order->experiment;
    live->error = error;
    const struct live_settings *settings = settings_of(live);
    bool is_done = false;
    if (order->journal != NULL && settings->base_url != NULL) {
        error_set(error, "journal",
                  "it is the server's: start that one with `toomany serve --journal FILE`");
    } else if (live_check(settings, error) && loop_init(&live->loop, settings->clock, error)) {
        if (settings->speed > 1)
            clock_hasten(&live->loop.clock, settings->speed);
        is_done = run_on_loop(live, result, error);
        loop_free(&live->loop);
    }
    free_callers(live);
    free(live->text);
    free(live->notes);
    free(live);
    return is_done;
}
