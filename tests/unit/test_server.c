/* HTTP as it comes over the wire. */
#include "client/client.h"
#include "tests/unit/server_world.h"

#include <microhttpd.h>
#include <sys/resource.h>

/* --- requests that are wrong ------------------------------------------------------------------ */

static void wrong_bodies(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{}");
    assert_int_equal(ask(&world, HEAD "\r\n", "invalid_request_error"), 400);
    assert_int_equal(ask(&world, HEAD "Content-Length: 0\r\n\r\n", "invalid_request_error"), 400);
    assert_int_equal(ask(&world, HEAD "Content-Length: 8\r\n\r\n{\"model\"", "JSON"), 400);
    assert_int_equal(ask(&world, HEAD "Content-Length: 2\r\n\r\n[]", "error"), 400);
    assert_int_equal(ask(&world, HEAD "Content-Length: 2\r\n\r\n{}", "error"), 400);
    assert_int_equal(ask(&world, HEAD "Content-Length: 3\r\n\r\n\xff\xfe\x01", "error"), 400);
    assert_int_equal(request_count(&world), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(request_at(&world, i)->decision, JOURNAL_REJECTED);
        assert_int_equal(request_at(&world, i)->status, 400);
    }
    assert_int_equal(ask(&world, POST, "chat.completion"), 200);
    stop(&world);
}

static void no_key(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{}");
    assert_int_equal(ask(&world,
                         "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                         "Content-Length: 2\r\n\r\n{}",
                         "You didn't provide an API key"),
                     401);
    assert_int_equal(ask(&world,
                         "GET /v1/models HTTP/1.1\r\nHost: x\r\n"
                         "Authorization: Bearer\r\n\r\n",
                         "You didn't provide"),
                     401);
    assert_int_equal(ask(&world,
                         "GET /v1/models HTTP/1.1\r\nHost: x\r\n"
                         "Authorization: Basic eDp5\r\n\r\n",
                         "You didn't provide"),
                     401);
    stop(&world);
}

static void unknown_paths_and_methods(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
#define KEYED " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-unit-test-1234\r\n\r\n"
    assert_int_equal(ask(&world, "GET /" KEYED, "Invalid URL (GET /)"), 404);
    assert_int_equal(ask(&world, "GET /v1/nothing" KEYED, "Invalid URL"), 404);
    assert_int_equal(ask(&world, "GET /v1/chat/completions/../../x" KEYED, "Invalid URL"), 404);
    assert_int_equal(ask(&world, "GET /v1/chat/completions" KEYED, "\r\nallow: POST\r\n"), 405);
    assert_int_equal(ask(&world, "OPTIONS /v1/chat/completions" KEYED, "allow: POST"), 405);
    assert_int_equal(ask(&world, "BREW /v1/models" KEYED, "allow: GET"), 405);
    assert_int_equal(ask(&world, "GET /v1/models" KEYED, "\"object\""), 200);
    assert_int_equal(ask(&world, "GET /v1/models/m?x=y" KEYED, "\"m\""), 200);
    assert_int_equal(ask(&world, "GET /_toomany/nothing" KEYED, "unknown"), 404);
    assert_int_equal(ask(&world, "PUT /_toomany/quotas" KEYED, "PATCH"), 405);
    /* An answer to HEAD has a length, but no body. */
    connect_to(&raw, &world);
    loop_hold(&world.loop);
    raw_send(&raw, "HEAD /v1/chat/completions" KEYED "GET /v1/models" KEYED);
    while (strstr(raw.bytes, "\"object\"") == NULL && !raw.is_closed)
        loop_turn(&world.loop, -1);
    loop_release(&world.loop);
    assert_int_equal(status_of(&raw), 405);
    assert_memory_equal(raw_body(&raw), "HTTP/1.1 200 OK\r\n", 17);
    raw_close(&raw);
    stop(&world);
}

static void not_http(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\x16\x03\x01 hello TLS\r\n\r\n",
        "GET\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nno colon in this line\r\n\r\n",
        HEAD "Content-Length: many\r\n\r\n" BODY,
        HEAD "Content-Length: -1\r\n\r\n" BODY,
        HEAD "Content-Length: 99999999999999999999999\r\n\r\n" BODY,
        HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n" BODY,
    };
    struct world world;
    start(&world, "{}");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int status = ask(&world, texts[i], NULL);
        if (status != 0 && (status < 400 || status > 499) && status != 505)
            fail_msg("\"%s\" got %d", texts[i], status);
        assert_int_equal(ask(&world, POST, NULL), 200);
    }
    stop(&world);
}

/* --- absurd sizes ----------------------------------------------------------------------------- */

static void headers_too_large(void **state)
{
    (void)state;
    struct world world;
    static char text[40000];
    start(&world, "{}");
    char *end = stpcpy(text, HEAD "X-Long: ");
    memset(end, 'a', 20000);
    strcpy(end + 20000, "\r\n\r\n");
    assert_int_equal(ask(&world, text, NULL), 431);
    end = stpcpy(text, "GET /");
    memset(end, 'a', 20000);
    strcpy(end + 20000, " HTTP/1.1\r\nHost: x\r\n\r\n");
    int status = ask(&world, text, NULL);
    assert_true(status == 414 || status == 431);
    assert_int_equal(ask(&world, POST, NULL), 200);
    stop(&world);
}

/* Sends headers for, and then, `length` bytes. Returns how many the server took. */
static size_t send_large(struct raw *raw, size_t length, const char *extra)
{
    static char block[65536];
    char head[512];
    memset(block, ' ', sizeof block);
    snprintf(head, sizeof head, HEAD "Content-Length: %zu\r\n%s\r\n", length, extra);
    size_t sent = 0;
    loop_hold(raw->loop);
    bool is_taken = raw_send(raw, head);
    while (sent < length && is_taken && !raw->is_closed && raw->length == 0) {
        size_t part = length - sent < sizeof block ? length - sent : sizeof block;
        is_taken = raw_send_bytes(raw, block, part);
        sent += part;
        loop_turn(raw->loop, 0);
    }
    loop_release(raw->loop);
    return sent;
}

static void bodies_too_large(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    connect_to(&raw, &world);
    send_large(&raw, SERVER_BODY_BYTES_MAX, "");
    await(&raw);
    assert_int_equal(status_of(&raw), 400); /* read, and found to be blank */
    raw_close(&raw);
    connect_to(&raw, &world);
    send_large(&raw, SERVER_BODY_BYTES_MAX + 1, "");
    await(&raw);
    assert_int_equal(status_of(&raw), 413);
    assert_non_null(strstr(raw.bytes, "at most 8388608 bytes"));
    /* It was read to its end, so the connection goes on. */
    raw_drop_message(&raw);
    assert_int_equal(ask_on(&raw, POST), 200);
    raw_close(&raw);
    await_idle(&world);
    assert_int_equal(request_at(&world, 1)->status, 413);
    assert_string_equal(request_at(&world, 1)->code, "request_too_large");
    assert_false(request_at(&world, 1)->abandoned);
    stop(&world);
}

static void endless_body_is_cut(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    connect_to(&raw, &world);
    size_t most = SERVER_DISCARD_BYTES_MAX + SERVER_BODY_BYTES_MAX;
    size_t sent = send_large(&raw, 4 * most, "");
    assert_true(sent > most);
    assert_true(sent < most + 32u * 1024 * 1024); /* what the kernel had buffered */
    await_end(&raw);
    raw_close(&raw);
    await_idle(&world);
    assert_int_equal(ask(&world, POST, NULL), 200);
    stop(&world);
}

static void expect_is_answered(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    connect_to(&raw, &world);
    assert_int_equal(ask_on(&raw, HEAD "Content-Length: 60\r\nExpect: 100-continue\r\n\r\n"), 100);
    raw_drop_message(&raw);
    assert_int_equal(ask_on(&raw, BODY), 200);
    raw_close(&raw);
    /* No byte of the body has to be sent to learn that it is too large. */
    connect_to(&raw, &world);
    assert_int_equal(ask_on(&raw, HEAD "Content-Length: 8388609\r\nExpect: 100-continue\r\n\r\n"),
                     413);
    await_end(&raw);
    raw_close(&raw);
    assert_int_equal(last_request(&world)->status, 413);
    stop(&world);
}

/* --- how bytes come --------------------------------------------------------------------------- */

/* libmicrohttpd 1.0.0 refuses extensions of chunks; no client of this API sends any. */
#if MHD_VERSION < 0x01000000
#define EXTENSION ";ext=1"
#else
#define EXTENSION ""
#endif

static void chunked_body(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{}");
    assert_int_equal(
        ask(&world, HEAD "Transfer-Encoding: chunked\r\n\r\n3c\r\n" BODY "\r\n0\r\n\r\n", NULL),
        200);
    assert_int_equal(ask(&world,
                         HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
                              "3b" EXTENSION "\r\n\"model\":\"m\",\"messages\":[{\"role\":\"user\","
                              "\"content\":\"Hello\"}]}\r\n0\r\nX-T: 1\r\n\r\n",
                         NULL),
                     200);
    assert_int_equal(request_at(&world, 0)->body_digest, request_at(&world, 1)->body_digest);
    stop(&world);
}

static void byte_by_byte(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    connect_to(&raw, &world);
    loop_hold(&world.loop);
    for (const char *at = POST; *at != '\0'; at++) {
        assert_true(raw_send_bytes(&raw, at, 1));
        while (loop_turn(&world.loop, 0))
            ;
    }
    loop_release(&world.loop);
    await(&raw);
    assert_int_equal(status_of(&raw), 200);
    raw_close(&raw);
    assert_int_equal(request_count(&world), 1);
    stop(&world);
}

static void keep_alive_and_close(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    connect_to(&raw, &world);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_on(&raw, POST), 200);
        raw_drop_message(&raw);
    }
    assert_int_equal(ask_on(&raw, HEAD "Connection: close\r\nContent-Length: 60\r\n\r\n" BODY),
                     200);
    await_end(&raw);
    raw_close(&raw);
    connect_to(&raw, &world);
    assert_int_equal(ask_on(&raw, "GET /v1/models HTTP/1.0\r\nAuthorization: Bearer k\r\n\r\n"),
                     200);
    await_end(&raw);
    raw_close(&raw);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(request_at(&world, i)->connection, 1);
    assert_int_equal(request_at(&world, 4)->connection, 2);
    stop(&world);
}

static void pipelined_requests(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{\"latency\": \"1s\"}");
    connect_to(&raw, &world);
    raw_send(&raw, POST POST "GET /v1/none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n");
    static const int statuses[] = {200, 200, 404};
    for (size_t i = 0; i < 3; i++) {
        await(&raw);
        assert_int_equal(status_of(&raw), statuses[i]);
        raw_drop_message(&raw);
    }
    raw_close(&raw);
    /* A connection's requests are taken one after the other. */
    assert_int_equal(request_count(&world), 3);
    assert_int_equal(request_at(&world, 0)->arrived_ns, 0);
    assert_int_equal(request_at(&world, 1)->arrived_ns, NS_PER_S);
    assert_int_equal(request_at(&world, 2)->arrived_ns, 2 * NS_PER_S);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(request_at(&world, i)->in_flight, i < 2 ? 1 : 0); /* GET is no work */
    stop(&world);
}

/* --- slow senders ----------------------------------------------------------------------------- */

/* Sends the beginning of a request and nothing more; time then does its work. */
static void what_came_together_is_seen_in_one_pass(void **state)
{
    (void)state;
    struct world world;
    struct raw raw[3];
    start(&world, "{}");
    for (size_t i = 0; i < 3; i++) {
        connect_to(&raw[i], &world);
        raw_send(&raw[i], POST);
    }
    for (size_t i = 0; i < 3; i++)
        await(&raw[i]);
    uint64_t pass = request_at(&world, 0)->pass;
    assert_int_not_equal(pass, 0);
    for (size_t i = 1; i < 3; i++)
        assert_int_equal(request_at(&world, i)->pass, pass);
    assert_int_equal(ask(&world, POST, NULL), 200);
    assert_int_not_equal(last_request(&world)->pass, pass);
    for (size_t i = 0; i < 3; i++)
        raw_close(&raw[i]);
    await_idle(&world);
    stop(&world);
}

static void send_part(struct world *world, struct raw *raw, const char *text)
{
    connect_to(raw, world);
    loop_hold(&world->loop);
    raw_send(raw, text);
    while (loop_turn(&world->loop, 0))
        ;
    loop_release(&world->loop);
    assert_int_equal(loop_now(&world->loop), 0);
    await_end(raw);
}

static void body_that_does_not_come(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{\"quotas\": {\"*\": {\"concurrent_requests\": 1}}}");
    send_part(&world, &raw, HEAD "Content-Length: 60\r\n\r\n{\"model\"");
    assert_int_equal(status_of(&raw), 408);
    assert_non_null(strstr(raw.bytes, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(raw.bytes, "\"request_timeout\""));
    assert_true(raw_has_message(&raw));
    raw_close(&raw);
    await_idle(&world);
    const struct journal_entry *entry = request_at(&world, 0);
    assert_int_equal(entry->arrived_ns, 0);
    assert_int_equal(entry->decided_ns, SERVER_REQUEST_SECONDS * NS_PER_S);
    assert_int_equal(entry->answered_ns, SERVER_REQUEST_SECONDS * NS_PER_S);
    assert_int_equal(entry->status, 408);
    assert_int_equal(entry->decision, JOURNAL_REJECTED);
    assert_string_equal(entry->code, "request_timeout");
    assert_false(entry->abandoned);
    assert_int_equal(ask(&world, POST, NULL), 200);
    stop(&world);
}

static void headers_that_do_not_end(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    send_part(&world, &raw, HEAD);
    assert_int_equal(status_of(&raw), 408);
    assert_int_equal(loop_now(&world.loop), SERVER_REQUEST_SECONDS * NS_PER_S);
    assert_int_equal(last_request(&world)->status, 408);
    assert_string_equal(last_request(&world)->path, "/v1/chat/completions");
    assert_int_equal(last_request(&world)->answered_ns, SERVER_REQUEST_SECONDS * NS_PER_S);
    raw_close(&raw);
    stop(&world);
}

static void admin_body_that_does_not_come(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    send_part(&world, &raw,
              "PATCH /_toomany/quotas HTTP/1.1\r\nHost: localhost\r\n"
              "Content-Length: 10\r\n\r\n{");
    assert_int_equal(status_of(&raw), 408);
    raw_close(&raw);
    stop(&world);
}

static void idle_connection_is_closed(void **state)
{
    (void)state;
    static const char *const parts[] = {"", "POST /v1/ch"};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct raw raw;
        start(&world, "{}");
        send_part(&world, &raw, parts[i]);
        assert_string_equal(raw.bytes, "");
        assert_int_equal(loop_now(&world.loop), SERVER_IDLE_SECONDS * NS_PER_S);
        raw_close(&raw);
        stop(&world);
    }
}

static void used_connection_may_idle_as_long(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{\"latency\": \"2h\"}"); /* an answer that takes longer is not idle */
    connect_to(&raw, &world);
    assert_int_equal(ask_on(&raw, POST), 200);
    assert_int_equal(loop_now(&world.loop), 2 * NS_PER_HOUR);
    await_end(&raw);
    assert_int_equal(loop_now(&world.loop), 2 * NS_PER_HOUR + SERVER_IDLE_SECONDS * NS_PER_S);
    raw_close(&raw);
    stop(&world);
}

/* --- clients that go away --------------------------------------------------------------------- */

static void half_closed_is_answered(void **state)
{
    (void)state;
    static const char *const configs[] = {"{}", "{\"latency\": \"10s\"}"};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct raw raw;
        start(&world, configs[i]);
        connect_to(&raw, &world);
        raw_send(&raw, POST);
        shutdown(raw.watch.fd, SHUT_WR);
        await(&raw);
        assert_int_equal(status_of(&raw), 200);
        assert_int_equal(loop_now(&world.loop), (int64_t)i * 10 * NS_PER_S);
        await_end(&raw);
        raw_close(&raw);
        assert_false(last_request(&world)->abandoned);
        assert_int_equal(last_request(&world)->answered_ns, (int64_t)i * 10 * NS_PER_S);
        stop(&world);
    }
}

enum leaving { CLOSES, RESETS, HALF_CLOSES_THEN_RESETS };

static void leaves_while_it_waits(enum leaving how)
{
    struct world world;
    struct raw raw;
    struct raw other;
    start(&world, "{\"latency\": \"10s\", \"quotas\": {\"*\": {\"concurrent_requests\": 1}}}");
    connect_to(&raw, &world);
    loop_hold(&world.loop); /* waits for its answer */
    raw_send(&raw, POST);
    while (world.loop.parked == 0)
        loop_turn(&world.loop, -1);
    connect_to(&other, &world);
    assert_int_equal(ask_on(&other, "GET /_toomany/health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                     200);
    assert_non_null(strstr(other.bytes, "\"in_flight\":\t1"));
    raw_drop_message(&other);
    assert_int_equal(ask_on(&other, POST), 429);
    raw_close(&other);
    if (how == HALF_CLOSES_THEN_RESETS) {
        loop_hold(&world.loop); /* time stands still */
        shutdown(raw.watch.fd, SHUT_WR);
        while (loop_turn(&world.loop, 0))
            ;
        loop_release(&world.loop);
        assert_int_equal(server_in_flight(world.server), 1);
        assert_int_equal(world.loop.parked, 1);
    }
    loop_release(&world.loop);
    if (how == CLOSES)
        raw_close(&raw);
    else
        raw_reset(&raw);
    await_idle(&world);
    /* At once, not when the answer was due. */
    assert_int_equal(loop_now(&world.loop), 0);
    const struct journal_entry *entry = request_at(&world, 0);
    assert_true(entry->abandoned);
    assert_int_equal(entry->answered_ns, 0);
    assert_int_equal(entry->first_byte_ns, -1);
    /* Its place is free again. */
    assert_int_equal(ask(&world, POST, NULL), 200);
    assert_int_equal(last_request(&world)->arrived_ns, 0);
    assert_int_equal(last_request(&world)->in_flight, 1);
    stop(&world);
}

static void closed_while_it_waits(void **state)
{
    (void)state;
    leaves_while_it_waits(CLOSES);
}

static void reset_while_it_waits(void **state)
{
    (void)state;
    leaves_while_it_waits(RESETS);
}

static void half_closed_then_reset(void **state)
{
    (void)state;
    leaves_while_it_waits(HALF_CLOSES_THEN_RESETS);
}

static void closed_before_it_has_sent_all(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    connect_to(&raw, &world);
    loop_hold(&world.loop);
    raw_send(&raw, HEAD "Content-Length: 60\r\n\r\n{\"model\"");
    while (request_count(&world) == 0)
        loop_turn(&world.loop, -1);
    raw_close(&raw);
    await_idle(&world);
    loop_release(&world.loop);
    assert_true(request_at(&world, 0)->abandoned);
    assert_int_equal(request_at(&world, 0)->decided_ns, -1);
    assert_int_equal(request_at(&world, 0)->status, 0);
    assert_int_equal(ask(&world, POST, NULL), 200);
    stop(&world);
}

static void concurrency_is_given_back(void **state)
{
    (void)state;
    struct world world;
    struct raw raws[3];
    start(&world, "{\"latency\": \"1s\", \"quotas\": {\"*\": {\"concurrent_requests\": 2}}}");
    for (int i = 0; i < 3; i++) {
        connect_to(&raws[i], &world);
        loop_hold(&world.loop);
        raw_send(&raws[i], POST);
    }
    while (!raw_has_message(&raws[0]) || !raw_has_message(&raws[1]) || !raw_has_message(&raws[2])) {
        loop_turn(&world.loop, -1);
        if (world.loop.holds == 3 && raw_has_message(&raws[2]))
            loop_release(&world.loop); /* the one that was refused waits no longer */
    }
    assert_int_equal(status_of(&raws[0]), 200);
    assert_int_equal(status_of(&raws[1]), 200);
    assert_int_equal(status_of(&raws[2]), 429);
    assert_non_null(strstr(raws[2].bytes, "rate_limit_exceeded"));
    loop_release(&world.loop);
    loop_release(&world.loop);
    raw_drop_message(&raws[2]);
    assert_int_equal(ask_on(&raws[2], POST), 200);
    for (int i = 0; i < 3; i++)
        raw_close(&raws[i]);
    stop(&world);
}

/* --- answers that wait ------------------------------------------------------------------------ */

static int thread_count(void)
{
    int count = 0;
    char line[128];
    FILE *status = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Threads: %d", &count);
    fclose(status);
    return count;
}

static void waiting_answers_occupy_no_thread(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct world world;
    static struct raw raws[COUNT];
    start(&world, "{\"latency\": \"1h\"}");
    int before = thread_count();
    for (int i = 0; i < COUNT; i++) {
        connect_to(&raws[i], &world);
        loop_hold(&world.loop);
        raw_send(&raws[i], POST);
        while (world.loop.parked <= i && loop_turn(&world.loop, i + 1 < COUNT ? -1 : 0))
            ;
    }
    assert_int_equal(thread_count(), before);
    for (int i = 0; i < COUNT; i++) {
        while (!raw_has_message(&raws[i]))
            loop_turn(&world.loop, -1);
        loop_release(&world.loop);
        assert_int_equal(status_of(&raws[i]), 200);
    }
    assert_int_equal(loop_now(&world.loop), NS_PER_HOUR);
    for (int i = 0; i < COUNT; i++)
        raw_close(&raws[i]);
    assert_int_equal(last_request(&world)->in_flight, COUNT);
    stop(&world);
}

/* The rest of a request, sent when the clock says so. */
struct later {
    struct deadline deadline;
    struct raw *raw;
    struct loop *loop;
};

static void send_the_rest(void *owner, int64_t now_ns)
{
    struct later *later = owner;
    (void)now_ns;
    raw_send(later->raw, strchr(BODY, '"') + strlen("\"mod"));
    loop_hold(later->loop);
}

static void journal_has_all_times(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{\"latency\": \"1500ms\"}");
    connect_to(&raw, &world);
    loop_hold(&world.loop);
    raw_send(&raw, HEAD "x-stainless-retry-count: 2\r\nIdempotency-Key: key-1\r\n"
                        "Content-Length: 60\r\n\r\n{\"mod");
    while (request_count(&world) == 0)
        loop_turn(&world.loop, -1);
    struct later later = {{.fire = send_the_rest, .owner = &later}, &raw, &world.loop};
    loop_after(&world.loop, &later.deadline, 5 * NS_PER_S);
    loop_release(&world.loop);
    while (!raw_has_message(&raw))
        loop_turn(&world.loop, -1);
    loop_release(&world.loop);
    assert_non_null(strstr(raw.bytes, "date: Thu, 01 Jan 2026 00:00:06 GMT\r\n"));
    raw_close(&raw);
    const struct journal_entry *entry = request_at(&world, 0);
    assert_int_equal(entry->sequence, 1);
    assert_int_equal(entry->connection, 1);
    assert_string_equal(entry->method, "POST");
    assert_string_equal(entry->path, "/v1/chat/completions");
    assert_string_equal(entry->model, "m");
    assert_string_equal(entry->key_tail, "1234");
    assert_int_equal(entry->arrived_ns, 0);
    assert_int_equal(entry->decided_ns, 5 * NS_PER_S);
    assert_int_equal(entry->first_byte_ns, 6500 * NS_PER_MS);
    assert_int_equal(entry->answered_ns, 6500 * NS_PER_MS);
    assert_int_equal(entry->decision, JOURNAL_SERVED);
    assert_int_equal(entry->retry_count, 2);
    assert_string_equal(entry->idempotency_key, "key-1");
    stop(&world);
}

/* --- what the journal takes from a request ---------------------------------------------------- */

static void markers_and_counters(void **state)
{
    (void)state;
    static const char *const junk[] = {"", "-1", "1x", "99999999", "99999999999999999999"};
    struct world world;
    char text[1024];
    start_with(&world, "{}",
               (struct server_options){.marker_header = "x-call", .marker_body = "user"});
    ask(&world, HEAD "X-Call: seven\r\nContent-Length: 60\r\n\r\n" BODY, NULL);
    assert_string_equal(last_request(&world)->call_marker, "seven");
    ask(&world,
        HEAD "Content-Length: 75\r\n\r\n{\"user\":\"eight\","
             "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}",
        NULL);
    assert_string_equal(last_request(&world)->call_marker, "eight");
    ask(&world, HEAD "Content-Length: 11\r\n\r\n{\"user\": 1}", NULL);
    assert_string_equal(last_request(&world)->call_marker, "");
    ask(&world, HEAD "\r\n", NULL);
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        snprintf(text, sizeof text,
                 HEAD "x-stainless-retry-count: %s\r\nContent-Length: 60\r\n\r\n%s", junk[i], BODY);
        assert_int_equal(ask(&world, text, NULL), 200);
        assert_int_equal(last_request(&world)->retry_count, -1);
    }
    stop(&world);
}

static void full_journal_refuses(void **state)
{
    (void)state;
    struct world world;
    start_with(&world, "{}",
               (struct server_options){.journal_capacity = 2, .journal_when_full = JOURNAL_REFUSE});
    assert_int_equal(ask(&world, POST, NULL), 200);
    assert_int_equal(ask(&world, POST, NULL), 200);
    assert_false(server_journal_overflowed(world.server));
    assert_int_equal(ask(&world, POST, NULL), 0);
    assert_true(server_journal_overflowed(world.server));
    assert_int_equal(server_in_flight(world.server), 0);
    assert_int_equal(ask(&world, "GET /_toomany/health HTTP/1.1\r\nHost: localhost\r\n\r\n", "ok"),
                     200);
    stop(&world);
}

/* --- the admin endpoints, and time ------------------------------------------------------------ */

static void quotas_change_while_it_runs(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{\"quotas\": {\"*\": {\"requests_total\": 0}}}");
    assert_int_equal(ask(&world, POST, "insufficient_quota"), 429);
    assert_int_equal(
        ask(&world,
            "PATCH /_toomany/quotas HTTP/1.1\r\nHost: localhost\r\nContent-Length: 29\r\n\r\n"
            "{\"*\": {\"requests_total\": 1}} ",
            "\"limits\""),
        200);
    assert_int_equal(ask(&world, POST, NULL), 200);
    assert_int_equal(ask(&world, POST, "insufficient_quota"), 429);
    assert_int_equal(
        ask(&world,
            "PATCH /_toomany/quotas HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n{",
            "error"),
        400);
    assert_int_equal(
        ask(&world, "PATCH /_toomany/quotas HTTP/1.1\r\nHost: localhost\r\n\r\n", "error"), 400);
    assert_int_equal(ask(&world,
                         "GET /_toomany/journal?after=2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                         "{\"sequence\":3,"),
                     200);
    assert_int_equal(
        ask(&world, "GET /_toomany/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "toomany_"), 200);
    assert_int_equal(ask(&world, "POST /_toomany/reset HTTP/1.1\r\nHost: localhost\r\n\r\n", "ok"),
                     200);
    assert_int_equal(request_count(&world), 0);
    assert_int_equal(ask(&world, POST, "insufficient_quota"), 429);
    stop(&world);
}

static void quotas_change_by_time(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{\"quotas\": {\"*\": {\"requests_total\": 0}}, \"changes\": [{\"at\": \"5s\","
                  " \"quotas\": {\"*\": {\"requests_total\": 1}}}]}");
    assert_int_equal(ask(&world, POST, NULL), 429);
    connect_to(&raw, &world);
    while (loop_now(&world.loop) < 5 * NS_PER_S)
        loop_turn(&world.loop, 0);
    assert_int_equal(loop_now(&world.loop), 5 * NS_PER_S);
    assert_int_equal(ask_on(&raw, POST), 200);
    raw_close(&raw);
    stop(&world);
}

/* --- starting and stopping -------------------------------------------------------------------- */

static void not_started(const char *host, uint16_t port, const char *place, const char *message,
                        bool could_not_run)
{
    struct loop loop;
    struct config config;
    struct error error = {0};
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    config_init(&config);
    struct server_options options = {.config = &config, .host = host, .port = port};
    assert_null(server_new(&loop, &options, &error));
    assert_string_equal(error.place, place);
    if (strstr(error.message, message) == NULL)
        fail_msg("found \"%s\", wanted \"%s\" in it", error.message, message);
    assert_true(error.could_not_run == could_not_run);
    assert_null(deadlines_first(&loop.deadlines));
    config_free(&config);
    loop_free(&loop);
}

static void cannot_listen(void **state)
{
    (void)state;
    struct world world;
    char place[64];
    start(&world, "{}");
    uint16_t port = server_port(world.server);
    snprintf(place, sizeof place, "127.0.0.1 port %u", port);
    not_started(NULL, port, place, "choose another --port", true);
    not_started("localhost", 0, "--host", "is not an IPv4 or IPv6 address", false);
    not_started("", 0, "--host", "is not an IPv4 or IPv6 address", false);
    not_started("198.51.100.7", 0, "198.51.100.7 port 0", "an address of this machine", true);
    stop(&world);
}

static void port_can_be_used_again_at_once(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start(&world, "{}");
    uint16_t port = server_port(world.server);
    connect_to(&raw, &world);
    assert_int_equal(ask_on(&raw, POST), 200);
    stop(&world); /* the server closes first, which leaves its port in TIME_WAIT */
    start_with(&world, "{}", (struct server_options){.port = port});
    assert_int_equal(server_port(world.server), port);
    stop(&world);
    close(raw.watch.fd);
    free(raw.bytes);
}

static void stops_while_answers_wait(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct world world;
    struct raw raws[COUNT + 1];
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    start_with(&world, "{\"latency\": \"1h\"}", (struct server_options){.journal_stream = stream});
    for (int i = 0; i < COUNT; i++) {
        connect_to(&raws[i], &world);
        loop_hold(&world.loop);
        raw_send(&raws[i], POST);
    }
    connect_to(&raws[COUNT], &world);
    loop_hold(&world.loop);
    raw_send(&raws[COUNT], HEAD "Content-Length: 60\r\n\r\n{");
    while (world.loop.parked < COUNT || request_count(&world) <= COUNT)
        loop_turn(&world.loop, -1);
    server_free(world.server);
    world.server = NULL;
    for (int i = 0; i <= COUNT; i++) {
        await_end(&raws[i]);
        assert_string_equal(raws[i].bytes, "");
        raw_close(&raws[i]);
        loop_release(&world.loop);
    }
    fclose(stream);
    int lines = 0;
    for (char *at = text; (at = strstr(at, "\"abandoned\":true")) != NULL; at++)
        lines++;
    assert_int_equal(lines, COUNT + 1);
    free(text);
    stop(&world);
}

static void stops_before_anything(void **state)
{
    (void)state;
    struct world world;
    start(&world, "{}");
    assert_int_equal(server_in_flight(world.server), 0);
    assert_non_null(server_api(world.server));
    stop(&world);
    server_free(NULL);
}

/* --- IPv6 ------------------------------------------------------------------------------------- */

static void note_success(void *owner, const struct client_outcome *outcome)
{
    *(bool *)owner = outcome->succeeded;
}

static void serves_on_ipv6(void **state)
{
    (void)state;
    struct world world;
    struct error error = {0};
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (probe < 0 || bind(probe, (struct sockaddr *)&loopback, sizeof loopback) != 0)
        skip(); /* a machine without IPv6 */
    close(probe);
    char url[64];
    start_with(&world, "{\"latency\": \"10s\"}", (struct server_options){.host = "::1"});
    snprintf(url, sizeof url, "http://[::1]:%u/v1", server_port(world.server));
    assert_string_equal(server_base_url(world.server), url);
    struct client_options options = {.base_url = url,
                                     .api_key = "k",
                                     .attempt_timeout_ns = NS_PER_S,
                                     .strategy.policy = {.kind = RETRY_NONE}};
    for (int i = 0; i < 2; i++) {
        bool succeeded = false;
        struct client *client = client_new(&world.loop, &options, &error);
        struct client_request request = {.model = "m", .message = "Hello"};
        assert_true(client_call(client, &request, note_success, &succeeded, &error));
        while (client_calls_open(client) > 0)
            loop_turn(&world.loop, -1);
        assert_true(succeeded == (i == 1));
        client_free(client);
        await_idle(&world);
        options.attempt_timeout_ns = NS_PER_MINUTE;
    }
    /* The first one timed out after a second, and its end was seen then. */
    assert_true(request_at(&world, 0)->abandoned);
    assert_int_equal(request_at(&world, 0)->answered_ns, NS_PER_S);
    assert_int_equal(request_at(&world, 1)->answered_ns, 11 * NS_PER_S);
    stop(&world);
}

/* --- no descriptors left ---------------------------------------------------------------------- */

/* Where the kernel has no descriptor for a connection, it waits, and the loop does not spin. */
static void waits_for_a_descriptor(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    struct rlimit before;
    struct rlimit low;
    start(&world, "{}");
    connect_to(&raw, &world);
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = (rlim_t)dup(0);
    close((int)low.rlim_cur); /* the lowest free one is the first that is over the limit */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    loop_hold(&world.loop);
    raw_send(&raw, POST);
    int turns = 0;
    while (loop_turn(&world.loop, 0))
        assert_true(++turns < 100);
    assert_false(raw.is_closed);
    assert_int_equal(request_count(&world), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    loop_release(&world.loop);
    await(&raw);
    assert_int_equal(status_of(&raw), 200);
    raw_close(&raw);
    stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_bodies),
        cmocka_unit_test(no_key),
        cmocka_unit_test(unknown_paths_and_methods),
        cmocka_unit_test(not_http),
        cmocka_unit_test(headers_too_large),
        cmocka_unit_test(bodies_too_large),
        cmocka_unit_test(endless_body_is_cut),
        cmocka_unit_test(expect_is_answered),
        cmocka_unit_test(chunked_body),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(keep_alive_and_close),
        cmocka_unit_test(pipelined_requests),
        cmocka_unit_test(what_came_together_is_seen_in_one_pass),
        cmocka_unit_test(body_that_does_not_come),
        cmocka_unit_test(headers_that_do_not_end),
        cmocka_unit_test(admin_body_that_does_not_come),
        cmocka_unit_test(idle_connection_is_closed),
        cmocka_unit_test(used_connection_may_idle_as_long),
        cmocka_unit_test(half_closed_is_answered),
        cmocka_unit_test(closed_while_it_waits),
        cmocka_unit_test(reset_while_it_waits),
        cmocka_unit_test(half_closed_then_reset),
        cmocka_unit_test(closed_before_it_has_sent_all),
        cmocka_unit_test(concurrency_is_given_back),
        cmocka_unit_test(waiting_answers_occupy_no_thread),
        cmocka_unit_test(journal_has_all_times),
        cmocka_unit_test(markers_and_counters),
        cmocka_unit_test(full_journal_refuses),
        cmocka_unit_test(quotas_change_while_it_runs),
        cmocka_unit_test(quotas_change_by_time),
        cmocka_unit_test(cannot_listen),
        cmocka_unit_test(port_can_be_used_again_at_once),
        cmocka_unit_test(stops_while_answers_wait),
        cmocka_unit_test(stops_before_anything),
        cmocka_unit_test(serves_on_ipv6),
        cmocka_unit_test(waits_for_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
