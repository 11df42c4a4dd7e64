/* What the server takes at most: at each bound all is well, one beyond it is refused, and the
 * journal says so. */
#include "tests/unit/server_world.h"

static void start_bounded(struct world *world, struct server_bounds bounds)
{
    start_with(world, "{}", (struct server_options){.bounds = bounds});
}

/* A request whose line and headers are `bytes` long, with an empty body. */
static char *request_of(size_t bytes)
{
    static const char first[] = HEAD "X-Long: ";
    static const char last[] = "\r\nContent-Length: 60\r\n\r\n";
    char *text = malloc(bytes + sizeof BODY);
    size_t fill = bytes - (sizeof first - 1) - (sizeof last - 1);
    char *end = stpcpy(text, first);
    memset(end, 'a', fill);
    stpcpy(stpcpy(end + fill, last), BODY);
    return text;
}

static int ask_with_headers(struct world *world, size_t bytes)
{
    char *text = request_of(bytes);
    int status = ask(world, text, NULL);
    free(text);
    return status;
}

static void headers(void **state)
{
    (void)state;
    static const size_t bounds[] = {1024, SERVER_HEADER_BYTES_MAX, 65536};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct world world;
        start_bounded(&world, (struct server_bounds){.header_bytes = bounds[i]});
        assert_int_equal(ask_with_headers(&world, bounds[i]), 200);
        assert_int_equal(ask_with_headers(&world, bounds[i] + 1), 431);
        assert_int_equal(last_request(&world)->status, 431);
        assert_string_equal(last_request(&world)->code, "headers_too_large");
        assert_int_equal(request_count(&world), 2);
        /* Far more, and libmicrohttpd refuses it before we see it. */
        assert_int_equal(ask_with_headers(&world, 4 * bounds[i]), 431);
        assert_int_equal(last_request(&world)->status, 431);
        assert_int_equal(last_request(&world)->connection, 3);
        assert_int_equal(request_count(&world), 3);
        stop(&world);
    }
}

/* So long, with so many headers. */
static int ask_with_many_headers(struct world *world, size_t bytes, int count)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    fprintf(stream, HEAD "Content-Length: 60\r\n");
    for (int i = 0; i < count; i++)
        fprintf(stream, "X-%02d: a\r\n", i);
    fprintf(stream, "X-Long: ");
    fflush(stream);
    for (size_t i = length + 4; i < bytes; i++)
        fputc('a', stream);
    fprintf(stream, "\r\n\r\n" BODY);
    fclose(stream);
    int status = ask(world, text, NULL);
    free(text);
    return status;
}

/* What libmicrohttpd has no room to answer is answered all the same; what it has no room to read it
 * refuses itself. */
static void each_request_is_answered(void **state)
{
    (void)state;
    static const int counts[] = {1, 10, 20, 30, 40, 60};
    struct world world;
    start_bounded(&world, (struct server_bounds){0});
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t bytes = 1000; bytes < 12000; bytes += 97) {
            int status = ask_with_many_headers(&world, bytes, counts[i]);
            bool fits = bytes + 64U * (unsigned int)counts[i] < SERVER_HEADER_BYTES_MAX + 1800;
            if (status != 431 && status != 200)
                fail_msg("%zu bytes, %d headers: status %d", bytes, counts[i], status);
            if (fits && bytes <= SERVER_HEADER_BYTES_MAX)
                assert_int_equal(status, 200);
            else if (bytes > SERVER_HEADER_BYTES_MAX)
                assert_int_equal(status, 431);
            assert_int_equal(last_request(&world)->status, status);
            assert_false(last_request(&world)->abandoned);
        }
    }
    stop(&world);
}

#define FIFTY "01234567890123456789012345678901234567890123456789"
#define LONG "\": \"" FIFTY FIFTY FIFTY FIFTY FIFTY "\""

static void long_headers_of_an_answer_are_sent(void **state)
{
    (void)state;
    struct world world;
    start_with(&world,
               "{\"script\": [{\"times\": \"forever\", \"answer\": {\"error\": \"slow_down\", "
               "\"headers\": {\"x-a" LONG ", \"x-b" LONG ", \"x-c" LONG ", \"x-d" LONG
               ", \"x-e" LONG ", \"x-f" LONG ", \"x-g" LONG ", \"x-h" LONG ", \"x-i" LONG
               ", \"x-j" LONG ", \"x-k" LONG ", \"x-l" LONG "}}}]}",
               (struct server_options){0});
    for (size_t bytes = 1000; bytes <= SERVER_HEADER_BYTES_MAX; bytes += 97) {
        assert_int_equal(ask_with_many_headers(&world, bytes, 20), 429);
        assert_false(last_request(&world)->abandoned);
    }
    stop(&world);
}

static void bodies_are_bounded(void **state)
{
    (void)state;
    struct world world;
    start_bounded(&world, (struct server_bounds){.body_bytes = 60});
    assert_int_equal(ask(&world, POST, NULL), 200);
    assert_int_equal(ask(&world, HEAD "Content-Length: 61\r\n\r\n" BODY " ", "at most 60 bytes"),
                     413);
    assert_int_equal(last_request(&world)->status, 413);
    stop(&world);
    start_bounded(&world, (struct server_bounds){.body_bytes = 59});
    assert_int_equal(ask(&world, POST, NULL), 413);
    stop(&world);
}

/* One more than there is room for waits until another goes. */
static void connections(void **state)
{
    (void)state;
    struct world world;
    struct raw raws[3];
    start_bounded(&world, (struct server_bounds){.connections = 2});
    for (int i = 0; i < 3; i++)
        connect_to(&raws[i], &world);
    assert_int_equal(ask_on(&raws[0], POST), 200);
    assert_int_equal(ask_on(&raws[1], POST), 200);
    raw_send(&raws[2], POST);
    for (int i = 0; i < 20; i++)
        loop_turn(&world.loop, 0);
    assert_int_equal(raws[2].length, 0);
    raw_close(&raws[0]);
    await(&raws[2]);
    assert_int_equal(status_of(&raws[2]), 200);
    raw_close(&raws[1]);
    raw_close(&raws[2]);
    stop(&world);
}

static void connections_of_an_address(void **state)
{
    (void)state;
    enum { ROOM = 2, TOLD = 64 };
    struct world world;
    struct raw raws[ROOM + TOLD + 1];
    start_bounded(&world, (struct server_bounds){.connections_per_address = ROOM});
    for (int i = 0; i < ROOM + TOLD; i++) {
        connect_to(&raws[i], &world);
        assert_int_equal(ask_on(&raws[i], POST), i < ROOM ? 200 : 503);
    }
    assert_int_equal(last_request(&world)->status, 503);
    assert_string_equal(last_request(&world)->code, "too_many_connections");
    assert_non_null(strstr(raws[ROOM].bytes, "Connection: close"));
    raw_close(&raws[0]);
    stop(&world);
    for (int i = 1; i < ROOM + TOLD; i++)
        raw_close(&raws[i]);
}

/* More than are told so are closed unheard; when one has gone there is room again. */
static void unheard_connections_of_an_address(void **state)
{
    (void)state;
    enum { ROOM = 1, TOLD = 64 };
    struct world world;
    struct raw raws[ROOM + TOLD + 1];
    start_bounded(&world, (struct server_bounds){.connections_per_address = ROOM});
    loop_hold(&world.loop); /* nobody's patience ends */
    for (int i = 0; i < ROOM + TOLD + 1; i++)
        connect_to(&raws[i], &world);
    for (int i = 0; i < 3 * (ROOM + TOLD + 1); i++)
        loop_turn(&world.loop, 0);
    assert_false(raws[ROOM + TOLD - 1].is_closed);
    assert_true(raws[ROOM + TOLD].is_closed);
    for (int i = 0; i < ROOM + TOLD + 1; i++)
        raw_close(&raws[i]);
    for (int i = 0; i < 3 * (ROOM + TOLD + 1); i++)
        loop_turn(&world.loop, 0);
    loop_release(&world.loop);
    assert_int_equal(ask(&world, POST, NULL), 200);
    stop(&world);
}

static void idle_time(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start_bounded(&world, (struct server_bounds){.idle_ns = 7 * NS_PER_S});
    connect_to(&raw, &world);
    assert_int_equal(ask_on(&raw, POST), 200);
    await_end(&raw);
    assert_int_equal(loop_now(&world.loop), 7 * NS_PER_S);
    raw_close(&raw);
    stop(&world);
}

static void time_to_send(void **state)
{
    (void)state;
    struct world world;
    struct raw raw;
    start_bounded(&world, (struct server_bounds){.request_ns = 3 * NS_PER_S});
    connect_to(&raw, &world);
    raw_send(&raw, HEAD);
    await_end(&raw);
    assert_int_equal(status_of(&raw), 408);
    assert_int_equal(loop_now(&world.loop), 3 * NS_PER_S);
    assert_int_equal(last_request(&world)->status, 408);
    raw_close(&raw);
    stop(&world);
}

static void journal_entries(void **state)
{
    (void)state;
    struct world world;
    start_with(&world, "{}", (struct server_options){.journal_capacity = 2});
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&world, POST, NULL), 200);
    assert_int_equal(request_count(&world), 2);
    assert_int_equal(request_at(&world, 0)->sequence, 2);
    assert_int_equal(journal_lost(server_journal(world.server)), 1);
    stop(&world);
}

/* What libmicrohttpd answers by itself stands in the journal, with the connection. */
static void malformed_requests(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /v1/models HTTP/3.7\r\nHost: x\r\n\r\n",
        HEAD "Content-Length: x\r\n\r\n",
        HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    struct world world;
    start(&world, "{}");
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int status = ask(&world, requests[i], NULL);
        assert_in_range(status, 400, 599);
        assert_int_equal(request_count(&world), i + 1);
        assert_int_equal(last_request(&world)->status, status);
        assert_int_equal(last_request(&world)->connection, i + 1);
        assert_string_equal(last_request(&world)->code, "malformed_request");
    }
    stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(each_request_is_answered),
        cmocka_unit_test(long_headers_of_an_answer_are_sent),
        cmocka_unit_test(bodies_are_bounded),
        cmocka_unit_test(connections),
        cmocka_unit_test(connections_of_an_address),
        cmocka_unit_test(unheard_connections_of_an_address),
        cmocka_unit_test(idle_time),
        cmocka_unit_test(time_to_send),
        cmocka_unit_test(journal_entries),
        cmocka_unit_test(malformed_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
