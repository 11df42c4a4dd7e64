#include "client/client.h"

#include "base/duration.h"
#include "mockserver/server.h"
#include "tests/unit/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { ENDED_MAX = 64, WAITS_MAX = 64 };

#define SEMAPHORE(n) ((struct gate_settings){.in_flight_max = (n), .holds_for_call = true})

/* What an outcome said, kept beyond on_done. */
struct ended {
    uint64_t call;
    bool succeeded;
    int status;
    char content[64];
    char type[64], code[64], param[64], message[256];
    char request_id[64];
    char body[512];
    bool has_body;
    char transport[128];
    char reason[128];
    int attempts;
    int64_t wait_ns;
    int64_t at_ns;
};

/* A client and its server on one loop with a virtual clock. */
struct world {
    struct loop loop;
    struct config config;
    struct server *server;
    struct client *client;
    struct client_options options;
    struct ended ended[ENDED_MAX];
    int ended_count;
    struct client_wait waits[WAITS_MAX];
    char wait_codes[WAITS_MAX][64];
    int wait_count;
};

static void copy(char *target, size_t size, const char *text)
{
    snprintf(target, size, "%s", text != NULL ? text : "-");
}

static void on_done(void *owner, const struct client_outcome *outcome)
{
    struct world *world = owner;
    assert_true(world->ended_count < ENDED_MAX);
    struct ended *ended = &world->ended[world->ended_count++];
    *ended = (struct ended){
        .call = outcome->call,
        .succeeded = outcome->succeeded,
        .status = outcome->status,
        .has_body = outcome->body != NULL,
        .attempts = outcome->attempts,
        .wait_ns = outcome->wait_ns,
        .at_ns = loop_now(&world->loop),
    };
    copy(ended->content, sizeof ended->content, outcome->content);
    copy(ended->type, sizeof ended->type, outcome->error_type);
    copy(ended->code, sizeof ended->code, outcome->error_code);
    copy(ended->param, sizeof ended->param, outcome->error_param);
    copy(ended->message, sizeof ended->message, outcome->error_message);
    copy(ended->request_id, sizeof ended->request_id, outcome->request_id);
    copy(ended->body, sizeof ended->body, outcome->body);
    copy(ended->transport, sizeof ended->transport, outcome->transport_error);
    copy(ended->reason, sizeof ended->reason, outcome->reason);
    if (outcome->body != NULL)
        assert_int_equal(outcome->body_bytes, strlen(outcome->body));
}

static void on_wait(void *owner, const struct client_wait *wait)
{
    struct world *world = owner;
    assert_true(world->wait_count < WAITS_MAX);
    copy(world->wait_codes[world->wait_count], sizeof world->wait_codes[0], wait->error_code);
    world->waits[world->wait_count++] = *wait;
}

static void start_world(struct world *world)
{
    struct error error;
    *world = (struct world){
        .options = {.api_key = "sk-unit-test-secret",
                    .strategy.policy = retry_policy_default(),
                    .seed = 7,
                    .key_seed = 7,
                    .on_wait = on_wait,
                    .on_wait_owner = world},
    };
    assert_true(loop_init(&world->loop, CLOCK_VIRTUAL, &error));
}

static void start_server(struct world *world, const char *config)
{
    struct error error;
    config_from_text(&world->config, config);
    struct server_options options = {.config = &world->config, .seed = 1};
    world->server = server_new(&world->loop, &options, &error);
    assert_non_null(world->server);
    world->options.base_url = server_base_url(world->server);
}

static void start_client(struct world *world)
{
    struct error error = {0};
    world->client = client_new(&world->loop, &world->options, &error);
    if (world->client == NULL)
        fail_msg("%s: %s", error.place, error.message);
}

static void start(struct world *world, const char *config)
{
    start_world(world);
    start_server(world, config);
}

static void call(struct world *world, const char *message)
{
    struct error error;
    struct client_request request = {.model = "gpt-4o-mini", .message = message};
    assert_true(client_call(world->client, &request, on_done, world, &error));
}

/* Turns until all calls have ended, and the server has seen the last of their answers go. */
static void play(struct world *world)
{
    while (client_calls_open(world->client) > 0)
        loop_turn(&world->loop, -1);
    assert_int_equal(world->loop.holds, 0);
    while (world->server != NULL && server_in_flight(world->server) > 0)
        loop_turn(&world->loop, -1);
    assert_int_equal(world->loop.parked, 0);
}

static void stop(struct world *world)
{
    client_free(world->client);
    server_free(world->server);
    config_free(&world->config);
    assert_null(deadlines_first(&world->loop.deadlines));
    assert_int_equal(world->loop.holds, 0);
    assert_int_equal(world->loop.parked, 0);
    loop_free(&world->loop);
}

static const struct journal_entry *request_at(const struct world *world, size_t index)
{
    const struct journal *journal = server_journal(world->server);
    assert_true(index < journal_count(journal));
    return journal_at(journal, index);
}

static size_t request_count(const struct world *world)
{
    return journal_count(server_journal(world->server));
}

static void assert_arrivals(const struct world *world, const int64_t *arrivals_ns, size_t count)
{
    assert_int_equal(request_count(world), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(request_at(world, i)->arrived_ns, arrivals_ns[i]);
}

#define ASSERT_ARRIVALS(world, ...)                                                                \
    assert_arrivals(world, (const int64_t[]){__VA_ARGS__},                                         \
                    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* --- when attempts are made ------------------------------------------------------------------- */

static void answered_at_once(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"latency\": \"250ms\"}");
    start_client(&world);
    call(&world, "Hello");
    assert_int_equal(client_calls_open(world.client), 1);
    play(&world);
    const struct ended *ended = &world.ended[0];
    assert_true(ended->succeeded);
    assert_int_equal(ended->call, 1);
    assert_int_equal(ended->status, 200);
    assert_true(strlen(ended->content) > 1);
    assert_string_equal(ended->message, "-");
    assert_string_equal(ended->reason, "-");
    assert_string_equal(ended->request_id, request_at(&world, 0)->request_id);
    assert_int_equal(ended->attempts, 1);
    assert_int_equal(ended->wait_ns, 0);
    assert_int_equal(ended->at_ns, 250 * NS_PER_MS);
    assert_int_equal(world.wait_count, 0);
    ASSERT_ARRIVALS(&world, 0);
    stop(&world);
}

static void backs_off_exactly(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}, \"times\": 3,"
                  " \"latency\": \"7ms\"}]}");
    world.options.strategy.policy.base_ns = 1000000001;
    world.options.strategy.policy.attempts_max = 4;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, 1007000001, 3014000003, 7021000007);
    assert_true(world.ended[0].succeeded);
    assert_int_equal(world.ended[0].attempts, 4);
    assert_int_equal(world.ended[0].wait_ns, 7000000007);
    assert_int_equal(world.wait_count, 3);
    assert_int_equal(world.waits[1].call, 1);
    assert_int_equal(world.waits[1].attempt, 2);
    assert_int_equal(world.waits[1].status, 429);
    assert_int_equal(world.waits[1].wait_ns, 2000000002);
    assert_string_equal(world.waits[1].reason, "backoff");
    assert_string_equal(world.wait_codes[1], "rate_limit_exceeded");
    stop(&world);
}

static void gives_up_without_a_wait(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"},"
                  " \"times\": \"forever\"}]}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, NS_PER_S, 3 * NS_PER_S);
    assert_false(world.ended[0].succeeded);
    assert_int_equal(world.ended[0].at_ns, 3 * NS_PER_S);
    assert_string_equal(world.ended[0].reason, "all attempts are used up");
    assert_string_equal(world.ended[0].content, "-");
    stop(&world);
}

static void caps_the_delay(void **state)
{
    (void)state;
    struct world world;
    start(
        &world,
        "{\"script\": [{\"answer\": {\"status\": 503, \"body\": \"\"}, \"times\": \"forever\"}]}");
    world.options.strategy.policy.attempts_max = 5;
    world.options.strategy.policy.cap_ns = 3 * NS_PER_S;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, NS_PER_S, 3 * NS_PER_S, 6 * NS_PER_S, 9 * NS_PER_S);
    assert_int_equal(world.ended[0].status, 503);
    stop(&world);
}

static void honours_retry_after_in_all_forms(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": ["
                  "{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": \"7s\"}},"
                  "{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": \"1500ms\","
                  "            \"retry_after_form\": \"milliseconds\"}},"
                  "{\"answer\": {\"error\": \"rate_limit_exceeded\", \"retry_after\": \"5s\","
                  "            \"retry_after_form\": \"date\"}}]}");
    world.options.strategy.policy.attempts_max = 4;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    /* A date has whole seconds, and so has the client's: 13.5 s is said as 14, and 8.5 s read as 8.
     * Never early, and less than a second late. */
    ASSERT_ARRIVALS(&world, 0, 7 * NS_PER_S, 8500 * NS_PER_MS, 14500 * NS_PER_MS);
    assert_string_equal(world.waits[0].reason, "as Retry-After asks");
    assert_true(world.ended[0].succeeded);
    stop(&world);
}

static void does_not_wait_longer_than_it_may(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\","
                  " \"retry_after\": \"121s\"}, \"times\": \"forever\"}]}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    ASSERT_ARRIVALS(&world, 0);
    assert_string_equal(world.ended[0].reason,
                        "the server asks to wait longer than the policy does");
    stop(&world);
}

static void ends_within_the_total(void **state)
{
    (void)state;
    struct world world;
    start(&world,
          "{\"script\": [{\"answer\": {\"status\": 500, \"body\": \"\"}, \"times\": \"forever\","
          " \"latency\": \"1s\"}]}");
    world.options.strategy.policy.attempts_max = 10;
    world.options.strategy.policy.total_ns = 5 * NS_PER_S;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, 2 * NS_PER_S, 5 * NS_PER_S);
    assert_string_equal(world.ended[0].reason, "the next attempt would come after the total time");
    stop(&world);
}

static void obeys_x_should_retry(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": ["
                  "{\"answer\": {\"status\": 400, \"body\": \"\", \"headers\": "
                  "{\"x-should-retry\": \"true\"}}},"
                  "{\"answer\": {\"status\": 503, \"body\": \"\", \"headers\": "
                  "{\"x-should-retry\": \"false\"}}}"
                  "]}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    assert_int_equal(request_count(&world), 2);
    assert_int_equal(world.ended[0].status, 503);
    stop(&world);
}

static void does_not_retry_a_quota_that_is_used_up(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"quotas\": {\"*\": {\"requests_total\": 0}}}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    assert_int_equal(request_count(&world), 1);
    assert_int_equal(world.ended[0].status, 429);
    assert_string_equal(world.ended[0].code, "insufficient_quota");
    assert_string_equal(world.ended[0].type, "insufficient_quota");
    stop(&world);
}

static void recovers_from_a_real_quota(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"quotas\": {\"*\": {\"requests_per_minute\": 3}}}");
    world.options.strategy.policy.attempts_max = 10;
    start_client(&world);
    for (int i = 0; i < 4; i++)
        call(&world, "Hello");
    play(&world);
    for (int i = 0; i < 4; i++)
        assert_true(world.ended[i].succeeded);
    assert_int_equal(request_at(&world, request_count(&world) - 1)->arrived_ns, 20 * NS_PER_S);
    stop(&world);
}

/* --- the gate --------------------------------------------------------------------------------- */

static void gate_lets_in_order_and_no_more(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"latency\": \"1s\", \"quotas\": {\"*\": {\"concurrent_requests\": 2}}}");
    world.options.strategy.gate = SEMAPHORE(2);
    start_client(&world);
    for (int i = 0; i < 6; i++)
        call(&world, "Hello");
    assert_int_equal(client_calls_open(world.client), 6);
    play(&world);
    ASSERT_ARRIVALS(&world, 0, 0, NS_PER_S, NS_PER_S, 2 * NS_PER_S, 2 * NS_PER_S);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(request_at(&world, i)->status, 200);
        assert_true(request_at(&world, i)->in_flight <= 2);
        assert_int_equal(world.ended[i].call, i + 1);
    }
    stop(&world);
}

static void a_waiting_call_keeps_its_place(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}}]}");
    world.options.strategy.gate = SEMAPHORE(1);
    start_client(&world);
    call(&world, "first");
    call(&world, "second");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, NS_PER_S, NS_PER_S);
    assert_int_equal(request_at(&world, 0)->body_digest, request_at(&world, 1)->body_digest);
    assert_int_equal(world.ended[1].wait_ns, 0);
    stop(&world);
}

static void a_paced_gate_waits_for_tokens_to_come_back(void **state)
{
    (void)state;
    struct world world;
    struct error error;
    struct client_request request = {.model = "m", .message = "Hello", .tokens = 60};
    start(&world, "{}");
    world.options.strategy.gate =
        (struct gate_settings){.kind = GATE_PACED, .tokens_per_minute = 90};
    start_client(&world);
    for (int i = 0; i < 3; i++)
        assert_true(client_call(world.client, &request, on_done, &world, &error));
    play(&world);
    /* 30 are left after the first; 1.5 come back a second. */
    ASSERT_ARRIVALS(&world, 0, 20 * NS_PER_S, 60 * NS_PER_S);
    stop(&world);
}

/* Each attempt passes for itself, so the second call goes while the first waits for its retry. */
static void a_place_for_an_attempt_is_free_during_the_wait(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}}],"
                  " \"latency\": \"100ms\"}");
    world.options.strategy.gate = (struct gate_settings){.in_flight_max = 1};
    start_client(&world);
    call(&world, "first");
    call(&world, "second");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, 0, NS_PER_S);
    assert_int_equal(world.ended[0].call, 2);
    assert_int_equal(world.ended[1].call, 1);
    stop(&world);
}

static void after_a_pause_retries_go_first(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}}]}");
    world.options.strategy.policy =
        (struct retry_policy){.kind = RETRY_FIXED, .attempts_max = 2, .base_ns = 0};
    world.options.strategy.gate = (struct gate_settings){.in_flight_max = 1,
                                                         .retries_first = true,
                                                         .spacing_ns = NS_PER_MS,
                                                         .pause_ns = 15 * NS_PER_S};
    start_client(&world);
    call(&world, "first");
    call(&world, "second");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, 15 * NS_PER_S, 15 * NS_PER_S + NS_PER_MS);
    assert_int_equal(world.ended[0].call, 1);
    assert_int_equal(world.ended[0].attempts, 2);
    stop(&world);
}

static void a_gate_goes_by_the_headers(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"quotas\": {\"*\": {\"requests_per_minute\": 2}}, \"latency\": \"1s\"}");
    world.options.strategy.gate = (struct gate_settings){.kind = GATE_HEADERS};
    start_client(&world);
    for (int i = 0; i < 3; i++)
        call(&world, "Hello");
    play(&world);
    assert_int_equal(request_count(&world), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(request_at(&world, i)->status, 200);
    assert_int_equal(request_at(&world, 0)->arrived_ns, 0);
    assert_int_equal(request_at(&world, 1)->arrived_ns, NS_PER_S);
    /* The second answer says: none remain, 2 come back in 59 s (and the millisecond that the cut
     * may have hidden). Half of that after it was sent there is one, a little later than in truth,
     * because what remains is told in whole requests. */
    assert_int_equal(request_at(&world, 2)->arrived_ns, NS_PER_S + (59 * NS_PER_S + NS_PER_MS) / 2);
    stop(&world);
}

/* What is no number or no duration says nothing: nobody waits for it. */
static void headers_that_make_no_sense_hold_nobody(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "\"x-ratelimit-limit-requests\": \"many\", \"x-ratelimit-remaining-requests\": \"0\","
        " \"x-ratelimit-reset-requests\": \"1h\"",
        "\"x-ratelimit-limit-requests\": \"-1\", \"x-ratelimit-remaining-requests\": \"0\","
        " \"x-ratelimit-reset-requests\": \"1h\"",
        "\"x-ratelimit-limit-tokens\": \"10\", \"x-ratelimit-remaining-tokens\": \"11\","
        " \"x-ratelimit-reset-tokens\": \"1h\"",
        "\"x-ratelimit-limit-requests\": \"10\", \"x-ratelimit-remaining-requests\": \"0\","
        " \"x-ratelimit-reset-requests\": \"soon\"",
        "\"x-ratelimit-limit-requests\": \"10\", \"x-ratelimit-remaining-requests\":"
        " \"99999999999999999999\", \"x-ratelimit-reset-requests\": \"1h\"",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct world world;
        char config[512];
        snprintf(config, sizeof config,
                 "{\"script\": [{\"answer\": {\"body\": {\"choices\": [{\"message\": {\"content\":"
                 " \"Hi\"}}]}, \"status\": 200, \"headers\": {%s}}}]}",
                 headers[i]);
        start(&world, config);
        world.options.strategy.gate = (struct gate_settings){.kind = GATE_HEADERS};
        start_client(&world);
        call(&world, "first");
        call(&world, "second");
        play(&world);
        ASSERT_ARRIVALS(&world, 0, 0);
        stop(&world);
    }
}

/* --- the outer loop, and what is told on the way -----------------------------------------------
 */

static void a_loop_around_retries_makes_nine_of_three(void **state)
{
    (void)state;
    struct world world;
    start(&world,
          "{\"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": \"forever\"}]}");
    world.options.strategy.policy.base_ns = 100 * NS_PER_MS;
    world.options.strategy.outer = (struct retry_policy){
        .kind = RETRY_FIXED, .attempts_max = 3, .base_ns = 10 * NS_PER_S, .cap_ns = 10 * NS_PER_S};
    start_client(&world);
    call(&world, "Hello");
    play(&world);
#define MS(n) ((n)*NS_PER_MS)
    ASSERT_ARRIVALS(&world, 0, MS(100), MS(300), MS(10300), MS(10400), MS(10600), MS(20600),
                    MS(20700), MS(20900));
#undef MS
    assert_int_equal(world.ended[0].attempts, 9);
    assert_int_equal(world.ended[0].wait_ns, 20900 * NS_PER_MS);
    assert_string_equal(world.waits[2].reason, "backoff of the outer loop");
    assert_int_equal(world.waits[2].attempt, 3);
    stop(&world);
}

struct story {
    char text[512];
    size_t length;
};

static void tell_story(void *owner, const struct client_event *event)
{
    static const char *const names[] = {"waits", "sent", "ended"};
    struct story *story = owner;
    assert_non_null(event->owner);
    story->length += (size_t)snprintf(
        story->text + story->length, sizeof story->text - story->length, "%d: call %d %s %d",
        (int)(event->at_ns / NS_PER_MS), (int)event->call, names[event->kind], event->attempt);
    assert_true(event->kind == CLIENT_ATTEMPT_ENDED || event->status == 0);
    if (event->kind == CLIENT_ATTEMPT_ENDED)
        story->length +=
            (size_t)snprintf(story->text + story->length, sizeof story->text - story->length,
                             " %d%s", event->status, event->retry_after_ns >= 0 ? " asks" : "");
    story->length +=
        (size_t)snprintf(story->text + story->length, sizeof story->text - story->length, "\n");
    assert_true(story->length < sizeof story->text);
}

static void tells_of_every_wait_and_attempt(void **state)
{
    (void)state;
    struct world world;
    struct story story = {0};
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\","
                  " \"retry_after\": \"2s\"}}], \"latency\": \"500ms\"}");
    world.options.strategy.gate = SEMAPHORE(1);
    world.options.on_event = tell_story;
    world.options.on_event_owner = &story;
    start_client(&world);
    call(&world, "first");
    call(&world, "second");
    play(&world);
    assert_string_equal(story.text, "0: call 1 waits 1\n"
                                    "0: call 2 waits 1\n"
                                    "0: call 1 sent 1\n"
                                    "0: call 1 ended 1 429 asks\n"
                                    "0: call 1 waits 2\n"
                                    "2000: call 1 sent 2\n"
                                    "2500: call 1 ended 2 200\n"
                                    "2500: call 2 sent 1\n"
                                    "3000: call 2 ended 1 200\n");
    stop(&world);
}

/* Drawn in the order in which attempts fail, whichever call they are of. */
static void calls_may_share_one_stream_of_jitter(void **state)
{
    (void)state;
    struct world world;
    struct random shared;
    struct random same;
    start(&world, "{\"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": 2}]}");
    world.options.strategy.policy.jitter = RETRY_JITTER_FULL;
    random_seed(&shared, 1, 2);
    same = shared;
    world.options.jitter = &shared;
    start_client(&world);
    call(&world, "first");
    call(&world, "second");
    play(&world);
    struct retry_policy policy = world.options.strategy.policy;
    for (int i = 0; i < 2; i++) {
        struct retry_state fresh = {.started_ns = 0};
        const struct retry_outcome failed = {.status = 500};
        assert_int_equal(world.waits[i].wait_ns,
                         retry_decide(&policy, &fresh, &failed, &same, 0).wait_ns);
    }
    assert_memory_equal(&shared, &same, sizeof same);
    stop(&world);
}

/* --- cancelling ------------------------------------------------------------------------------- */

static void cancels_in_every_phase(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"latency\": \"10s\","
                  " \"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}}]}");
    world.options.strategy.gate = SEMAPHORE(2);
    start_client(&world);
    for (int i = 0; i < 3; i++)
        call(&world, "Hello");
    /* One waits for its retry, one for its answer, one behind the gate. */
    while (world.wait_count == 0 || request_count(&world) < 2 || world.loop.parked == 0)
        loop_turn(&world.loop, -1);
    client_cancel_all(world.client);
    assert_int_equal(client_calls_open(world.client), 0);
    assert_int_equal(world.loop.holds, 0);
    play(&world);
    assert_int_equal(world.ended_count, 0);
    assert_true(request_at(&world, 1)->abandoned);
    assert_int_equal(request_at(&world, 1)->answered_ns, 0);
    /* It can be used afterwards. */
    call(&world, "Hello");
    play(&world);
    assert_true(world.ended[0].succeeded);
    stop(&world);
}

static void call_again(void *owner, const struct client_outcome *outcome)
{
    struct world *world = owner;
    on_done(owner, outcome);
    if (outcome->call == 1) {
        call(world, "again");
        call(world, "and again");
    }
    if (outcome->call == 2)
        client_cancel_all(world->client);
}

static void calls_and_cancels_from_on_done(void **state)
{
    (void)state;
    struct world world;
    struct error error;
    struct client_request request = {.model = "m", .message = "Hello"};
    start(&world, "{\"latency\": \"1s\"}");
    world.options.strategy.gate = SEMAPHORE(1);
    start_client(&world);
    assert_true(client_call(world.client, &request, call_again, &world, &error));
    assert_true(client_call(world.client, &request, call_again, &world, &error));
    play(&world);
    assert_int_equal(world.ended_count, 2);
    assert_int_equal(request_count(&world), 2);
    stop(&world);
}

/* --- whole errors ----------------------------------------------------------------------------- */

static void tells_the_whole_error(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"script\": [{\"answer\": {\"status\": 404, \"message\": \"No such tuning\","
                  " \"type\": \"invalid_request_error\", \"code\": \"model_not_found\","
                  " \"param\": \"model\", \"headers\": {\"x-request-id\": \"req_42\"}}}]}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    const struct ended *ended = &world.ended[0];
    assert_false(ended->succeeded);
    assert_int_equal(ended->status, 404);
    assert_string_equal(ended->message, "No such tuning");
    assert_string_equal(ended->type, "invalid_request_error");
    assert_string_equal(ended->code, "model_not_found");
    assert_string_equal(ended->param, "model");
    assert_string_equal(ended->request_id, "req_42");
    assert_string_equal(ended->reason, "an error that a retry does not mend");
    assert_string_equal(ended->transport, "-");
    assert_non_null(strstr(ended->body, "\"No such tuning\""));
    assert_int_equal(ended->attempts, 1);
    stop(&world);
}

/* --- time-outs and cut connections ------------------------------------------------------------ */

static void times_out_on_the_clock_of_the_run(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"latency\": \"10s\"}");
    world.options.attempt_timeout_ns = 1500 * NS_PER_MS;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    ASSERT_ARRIVALS(&world, 0, 2500 * NS_PER_MS, 6 * NS_PER_S);
    const struct ended *ended = &world.ended[0];
    assert_int_equal(ended->status, 0);
    assert_false(ended->has_body);
    assert_string_equal(ended->transport, "no whole answer within 1.5s");
    assert_string_equal(ended->request_id, "-");
    assert_int_equal(ended->at_ns, 7500 * NS_PER_MS);
    /* The server noticed each time that nobody waited any longer. */
    for (size_t i = 0; i < 3; i++) {
        const struct journal_entry *entry = request_at(&world, i);
        assert_true(entry->abandoned);
        assert_int_equal(entry->answered_ns, entry->arrived_ns + 1500 * NS_PER_MS);
        assert_int_equal(entry->first_byte_ns, -1);
        assert_int_equal(entry->in_flight, 1);
    }
    stop(&world);
}

static void default_timeout_is_ten_minutes(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"latency\": \"20m\"}");
    world.options.strategy.policy.kind = RETRY_NONE;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    assert_int_equal(world.ended[0].at_ns, 600 * NS_PER_S);
    assert_string_equal(world.ended[0].reason, "the policy makes no retries");
    stop(&world);
}

/* A socket that is bound and does not listen keeps its port from everybody and refuses. */
static void connection_refused(void **state)
{
    (void)state;
    struct world world;
    char url[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", ntohs(address.sin_port));
    start_world(&world);
    world.options.base_url = url;
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    assert_int_equal(world.ended[0].status, 0);
    assert_string_equal(world.ended[0].transport, "could not connect to the server");
    assert_int_equal(world.ended[0].attempts, 3);
    assert_int_equal(world.ended[0].at_ns, 3 * NS_PER_S);
    assert_int_equal(world.waits[0].status, 0);
    assert_string_equal(world.waits[0].transport_error, "could not connect to the server");
    close(fd);
    stop(&world);
}

/* --- a peer that misbehaves ------------------------------------------------------------------- */

enum { PEER_CONNECTIONS_MAX = 16 };

/* Answers each request with the next of `answers`, verbatim; then closes if told so. */
struct misbehaving {
    struct world *world;
    struct watch listening;
    struct raw links[PEER_CONNECTIONS_MAX];
    int link_count;
    const char *const *answers;
    bool keeps_open;
    int answered;
    char requests[8][1024];
};

static void peer_accepts(void *owner, uint32_t events)
{
    struct misbehaving *peer = owner;
    (void)events;
    assert_true(peer->link_count < PEER_CONNECTIONS_MAX);
    int fd = accept(peer->listening.fd, NULL, NULL);
    raw_adopt(&peer->links[peer->link_count++], &peer->world->loop, fd);
}

static void start_peer(struct misbehaving *peer, struct world *world, const char *const *answers)
{
    static char url[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *peer = (struct misbehaving){.world = world, .answers = answers};
    peer->listening = (struct watch){.fd = fd, .ready = peer_accepts, .owner = peer};
    start_world(world);
    assert_true(loop_watch(&world->loop, &peer->listening, EPOLLIN, NULL));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", ntohs(address.sin_port));
    world->options.base_url = url;
}

static void answer_requests(struct misbehaving *peer)
{
    for (int i = 0; i < peer->link_count; i++) {
        struct raw *link = &peer->links[i];
        if (link->bytes == NULL || !raw_has_message(link))
            continue;
        const char *answer = peer->answers[peer->answered];
        assert_non_null(answer);
        if (peer->answered < 8)
            snprintf(peer->requests[peer->answered], sizeof peer->requests[0], "%s", link->bytes);
        peer->answered++;
        raw_drop_message(link);
        raw_send(link, answer);
        if (!peer->keeps_open)
            raw_close(link);
    }
}

static void play_with_peer(struct misbehaving *peer)
{
    while (client_calls_open(peer->world->client) > 0) {
        answer_requests(peer);
        loop_turn(&peer->world->loop, -1);
    }
}

static void stop_with_peer(struct misbehaving *peer)
{
    for (int i = 0; i < peer->link_count; i++) {
        if (peer->links[i].bytes != NULL)
            raw_close(&peer->links[i]);
    }
    loop_unwatch(&peer->world->loop, &peer->listening);
    close(peer->listening.fd);
    stop(peer->world);
}

/* One call, no retries, one answer. */
static struct ended outcome_of(const char *answer)
{
    struct world world;
    struct misbehaving peer;
    start_peer(&peer, &world, (const char *const[]){answer, NULL});
    world.options.strategy.policy.kind = RETRY_NONE;
    start_client(&world);
    call(&world, "Hello");
    play_with_peer(&peer);
    stop_with_peer(&peer);
    assert_int_equal(world.ended_count, 1);
    return world.ended[0];
}

static void no_whole_answer(void **state)
{
    (void)state;
    static const char *const cut[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nx-request-id: req_1\r\n\r\n{\"choices\": [",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cho",
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 9\r\nretry-after: 9\r\n\r\n{",
    };
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        struct ended ended = outcome_of(cut[i]);
        assert_false(ended.succeeded);
        assert_int_equal(ended.status, 0);
        assert_false(ended.has_body);
        assert_string_equal(ended.transport,
                            "the connection was closed before the answer was complete");
        assert_string_equal(ended.request_id, "-");
    }
}

static void no_http(void **state)
{
    (void)state;
    struct ended ended = outcome_of("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    assert_int_equal(ended.status, 0);
    assert_true(strlen(ended.transport) > 1);
    ended = outcome_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_int_equal(ended.status, 0);
    assert_true(strlen(ended.transport) > 1);
}

static void served_but_not_with_a_completion(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"choices\": ",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"choices\":[]}",
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"choices\":[1]}",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"choices\":1}",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xfe\x01",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ended ended = outcome_of(wrong[i]);
        assert_false(ended.succeeded);
        assert_int_equal(ended.status, 200);
        assert_string_equal(ended.message, "the answer is not a chat completion");
        assert_string_equal(ended.reason, "an error that a retry does not mend");
        assert_true(ended.has_body);
    }
}

static void answers_without_a_text(void **state)
{
    (void)state;
    struct ended ended = outcome_of("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                                    "{\"choices\":[{\"message\":{\"content\":null,"
                                    "\"refusal\":\"I would rather not.\"}}]}");
    assert_true(ended.succeeded);
    assert_string_equal(ended.content, "I would rather not.");
    ended = outcome_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n"
                       "31\r\n{\"choices\":[{\"message\":{\"content\":\"Good day.\"}}]}\r\n"
                       "0\r\nx-t: late\r\n\r\n");
    assert_string_equal(ended.content, "Good day.");
    ended = outcome_of("HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n"
                       "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[]}}]}");
    assert_true(ended.succeeded);
    assert_string_equal(ended.content, "");
}

static void errors_in_other_forms(void **state)
{
    (void)state;
    struct ended ended = outcome_of("HTTP/1.1 429 Too Many\r\nContent-Length: 22\r\n\r\n"
                                    "{\"error\": \"slow down\"} ");
    assert_int_equal(ended.status, 429);
    assert_string_equal(ended.message, "slow down");
    assert_string_equal(ended.code, "-");
    ended = outcome_of("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 15\r\n\r\n<h1>Bad</h1>\r\n\r");
    assert_int_equal(ended.status, 502);
    assert_string_equal(ended.message, "-");
    assert_string_equal(ended.body, "<h1>Bad</h1>\r\n\r");
    ended = outcome_of("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                       "Content-Length: 0\r\n\r\n");
    assert_int_equal(ended.status, 302);
    assert_string_equal(ended.body, "");
}

#define COMPLETION                                                                                 \
    "Content-Length: 49\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"Good day.\"}}]}"

static void waits_as_the_last_headers_say(void **state)
{
    (void)state;
    struct world world;
    struct misbehaving peer;
    char long_value[600];
    snprintf(long_value, sizeof long_value,
             "HTTP/1.1 429 Too Many\r\nx-request-id: %0200d\r\nRETRY-AFTER:4 \r\n"
             "retry-after: 9\r\nContent-Length: 0\r\n\r\n",
             0);
    start_peer(&peer, &world,
               (const char *const[]){
                   "HTTP/1.1 103 Early Hints\r\nretry-after: 50\r\nx-should-retry: false\r\n\r\n"
                   "HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n",
                   long_value,
                   "HTTP/1.1 429 Too Many\r\nretry-after: soon\r\nretry-after-ms: 2.5\r\n"
                   "Content-Length: 0\r\n\r\n",
                   "HTTP/1.1 200 OK\r\n" COMPLETION, NULL});
    world.options.strategy.policy.attempts_max = 4;
    start_client(&world);
    call(&world, "Hello");
    play_with_peer(&peer);
    assert_true(world.ended[0].succeeded);
    assert_string_equal(world.ended[0].content, "Good day.");
    assert_int_equal(world.waits[0].wait_ns, NS_PER_S);
    assert_int_equal(world.waits[1].wait_ns, 4 * NS_PER_S);
    assert_int_equal(world.waits[2].wait_ns, 2500 * NS_PER_US);
    assert_int_equal(world.ended[0].at_ns, NS_PER_S + 4 * NS_PER_S + 2500 * NS_PER_US);
    stop_with_peer(&peer);
}

/* A connection that is kept and then closed makes a failed attempt that the policy knows of, not a
 * repetition that nobody decided on. */
static void a_closed_connection_is_no_silent_repetition(void **state)
{
    (void)state;
    struct world world;
    struct misbehaving peer;
    start_peer(&peer, &world,
               (const char *const[]){"HTTP/1.1 200 OK\r\n" COMPLETION, "",
                                     "HTTP/1.1 200 OK\r\n" COMPLETION, NULL});
    peer.keeps_open = true;
    start_client(&world);
    call(&world, "Hello");
    play_with_peer(&peer);
    call(&world, "Hello again");
    while (peer.answered < 1 || !raw_has_message(&peer.links[0]))
        loop_turn(&world.loop, -1);
    peer.keeps_open = false;
    play_with_peer(&peer);
    assert_int_equal(world.ended_count, 2);
    assert_int_equal(world.ended[1].attempts, 2);
    assert_int_equal(world.wait_count, 1);
    assert_int_equal(world.waits[0].wait_ns, NS_PER_S);
    assert_string_equal(world.waits[0].transport_error,
                        "the connection was closed before the answer was complete");
    assert_int_equal(peer.answered, 3);
    stop_with_peer(&peer);
}

static void refuses_an_endless_answer(void **state)
{
    (void)state;
    struct world world;
    struct misbehaving peer;
    start_peer(&peer, &world,
               (const char *const[]){"HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n", NULL});
    peer.keeps_open = true;
    world.options.strategy.policy.kind = RETRY_NONE;
    start_client(&world);
    call(&world, "Hello");
    while (peer.answered == 0) {
        loop_turn(&world.loop, -1);
        answer_requests(&peer);
    }
    static char block[65536];
    memset(block, 'x', sizeof block);
    size_t sent = 0;
    while (client_calls_open(world.client) > 0 && sent < 32u * 1024 * 1024) {
        if (raw_send_bytes(&peer.links[0], block, sizeof block))
            sent += sizeof block;
        loop_turn(&world.loop, 0);
    }
    assert_int_equal(world.ended_count, 1);
    assert_string_equal(world.ended[0].transport, "the answer is larger than 16 MiB");
    assert_true(sent >= CLIENT_BODY_BYTES_MAX);
    stop_with_peer(&peer);
}

static void read_key(const char *request, char key[128])
{
    const char *line = strstr(request, "\r\nIdempotency-Key: ");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "\r\nIdempotency-Key: %127[^\r]", key), 1);
}

static void says_what_a_request_needs(void **state)
{
    (void)state;
    struct world world;
    struct misbehaving peer;
    struct error error;
    char keys[3][128];
    start_peer(&peer, &world,
               (const char *const[]){"", "HTTP/1.1 200 OK\r\n" COMPLETION,
                                     "HTTP/1.1 200 OK\r\n" COMPLETION, NULL});
    world.options.strategy.gate = SEMAPHORE(1);
    start_client(&world);
    struct client_request request = {.model = "ft:m",
                                     .message = "a \"b\"\n\xc3\xa9",
                                     .marker_header_name = "x-call",
                                     .marker_header_value = "one"};
    assert_true(client_call(world.client, &request, on_done, &world, &error));
    call(&world, "Hello");
    play_with_peer(&peer);
    const char *first = peer.requests[0];
    assert_memory_equal(first, "POST /v1/chat/completions HTTP/1.1\r\n", 36);
    assert_non_null(strstr(first, "\r\nAuthorization: Bearer sk-unit-test-secret\r\n"));
    assert_non_null(strstr(first, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(first, "\r\nUser-Agent: toomany/" TOOMANY_VERSION "\r\n"));
    assert_non_null(strstr(first, "\r\nx-call: one\r\n"));
    assert_null(strcasestr(first, "expect:"));
    assert_null(strcasestr(first, "stainless"));
    assert_non_null(strstr(first, "\r\n\r\n{\"model\":\"ft:m\",\"messages\":[{\"role\":\"user\","
                                  "\"content\":\"a \\\"b\\\"\\n\xc3\xa9\"}]}"));
    for (int i = 0; i < 3; i++)
        read_key(peer.requests[i], keys[i]);
    assert_int_equal(strlen(keys[0]), strlen("toomany-") + 32);
    assert_memory_equal(keys[0], "toomany-", 8);
    assert_string_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[0], keys[2]);
    assert_null(strstr(peer.requests[2], "x-call"));
    stop_with_peer(&peer);
}

/* --- repeating a run -------------------------------------------------------------------------- */

static void run_with_seeds(uint64_t seed, uint64_t key_seed, int64_t arrivals_ns[12],
                           char keys[12][64])
{
    struct world world;
    start(
        &world,
        "{\"script\": [{\"answer\": {\"status\": 503, \"body\": \"\"}, \"times\": \"forever\"}]}");
    world.options.seed = seed;
    world.options.key_seed = key_seed;
    world.options.strategy.policy.jitter = RETRY_JITTER_FULL;
    start_client(&world);
    for (int i = 0; i < 4; i++)
        call(&world, "Hello");
    play(&world);
    assert_int_equal(request_count(&world), 12);
    for (size_t i = 0; i < 12; i++) {
        arrivals_ns[i] = request_at(&world, i)->arrived_ns;
        snprintf(keys[i], 64, "%s", request_at(&world, i)->idempotency_key);
        assert_int_equal(request_at(&world, i)->retry_count, -1);
    }
    stop(&world);
}

static void repeats_with_its_seeds(void **state)
{
    (void)state;
    int64_t arrivals_ns[4][12];
    char keys[4][12][64];
    run_with_seeds(3, 5, arrivals_ns[0], keys[0]);
    run_with_seeds(3, 5, arrivals_ns[1], keys[1]);
    run_with_seeds(4, 5, arrivals_ns[2], keys[2]);
    run_with_seeds(3, 6, arrivals_ns[3], keys[3]);
    assert_memory_equal(arrivals_ns[0], arrivals_ns[1], sizeof arrivals_ns[0]);
    assert_memory_not_equal(arrivals_ns[0], arrivals_ns[2], sizeof arrivals_ns[0]);
    assert_memory_equal(arrivals_ns[0], arrivals_ns[3], sizeof arrivals_ns[0]);
    for (int i = 0; i < 12; i++)
        assert_string_equal(keys[0][i], keys[1][i]);
    /* All four calls start at 0; their keys differ, and those of another seed too. */
    for (int i = 0; i < 4; i++) {
        assert_string_equal(keys[0][i], keys[2][i]);
        assert_string_not_equal(keys[0][i], keys[3][i]);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(keys[0][i], keys[0][j]);
    }
}

/* --- what cannot be called -------------------------------------------------------------------- */

static void refused_options(struct client_options options, const char *place)
{
    struct loop loop;
    struct error error = {0};
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    assert_null(client_new(&loop, &options, &error));
    assert_string_equal(error.place, place);
    assert_true(strlen(error.message) > 0);
    assert_null(strstr(error.message, "secret"));
    assert_null(deadlines_first(&loop.deadlines));
    loop_free(&loop);
}

static void refuses_wrong_options(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "127.0.0.1:8429/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http:// /v1",
        "http://h/v1?key=1",
        "http://h/v1#there",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/v1",
    };
    char long_key[5000];
    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        refused_options((struct client_options){.api_key = "sk-secret", .base_url = urls[i]},
                        "base_url");
    refused_options((struct client_options){.api_key = NULL}, "api_key");
    refused_options((struct client_options){.api_key = ""}, "api_key");
    refused_options((struct client_options){.api_key = "sk-secret\r\nx: y"}, "api_key");
    refused_options((struct client_options){.api_key = "sk-secret\x7f"}, "api_key");
    refused_options((struct client_options){.api_key = long_key}, "api_key");
    refused_options((struct client_options){.api_key = "sk-secret", .user_agent = "a\nb"},
                    "user_agent");
    client_free(NULL);
}

static void says_when_descriptors_are_out(void **state)
{
    (void)state;
    struct loop loop;
    struct error error = {0};
    struct rlimit before;
    const struct client_options options = {.api_key = "k", .base_url = "http://127.0.0.1:1/v1"};
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    getrlimit(RLIMIT_NOFILE, &before);
    int lowest = dup(0);
    close(lowest);
    struct rlimit low = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    const struct client *client = client_new(&loop, &options, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(client);
    assert_true(error.could_not_run);
    assert_non_null(strstr(error.message, "raise `ulimit -n`"));
    loop_free(&loop);
}

static void refused_request(struct client *client, struct client_request request, const char *place)
{
    struct error error = {0};
    assert_false(client_call(client, &request, on_done, NULL, &error));
    assert_string_equal(error.place, place);
    assert_int_equal(client_calls_open(client), 0);
}

static void refuses_wrong_requests(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{}");
    start_client(&world);
    struct client *client = world.client;
    refused_request(client, (struct client_request){.message = "m"}, "model");
    refused_request(client, (struct client_request){.model = "", .message = "m"}, "model");
    refused_request(client, (struct client_request){.model = "m"}, "message");
    refused_request(client, (struct client_request){.model = "\xff", .message = "m"}, "model");
    refused_request(client, (struct client_request){.model = "m", .message = "\xc3"}, "message");
    refused_request(client,
                    (struct client_request){.model = "m", .message = "m", .marker_header_name = ""},
                    "marker_header");
    refused_request(
        client,
        (struct client_request){
            .model = "m", .message = "m", .marker_header_name = "x y", .marker_header_value = "v"},
        "marker_header");
    refused_request(client,
                    (struct client_request){.model = "m",
                                            .message = "m",
                                            .marker_header_name = "x",
                                            .marker_header_value = "v\r\nother: w"},
                    "marker_header");
    assert_int_equal(request_count(&world), 0);
    stop(&world);
}

static void base_url_may_end_with_slashes(void **state)
{
    (void)state;
    struct world world;
    char url[128];
    start(&world, "{}");
    snprintf(url, sizeof url, "%s//", world.options.base_url);
    world.options.base_url = url;
    world.options.user_agent = "my-program/1";
    start_client(&world);
    memset(url, 0, sizeof url); /* was copied */
    call(&world, "Hello");
    play(&world);
    assert_true(world.ended[0].succeeded);
    assert_string_equal(request_at(&world, 0)->path, "/v1/chat/completions");
    stop(&world);
}

/* A proxy that the environment names must not see what is meant for this machine. */
static void no_proxy_for_this_machine(void **state)
{
    (void)state;
    struct world world;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    start(&world, "{}");
    start_client(&world);
    call(&world, "Hello");
    play(&world);
    unsetenv("http_proxy");
    assert_true(world.ended[0].succeeded);
    stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answered_at_once),
        cmocka_unit_test(backs_off_exactly),
        cmocka_unit_test(gives_up_without_a_wait),
        cmocka_unit_test(caps_the_delay),
        cmocka_unit_test(honours_retry_after_in_all_forms),
        cmocka_unit_test(does_not_wait_longer_than_it_may),
        cmocka_unit_test(ends_within_the_total),
        cmocka_unit_test(obeys_x_should_retry),
        cmocka_unit_test(does_not_retry_a_quota_that_is_used_up),
        cmocka_unit_test(recovers_from_a_real_quota),
        cmocka_unit_test(gate_lets_in_order_and_no_more),
        cmocka_unit_test(a_waiting_call_keeps_its_place),
        cmocka_unit_test(a_paced_gate_waits_for_tokens_to_come_back),
        cmocka_unit_test(a_place_for_an_attempt_is_free_during_the_wait),
        cmocka_unit_test(after_a_pause_retries_go_first),
        cmocka_unit_test(a_gate_goes_by_the_headers),
        cmocka_unit_test(headers_that_make_no_sense_hold_nobody),
        cmocka_unit_test(a_loop_around_retries_makes_nine_of_three),
        cmocka_unit_test(tells_of_every_wait_and_attempt),
        cmocka_unit_test(calls_may_share_one_stream_of_jitter),
        cmocka_unit_test(cancels_in_every_phase),
        cmocka_unit_test(calls_and_cancels_from_on_done),
        cmocka_unit_test(tells_the_whole_error),
        cmocka_unit_test(times_out_on_the_clock_of_the_run),
        cmocka_unit_test(default_timeout_is_ten_minutes),
        cmocka_unit_test(connection_refused),
        cmocka_unit_test(no_whole_answer),
        cmocka_unit_test(no_http),
        cmocka_unit_test(served_but_not_with_a_completion),
        cmocka_unit_test(answers_without_a_text),
        cmocka_unit_test(errors_in_other_forms),
        cmocka_unit_test(waits_as_the_last_headers_say),
        cmocka_unit_test(a_closed_connection_is_no_silent_repetition),
        cmocka_unit_test(refuses_an_endless_answer),
        cmocka_unit_test(says_what_a_request_needs),
        cmocka_unit_test(repeats_with_its_seeds),
        cmocka_unit_test(refuses_wrong_options),
        cmocka_unit_test(says_when_descriptors_are_out),
        cmocka_unit_test(refuses_wrong_requests),
        cmocka_unit_test(base_url_may_end_with_slashes),
        cmocka_unit_test(no_proxy_for_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
