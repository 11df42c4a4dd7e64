/* server_world: a server on a virtual clock, and raw sockets that ask it on the same loop. A raw
 * client holds the clock while it waits for an answer, as the C client does, and lets it go to see
 * what time alone does to it. */
#ifndef TOOMANY_TESTS_SERVER_WORLD_H
#define TOOMANY_TESTS_SERVER_WORLD_H

#include "base/duration.h"
#include "mockserver/server.h"
#include "tests/unit/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-unit-test-1234\r\n"
#define BODY "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"
#define POST HEAD "Content-Length: 60\r\n\r\n" BODY

struct world {
    struct loop loop;
    struct config config;
    struct server *server;
};

static inline void start_with(struct world *world, const char *config,
                              struct server_options options)
{
    struct error error = {0};
    assert_int_equal(strlen(BODY), 60);
    assert_true(loop_init(&world->loop, CLOCK_VIRTUAL, &error));
    config_from_text(&world->config, config);
    options.config = &world->config;
    options.seed = 1;
    world->server = server_new(&world->loop, &options, &error);
    if (world->server == NULL)
        fail_msg("%s: %s", error.place, error.message);
}

static inline void start(struct world *world, const char *config)
{
    start_with(world, config, (struct server_options){0});
}

static inline void stop(struct world *world)
{
    server_free(world->server);
    config_free(&world->config);
    assert_null(deadlines_first(&world->loop.deadlines));
    assert_int_equal(world->loop.parked, 0);
    loop_free(&world->loop);
}

static inline void connect_to(struct raw *raw, struct world *world)
{
    raw_connect(raw, &world->loop, server_port(world->server));
}

static inline void await(struct raw *raw)
{
    loop_hold(raw->loop);
    while (!raw_has_message(raw) && !raw->is_closed)
        loop_turn(raw->loop, -1);
    loop_release(raw->loop);
}

static inline int status_of(const struct raw *raw)
{
    int status = 0;
    return sscanf(raw->bytes, "HTTP/1.1 %d ", &status) == 1 ? status : 0;
}

/* Sends `text` on the connection and waits for one answer. Returns its status; 0: closed. */
static inline int ask_on(struct raw *raw, const char *text)
{
    raw_send(raw, text);
    await(raw);
    return status_of(raw);
}

static inline void await_end(struct raw *raw)
{
    while (!raw->is_closed)
        loop_turn(raw->loop, -1);
}

static inline void await_idle(struct world *world)
{
    while (server_in_flight(world->server) > 0)
        loop_turn(&world->loop, -1);
}

/* One connection, one request, one answer, whose text must say `says`. */
static inline int ask(struct world *world, const char *text, const char *says)
{
    struct raw raw;
    connect_to(&raw, world);
    int status = ask_on(&raw, text);
    if (says != NULL && strstr(raw.bytes, says) == NULL)
        fail_msg("found \"%s\", wanted \"%s\" in it", raw.bytes, says);
    raw_close(&raw);
    await_idle(world);
    return status;
}

static inline size_t request_count(const struct world *world)
{
    return journal_count(server_journal(world->server));
}

static inline const struct journal_entry *request_at(const struct world *world, size_t index)
{
    assert_true(index < request_count(world));
    return journal_at(server_journal(world->server), index);
}

static inline const struct journal_entry *last_request(const struct world *world)
{
    return request_at(world, request_count(world) - 1);
}

#endif
