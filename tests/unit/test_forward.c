#include "tests/unit/server_world.h"

/* A backend of the test's own: keeps what it is asked, and says what the test says. */
struct behind {
    struct backend backend;
    struct backend_sink sink;
    char request[20000]; /* "METHOD TARGET\nname: value\n...\nbody" */
    int64_t asked_ns;
    int starts;
    int resumes;
    int cancels;
    bool has_no_memory;
};

static struct behind behind;
static struct world world;

static void *begin_transfer(void *owner, const struct backend_request *request,
                            const struct backend_sink *sink)
{
    (void)owner;
    behind.sink = *sink;
    behind.starts++;
    behind.asked_ns = loop_now(&world.loop);
    size_t used = 0;
    size_t size = sizeof behind.request;
    used += (size_t)snprintf(behind.request, size, "%s %s\n", request->method, request->target);
    for (size_t i = 0; i < request->header_count; i++)
        used += (size_t)snprintf(behind.request + used, size - used, "%s: %s\n",
                                 request->headers[i].name, request->headers[i].value);
    snprintf(behind.request + used, size - used, "\n%.*s", (int)request->body_length,
             request->body != NULL ? request->body : "");
    return behind.has_no_memory ? NULL : &behind;
}

static void resume_transfer(void *owner, void *transfer)
{
    (void)owner;
    assert_ptr_equal(transfer, &behind);
    behind.resumes++;
}

static void cancel_transfer(void *owner, void *transfer)
{
    (void)owner;
    assert_ptr_equal(transfer, &behind);
    behind.cancels++;
}

static void begin_with(const char *config, struct recorder *recorder)
{
    behind =
        (struct behind){.backend = {&behind, begin_transfer, resume_transfer, cancel_transfer}};
    start_with(&world, config,
               (struct server_options){.backend = &behind.backend, .recorder = recorder});
    loop_hold(&world.loop);
}

static void begin(const char *config)
{
    begin_with(config, NULL);
}

static void finish(struct raw *raw)
{
    raw_close(raw);
    assert_int_equal(behind.cancels, 0); /* a transfer that has ended is gone */
    while (server_in_flight(world.server) > 0)
        loop_turn(&world.loop, -1);
    loop_release(&world.loop);
    stop(&world);
}

/* Sends it and waits until the backend is asked. */
static void ask_behind(struct raw *raw, const char *request)
{
    int before = behind.starts;
    connect_to(raw, &world);
    raw_send(raw, request);
    while (behind.starts == before)
        loop_turn(&world.loop, -1);
}

static void say_head(int status, const struct backend_header *headers, size_t count, int64_t length)
{
    const struct backend_head head = {.status = status,
                                      .headers = headers,
                                      .header_count = count,
                                      .length = length,
                                      .retry_after_ns = -1};
    behind.sink.head(behind.sink.owner, &head);
}

static bool say(const char *text)
{
    return behind.sink.data(behind.sink.owner, text, strlen(text));
}

static void say_end(const struct backend_failure *failure)
{
    behind.sink.end(behind.sink.owner, failure);
}

static void await_text(struct raw *raw, const char *text)
{
    while (strstr(raw->bytes, text) == NULL) {
        if (raw->is_closed)
            fail_msg("closed; found \"%s\", wanted \"%s\"", raw->bytes, text);
        loop_turn(&world.loop, -1);
    }
}

static void assert_has(const char *text, const char *part)
{
    if (strcasestr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strcasestr(text, part) != NULL)
        fail_msg("\"%s\" is in \"%s\"", part, text);
}

/* Bug: what is between this client and us goes on to the upstream (RFC 9110, 7.6.1): a Connection
 * that closes ours, a header that Connection names, a password for the proxy; or a header is lost
 * that clients and the API need. */
static void headers_of_the_clients_hop_stay_here(void **state)
{
    (void)state;
    struct raw raw;
    begin("{}");
    ask_behind(&raw, HEAD
               "Connection: keep-alive, X-Hop ,\tx-Other\r\nX-Hop: 1\r\nx-other: 2\r\n"
               "X-Ho: stays\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: Basic c2VjcmV0\r\n"
               "Proxy-Connection: close\r\nTE: trailers\r\nUpgrade: h2c\r\nTrailer: X-T\r\n"
               "Idempotency-Key: i-1\r\nx-stainless-retry-count: 1\r\nX-Empty:\r\n"
               "Content-Type: application/json\r\nContent-Length: 60\r\n\r\n" BODY);
    assert_string_equal(behind.request, "POST /v1/chat/completions\n"
                                        "Authorization: Bearer sk-unit-test-1234\n"
                                        "X-Ho: stays\n"
                                        "Idempotency-Key: i-1\n"
                                        "x-stainless-retry-count: 1\n"
                                        "X-Empty: \n"
                                        "Content-Type: application/json\n"
                                        "\n" BODY);
    say_head(200, NULL, 0, 2);
    say("ok");
    say_end(NULL);
    await(&raw);
    assert_int_equal(status_of(&raw), 200);
    finish(&raw);
}

/* Bug: the upstream's framing goes to the client, and its connection breaks; or what our limits say
 * is hidden by what the upstream's do. */
static void headers_of_the_upstreams_hop_stay_there(void **state)
{
    (void)state;
    static const struct backend_header headers[] = {{"Transfer-Encoding", "chunked"},
                                                    {"Connection", "close, x-internal"},
                                                    {"X-Internal", "host-17"},
                                                    {"Keep-Alive", "timeout=1"},
                                                    {"Proxy-Authenticate", "Basic"},
                                                    {"Content-Length", "999"},
                                                    {"Content-Type", "text/plain"},
                                                    {"Set-Cookie", "a=1"},
                                                    {"Set-Cookie", "b=2"},
                                                    {"x-ratelimit-limit-requests", "9999"},
                                                    {"x-request-id", "req_behind"}};
    struct raw raw;
    begin("{\"quotas\": {\"*\": {\"requests_per_minute\": 3}}}");
    ask_behind(&raw, POST);
    say_head(200, headers, sizeof headers / sizeof headers[0], 5);
    say("hello");
    say_end(NULL);
    await(&raw);
    assert_has(raw.bytes, "\r\nContent-Length: 5\r\n");
    assert_has(raw.bytes, "\r\nContent-Type: text/plain\r\n");
    assert_has(raw.bytes, "\r\nSet-Cookie: a=1\r\n");
    assert_has(raw.bytes, "\r\nSet-Cookie: b=2\r\n");
    assert_has(raw.bytes, "\r\nx-ratelimit-limit-requests: 3\r\n");
    assert_lacks(raw.bytes, "9999");
    assert_lacks(raw.bytes, "999\r\n");
    assert_lacks(raw.bytes, "host-17");
    assert_lacks(raw.bytes, "Keep-Alive:");
    assert_lacks(raw.bytes, "Proxy-Authenticate");
    assert_lacks(raw.bytes, "chunked");
    assert_string_equal(last_request(&world)->request_id, "req_behind");
    /* Our connection stays open. */
    raw_drop_message(&raw);
    raw_send(&raw, POST);
    while (behind.starts < 2)
        loop_turn(&world.loop, -1);
    say_head(204, NULL, 0, -1);
    say_end(NULL);
    await_text(&raw, "\r\n\r\n");
    assert_int_equal(status_of(&raw), 204);
    finish(&raw);
}

/* Bug: a gateway's failure is not OpenAI's shape, so that SDKs cannot read it, or 502 and 504 are
 * mixed up, or the journal knows nothing of it. */
static void without_an_answer_it_is_a_gateways_error(void **state)
{
    (void)state;
    static const struct backend_failure failures[] = {
        {.is_timeout = false, .message = "connection refused"},
        {.is_timeout = true, .message = "it was silent"}};
    static const char *const bodies[] = {
        "\"message\": \"The upstream server could not be asked: connection refused.\"",
        "\"message\": \"The upstream server did not answer in time: it was silent.\""};
    static const char *const codes[] = {"upstream_failed", "upstream_timeout"};
    for (int i = 0; i < 2; i++) {
        struct raw raw;
        begin("{}");
        ask_behind(&raw, POST);
        say_end(&failures[i]);
        await(&raw);
        assert_int_equal(status_of(&raw), i == 0 ? 502 : 504);
        assert_has(raw_body(&raw), bodies[i]);
        assert_has(raw_body(&raw), "\"type\": \"server_error\"");
        assert_has(raw_body(&raw), codes[i]);
        assert_has(raw.bytes, "x-request-id: req_");
        assert_has(raw.bytes, last_request(&world)->request_id);
        assert_has(raw.bytes, "date: ");
        assert_has(raw.bytes, "content-type: application/json");
        assert_int_equal(last_request(&world)->status, i == 0 ? 502 : 504);
        finish(&raw);
    }
}

static void memory_that_is_out_is_a_gateways_error(void **state)
{
    (void)state;
    struct raw raw;
    begin("{}");
    behind.has_no_memory = true;
    ask_behind(&raw, POST);
    await(&raw);
    assert_int_equal(status_of(&raw), 502);
    assert_int_equal(behind.cancels, 0);
    finish(&raw);
}

/* Bug: half an answer looks like a whole one: a chunked one gets its last chunk, or the connection
 * stays open and the client waits for the rest. */
static void what_breaks_off_behind_breaks_off_here(void **state)
{
    (void)state;
    static const struct backend_failure failure = {.message = "reset"};
    static const struct {
        int64_t length;
        const struct backend_failure *failure; /* NULL: a clean end, before the length said */
    } cases[] = {{9, &failure}, {-1, &failure}, {9, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raw raw;
        begin("{}");
        ask_behind(&raw, POST);
        say_head(200, NULL, 0, cases[i].length);
        say("half");
        await_text(&raw, "half");
        say_end(cases[i].failure);
        while (!raw.is_closed)
            loop_turn(&world.loop, -1);
        assert_lacks(raw.bytes, "\r\n0\r\n");
        finish(&raw);
    }
}

/* Bug: a stream is kept back until it is whole. */
static void pieces_go_on_as_they_come(void **state)
{
    (void)state;
    struct raw raw;
    begin("{}");
    ask_behind(&raw, POST);
    static const struct backend_header headers[] = {{"content-type", "text/event-stream"}};
    say_head(200, headers, 1, -1);
    say("data: 1\n\n");
    await_text(&raw, "data: 1\n\n");
    say("data: [DONE]\n\n");
    await_text(&raw, "data: [DONE]\n\n");
    assert_lacks(raw.bytes, "\r\n0\r\n\r\n");
    say_end(NULL);
    await_text(&raw, "\r\n0\r\n\r\n");
    finish(&raw);
}

/* Bug: the journal has no code, or one that is no text: a code may be long and end in the middle of
 * a character, and an upstream may send any bytes. */
static void the_code_of_an_error_is_for_the_journal(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *code;
    } cases[] = {
        {"{\"error\": {\"code\": \"rate_limit_exceeded\"}}", "rate_limit_exceeded"},
        {"{\"error\": {\"code\": null}}", ""},
        {"{\"error\": {\"code\": 429}}", ""},
        {"{\"error\": \"text\"}", ""},
        {"<html>Bad Gateway</html>", ""},
        {"", ""},
        {"{\"error\": {\"code\": \"1234567890123456789012345678901234567890123456\303\251\"}}",
         "1234567890123456789012345678901234567890123456?"},
        {"{\"error\": {\"code\": \"a\377b\"}}", "a?b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const struct backend_header headers[] = {{"x-request-id", "req\377"}};
        struct raw raw;
        begin("{}");
        ask_behind(&raw, POST);
        say_head(429, headers, 1, (int64_t)strlen(cases[i].body));
        if (cases[i].body[0] != '\0')
            say(cases[i].body);
        say_end(NULL);
        await(&raw);
        assert_int_equal(status_of(&raw), 429);
        assert_string_equal(last_request(&world)->code, cases[i].code);
        assert_string_equal(last_request(&world)->request_id, "req?");
        finish(&raw);
    }
}

/* Bug: an error page without end is kept for its code, or its ends are read as if they were one. */
static void of_a_long_error_no_code_is_looked_for(void **state)
{
    (void)state;
    static char page[3 * 64 * 1024];
    struct raw raw;
    begin("{}");
    ask_behind(&raw, POST);
    say_head(500, NULL, 0, -1);
    memset(page, ' ', sizeof page - 1);
    say("{\"error\": {\"code\": \"a\"}");
    say(page);
    say("}");
    say_end(NULL);
    await_text(&raw, "\r\n0\r\n\r\n");
    assert_int_equal(last_request(&world)->status, 500);
    assert_string_equal(last_request(&world)->code, "");
    finish(&raw);
}

/* Bug: what a slow client does not read piles up here. */
static void a_slow_client_slows_the_upstream(void **state)
{
    (void)state;
    static char part[300000];
    struct raw raw;
    size_t sent = 0;
    begin("{}");
    ask_behind(&raw, POST);
    memset(part, 'p', sizeof part - 1);
    say_head(200, NULL, 0, -1);
    loop_unwatch(&world.loop, &raw.watch); /* it reads nothing */
    bool wants_more = true;
    while (wants_more && sent < 64 * 1024 * 1024) {
        wants_more = say(part);
        sent += sizeof part - 1;
        for (int i = 0; i < 5; i++)
            loop_turn(&world.loop, 0);
    }
    assert_false(wants_more);
    assert_int_equal(behind.resumes, 0);
    assert_true(loop_watch(&world.loop, &raw.watch, EPOLLIN, NULL));
    while (behind.resumes == 0)
        loop_turn(&world.loop, -1);
    say_end(NULL);
    await_text(&raw, "\r\n0\r\n\r\n");
    assert_int_equal(behind.resumes, 1);
    assert_true(raw.length > sent);
    finish(&raw);
}

/* Bug: a client that has gone leaves its request running behind, or it is cancelled when it has
 * ended. */
static void a_client_that_leaves_ends_the_transfer(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct raw raw;
        begin("{}");
        ask_behind(&raw, POST);
        if (i == 1) {
            say_head(200, NULL, 0, -1);
            say("part");
            await_text(&raw, "part");
        }
        raw_reset(&raw);
        while (server_in_flight(world.server) > 0)
            loop_turn(&world.loop, -1);
        assert_int_equal(behind.cancels, 1);
        assert_true(last_request(&world)->abandoned);
        loop_release(&world.loop);
        stop(&world);
    }
}

/* Bug: the query is lost, or a path that we do not know is answered here. */
static void paths_go_on_with_their_queries(void **state)
{
    (void)state;
    struct raw raw;
    begin("{}");
    ask_behind(&raw, "DELETE /v1/vector_stores/vs_1?a=%2F&b HTTP/1.1\r\nHost: x\r\n"
                     "Authorization: Bearer sk-unit-test-1234\r\n\r\n");
    assert_has(behind.request, "DELETE /v1/vector_stores/vs_1?a=%2F&b\n");
    say_head(404, NULL, 0, 0);
    say_end(NULL);
    await(&raw);
    assert_int_equal(status_of(&raw), 404);
    finish(&raw);
}

/* Bug: a latency that is set is not waited for, or the upstream's own time is taken for it. */
static void asks_when_the_latency_is_over(void **state)
{
    (void)state;
    struct raw raw;
    begin("{\"latency\": \"2s\"}");
    int64_t from_ns = loop_now(&world.loop);
    ask_behind(&raw, POST);
    assert_int_equal(behind.asked_ns - from_ns, 2 * NS_PER_S);
    say_head(200, NULL, 0, 0);
    say_end(NULL);
    await(&raw);
    finish(&raw);
}

/* Bug: a key that came in Azure's header is written into the recording where the upstream repeats
 * it; or the recording is of the answer that was made here and not given. */
static void what_is_recorded_is_the_upstreams_answer_without_keys(void **state)
{
    (void)state;
    static const struct backend_header headers[] = {{"content-type", "text/plain"},
                                                    {"retry-after", "3"}};
    struct raw raw;
    struct recorder *recorder = recorder_new();
    char *text = NULL;
    size_t length = 0;
    begin_with("{}", recorder);
    ask_behind(&raw, HEAD "api-key: azure-key-0123456789\r\nContent-Length: 60\r\n\r\n" BODY);
    say_head(429, headers, 2, -1);
    say("wrong: azure-key-0123456789, sk-unit-test-1234");
    say_end(NULL);
    await_text(&raw, "\r\n0\r\n\r\n");
    finish(&raw);
    FILE *stream = open_memstream(&text, &length);
    assert_true(recorder_write(recorder, stream));
    fclose(stream);
    assert_has(text, "\"status\":429");
    assert_has(text, "\"retry-after\":\"3\"");
    assert_has(text, "\"wrong: ****************6789, *************1234\"");
    free(text);
    recorder_free(recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_the_clients_hop_stay_here),
        cmocka_unit_test(headers_of_the_upstreams_hop_stay_there),
        cmocka_unit_test(without_an_answer_it_is_a_gateways_error),
        cmocka_unit_test(memory_that_is_out_is_a_gateways_error),
        cmocka_unit_test(what_breaks_off_behind_breaks_off_here),
        cmocka_unit_test(pieces_go_on_as_they_come),
        cmocka_unit_test(the_code_of_an_error_is_for_the_journal),
        cmocka_unit_test(of_a_long_error_no_code_is_looked_for),
        cmocka_unit_test(a_slow_client_slows_the_upstream),
        cmocka_unit_test(a_client_that_leaves_ends_the_transfer),
        cmocka_unit_test(what_is_recorded_is_the_upstreams_answer_without_keys),
        cmocka_unit_test(paths_go_on_with_their_queries),
        cmocka_unit_test(asks_when_the_latency_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
