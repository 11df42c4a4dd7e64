/* client_world: a client and its server on one loop with a virtual clock, and what it told. */
#ifndef TOOMANY_TESTS_CLIENT_WORLD_H
#define TOOMANY_TESTS_CLIENT_WORLD_H

#include "base/duration.h"
#include "client/client.h"
#include "mockserver/server.h"
#include "tests/unit/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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

static inline void copy(char *target, size_t size, const char *text)
{
    snprintf(target, size, "%s", text != NULL ? text : "-");
}

static inline void on_done(void *owner, const struct client_outcome *outcome)
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

static inline void on_wait(void *owner, const struct client_wait *wait)
{
    struct world *world = owner;
    assert_true(world->wait_count < WAITS_MAX);
    copy(world->wait_codes[world->wait_count], sizeof world->wait_codes[0], wait->error_code);
    world->waits[world->wait_count++] = *wait;
}

static inline void start_world(struct world *world)
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

static inline void start_server(struct world *world, const char *config)
{
    struct error error;
    config_from_text(&world->config, config);
    struct server_options options = {.config = &world->config, .seed = 1};
    world->server = server_new(&world->loop, &options, &error);
    assert_non_null(world->server);
    world->options.base_url = server_base_url(world->server);
}

static inline void start_client(struct world *world)
{
    struct error error = {0};
    world->client = client_new(&world->loop, &world->options, &error);
    if (world->client == NULL)
        fail_msg("%s: %s", error.place, error.message);
}

static inline void start(struct world *world, const char *config)
{
    start_world(world);
    start_server(world, config);
}

static inline void call(struct world *world, const char *message)
{
    struct error error;
    struct client_request request = {.model = "gpt-4o-mini", .message = message};
    assert_true(client_call(world->client, &request, on_done, world, &error));
}

/* Turns until all calls have ended, and the server has seen the last of their answers go. */
static inline void play(struct world *world)
{
    while (client_calls_open(world->client) > 0)
        loop_turn(&world->loop, -1);
    assert_int_equal(world->loop.holds, 0);
    while (world->server != NULL && server_in_flight(world->server) > 0)
        loop_turn(&world->loop, -1);
    assert_int_equal(world->loop.parked, 0);
}

static inline void stop(struct world *world)
{
    client_free(world->client);
    server_free(world->server);
    config_free(&world->config);
    assert_null(deadlines_first(&world->loop.deadlines));
    assert_int_equal(world->loop.holds, 0);
    assert_int_equal(world->loop.parked, 0);
    loop_free(&world->loop);
}

static inline const struct journal_entry *request_at(const struct world *world, size_t index)
{
    const struct journal *journal = server_journal(world->server);
    assert_true(index < journal_count(journal));
    return journal_at(journal, index);
}

static inline size_t request_count(const struct world *world)
{
    return journal_count(server_journal(world->server));
}

static inline void assert_arrivals(const struct world *world, const int64_t *arrivals_ns,
                                   size_t count)
{
    assert_int_equal(request_count(world), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(request_at(world, i)->arrived_ns, arrivals_ns[i]);
}

#define ASSERT_ARRIVALS(world, ...)                                                                \
    assert_arrivals(world, (const int64_t[]){__VA_ARGS__},                                         \
                    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

#endif
