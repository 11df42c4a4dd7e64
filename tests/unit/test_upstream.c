#include "upstream/upstream.h"

#include "base/duration.h"
#include "tests/unit/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The other server: a listening socket, and the last connection that came. */
struct origin {
    struct watch watch;
    struct loop *loop;
    uint16_t port;
    int connections;
    struct raw raw;
};

static void origin_accepts(void *owner, uint32_t events)
{
    struct origin *origin = owner;
    (void)events;
    int fd = accept4(origin->watch.fd, NULL, NULL, SOCK_CLOEXEC);
    if (origin->raw.loop != NULL)
        raw_close(&origin->raw);
    raw_adopt(&origin->raw, origin->loop, fd);
    origin->connections++;
}

static void origin_open(struct origin *origin, struct loop *loop)
{
    uint16_t port = 0;
    int fd = raw_listen(&port);
    *origin = (struct origin){.loop = loop, .port = port};
    origin->watch = (struct watch){.fd = fd, .ready = origin_accepts, .owner = origin};
    assert_true(loop_watch(loop, &origin->watch, EPOLLIN, NULL));
}

static void origin_close(struct origin *origin)
{
    if (origin->raw.loop != NULL)
        raw_close(&origin->raw);
    loop_unwatch(origin->loop, &origin->watch);
    close(origin->watch.fd);
}

/* What the server's side was told of one transfer. */
struct told {
    int heads;
    int status;
    int64_t length;
    int64_t retry_after_ns;
    size_t header_count;
    char headers[4096];
    char body[70000];
    size_t body_length;
    bool is_full; /* the sink wants no more for now */
    bool has_ended;
    bool has_failed;
    bool is_timeout;
    char message[200];
    int64_t ended_ns;
};

struct world {
    struct loop loop;
    struct origin origin;
    struct upstream *upstream;
    struct told told;
};

static struct world world;

static void take_head(void *owner, const struct backend_head *head)
{
    struct told *told = owner;
    told->heads++;
    told->status = head->status;
    told->length = head->length;
    told->retry_after_ns = head->retry_after_ns;
    told->header_count = head->header_count;
    size_t used = 0;
    for (size_t i = 0; i < head->header_count && used < sizeof told->headers; i++)
        used += (size_t)snprintf(told->headers + used, sizeof told->headers - used, "%s: %s\n",
                                 head->headers[i].name, head->headers[i].value);
}

static bool take_data(void *owner, const char *data, size_t length)
{
    struct told *told = owner;
    assert_int_equal(told->heads, 1);
    assert_true(told->body_length + length < sizeof told->body);
    memcpy(told->body + told->body_length, data, length);
    told->body_length += length;
    return !told->is_full;
}

static void take_end(void *owner, const struct backend_failure *failure)
{
    struct told *told = owner;
    assert_false(told->has_ended);
    told->has_ended = true;
    told->has_failed = failure != NULL;
    told->ended_ns = loop_now(&world.loop);
    if (failure == NULL)
        return;
    told->is_timeout = failure->is_timeout;
    snprintf(told->message, sizeof told->message, "%s", failure->message);
}

/* `options` without a base_url: the origin, with this after its address. */
static void begin_with(struct upstream_options options, const char *path)
{
    struct error error = {0};
    char url[100];
    world = (struct world){0};
    assert_true(loop_init(&world.loop, CLOCK_VIRTUAL, &error));
    origin_open(&world.origin, &world.loop);
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", world.origin.port, path);
    options.base_url = url;
    world.upstream = upstream_new(&world.loop, &options, &error);
    assert_non_null(world.upstream);
    loop_hold(&world.loop);
}

static void begin(void)
{
    begin_with((struct upstream_options){0}, "/v1");
}

static void finish(void)
{
    loop_release(&world.loop);
    upstream_free(world.upstream);
    origin_close(&world.origin);
    assert_null(deadlines_first(&world.loop.deadlines));
    loop_free(&world.loop);
}

static void *ask(const struct backend_request *request)
{
    const struct backend *backend = upstream_backend(world.upstream);
    static const struct backend_sink sink = {&world.told, take_head, take_data, take_end};
    void *transfer = backend->start(backend->owner, request, &sink);
    assert_non_null(transfer);
    assert_false(world.told.has_ended); /* never from within start */
    return transfer;
}

static void *ask_for(const char *target)
{
    return ask(&(struct backend_request){.method = "GET", .target = target});
}

/* The request as the origin got it. */
static const char *received(void)
{
    struct raw *raw = &world.origin.raw;
    while (raw->loop == NULL || !raw_has_message(raw))
        loop_turn(&world.loop, -1);
    return raw->bytes;
}

static void await_end(void)
{
    while (!world.told.has_ended)
        loop_turn(&world.loop, -1);
}

static void await_bytes(size_t length)
{
    while (world.told.body_length < length)
        loop_turn(&world.loop, -1);
}

enum then { STAYS, CLOSES, RESETS };

/* GET /v1/models, answered so. */
static void *answered(const char *answer, enum then then)
{
    void *transfer = ask_for("/v1/models");
    received();
    assert_true(raw_send(&world.origin.raw, answer));
    if (then == CLOSES)
        raw_close(&world.origin.raw);
    if (then == RESETS)
        raw_reset(&world.origin.raw);
    return transfer;
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

/* --- what goes there -------------------------------------------------------------------------- */

/* Bug: libcurl's own headers (Expect, User-Agent, a form's Content-Type) are seen behind, or the
 * /v1 of the target stands there twice. */
static void asks_with_the_clients_words_only(void **state)
{
    (void)state;
    static const struct backend_header headers[] = {
        {"Authorization", "Bearer sk-client"}, {"X-Empty", ""}, {"x-stainless-retry-count", "2"}};
    begin();
    ask(&(struct backend_request){.method = "POST",
                                  .target = "/v1/chat/completions?a=%2F..",
                                  .headers = headers,
                                  .header_count = 3,
                                  .body = "{\"a\":\0}",
                                  .body_length = 7});
    const char *request = received();
    assert_int_equal(strncmp(request, "POST /v1/chat/completions?a=%2F.. HTTP/1.1\r\n", 44), 0);
    assert_has(request, "\r\nAuthorization: Bearer sk-client\r\n");
    assert_has(request, "\r\nX-Empty:\r\n");
    assert_has(request, "\r\nx-stainless-retry-count: 2\r\n");
    assert_has(request, "\r\nContent-Length: 7\r\n");
    assert_lacks(request, "\r\nUser-Agent:");
    assert_lacks(request, "\r\nAccept");
    assert_lacks(request, "\r\nExpect:");
    assert_lacks(request, "\r\nContent-Type:");
    assert_memory_equal(raw_body(&world.origin.raw), "{\"a\":\0}", 7);
    raw_send(&world.origin.raw, "HTTP/1.1 204 No Content\r\n\r\n");
    await_end();
    assert_int_equal(world.told.status, 204);
    finish();
}

/* Bug: libcurl asks for leave (Expect: 100-continue) to send what is large, and waits a second. */
static void a_large_body_is_sent_at_once(void **state)
{
    (void)state;
    static char body[2 * 1024 * 1024];
    begin();
    memset(body, 'b', sizeof body);
    ask(&(struct backend_request){.method = "POST",
                                  .target = "/v1/chat/completions",
                                  .body = body,
                                  .body_length = sizeof body});
    assert_lacks(received(), "\r\nExpect:");
    assert_memory_equal(raw_body(&world.origin.raw), body, sizeof body);
    raw_send(&world.origin.raw, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    await_end();
    finish();
}

/* Bug: the client's key goes to somebody who has no business with it, beside ours or in Azure's
 * header. */
static void own_key_takes_the_place_of_the_clients(void **state)
{
    (void)state;
    static const struct backend_header headers[] = {{"authorization", "Bearer sk-client-1"},
                                                    {"Api-Key", "sk-client-2"},
                                                    {"Accept-Encoding", "gzip"},
                                                    {"User-Agent", "mine"}};
    begin_with((struct upstream_options){.api_key = "sk-own", .wants_plain = true}, "/v1/");
    ask(&(struct backend_request){
        .method = "GET", .target = "/v1/models", .headers = headers, .header_count = 4});
    const char *request = received();
    assert_int_equal(strncmp(request, "GET /v1/models HTTP/1.1\r\n", 25), 0);
    assert_has(request, "\r\nAuthorization: Bearer sk-own\r\n");
    assert_has(request, "\r\nUser-Agent: mine\r\n");
    assert_lacks(request, "sk-client");
    assert_lacks(request, "gzip"); /* what is recorded must be text */
    raw_send(&world.origin.raw, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    await_end();
    finish();
}

/* Bug: of "/v1@elsewhere/x" the /v1 is taken off and the rest put behind a base URL without a path:
 * "http://host@elsewhere/x" asks elsewhere, with our key. */
static void a_target_never_leads_elsewhere(void **state)
{
    (void)state;
    static const char *const targets[][2] = {
        {"/v1@127.0.0.1:%d/x", "GET /v1@127.0.0.1:%d/x HTTP/1.1\r\n"},
        {"@127.0.0.1:%d/x", "GET /@127.0.0.1:%d/x HTTP/1.1\r\n"},
        {"/v1.evil/x", "GET /v1.evil/x HTTP/1.1\r\n"},
        {"/v1beta/models", "GET /v1beta/models HTTP/1.1\r\n"},
        {"/v1", "GET / HTTP/1.1\r\n"},
        {"/v1?x=1", "GET /?x=1 HTTP/1.1\r\n"},
        {"/v1/models", "GET /models HTTP/1.1\r\n"},
        {"*", "GET /* HTTP/1.1\r\n"},
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct origin elsewhere;
        char target[60];
        char wanted[80];
        begin_with((struct upstream_options){.api_key = "sk-own"}, "");
        origin_open(&elsewhere, &world.loop);
        snprintf(target, sizeof target, "%s", targets[i][0]);
        snprintf(wanted, sizeof wanted, "%s", targets[i][1]);
        char *hole = strstr(target, "%d");
        if (hole != NULL) {
            snprintf(hole, sizeof target - (size_t)(hole - target), "%d/x", elsewhere.port);
            hole = strstr(wanted, "%d");
            snprintf(hole, sizeof wanted - (size_t)(hole - wanted), "%d/x HTTP/1.1\r\n",
                     elsewhere.port);
        }
        ask_for(target);
        while (world.origin.connections + elsewhere.connections == 0 && !world.told.has_ended)
            loop_turn(&world.loop, -1);
        if (elsewhere.connections > 0)
            fail_msg("%s leads elsewhere", target);
        if (strncmp(received(), wanted, strlen(wanted)) != 0)
            fail_msg("%s: found %s", target, world.origin.raw.bytes);
        raw_send(&world.origin.raw, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        await_end();
        origin_close(&elsewhere);
        finish();
    }
}

/* Bug: an empty POST without a length, for which servers wait or say 411; a DELETE that becomes a
 * POST; a HEAD whose body is waited for in vain. */
static void methods_stay_what_they_are(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "DELETE", "PATCH", "HEAD"};
    for (size_t i = 0; i < 2 * (sizeof methods / sizeof methods[0]); i++) {
        const char *method = methods[i / 2];
        bool has_body = i % 2 == 1;
        char line[40];
        begin();
        ask(&(struct backend_request){.method = method,
                                      .target = "/v1/files/f",
                                      .body = "abc",
                                      .body_length = has_body ? 3 : 0});
        const char *request = received();
        bool is_head = strcmp(method, "HEAD") == 0;
        snprintf(line, sizeof line, "%s /v1/files/f HTTP/1.1\r\n", method);
        assert_int_equal(strncmp(request, line, strlen(line)), 0);
        if (has_body && !is_head)
            assert_has(request, "\r\nContent-Length: 3\r\n");
        if (!has_body && strcmp(method, "POST") == 0)
            assert_has(request, "\r\nContent-Length: 0\r\n");
        raw_send(&world.origin.raw, is_head ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
                                            : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        await_end();
        assert_false(world.told.has_failed);
        assert_int_equal(world.told.body_length, is_head ? 0 : 2);
        assert_int_equal(world.told.length, is_head ? 10 : 2);
        finish();
    }
}

/* --- what comes back -------------------------------------------------------------------------- */

/* Bug: headers lose their values, a wait is not understood, an interim answer is taken for the
 * answer. */
static void tells_the_answer_as_it_is(void **state)
{
    (void)state;
    begin();
    answered(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After:   7\t\r\nX-Colons: a:b: c\r\nX-None:\r\n"
        "Content-Length: 4\r\n\r\nslow",
        STAYS);
    await_end();
    assert_false(world.told.has_failed);
    assert_int_equal(world.told.status, 429);
    assert_int_equal(world.told.length, 4);
    assert_int_equal(world.told.retry_after_ns, 7 * NS_PER_S);
    assert_string_equal(world.told.headers,
                        "Retry-After: 7\nX-Colons: a:b: c\nX-None: \nContent-Length: 4\n");
    assert_int_equal(world.told.heads, 1);
    assert_memory_equal(world.told.body, "slow", 4);
    finish();
}

/* Bug: the length of a chunked body is made up, or one that is said beside it believed (RFC 9112,
 * 6.3: Transfer-Encoding overrides Content-Length), so that the client gets half of it. */
static void chunks_have_no_length(void **state)
{
    (void)state;
    static const char *const said[] = {"", "Content-Length: 3\r\n", "Content-Length: 3000\r\n"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char answer[200];
        begin();
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n",
                 said[i]);
        answered(answer, STAYS);
        await_end();
        assert_false(world.told.has_failed);
        assert_int_equal(world.told.length, -1);
        assert_int_equal(world.told.body_length, 7);
        assert_memory_equal(world.told.body, "abcdefg", 7);
        assert_lacks(world.told.headers, "X-Trailer");
        finish();
    }
}

/* Bug: a trailer that comes before any of the body passes for a header, or for one cut off. */
static void a_trailer_is_no_header(void **state)
{
    (void)state;
    begin();
    answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: t\r\n\r\n",
             STAYS);
    await_end();
    assert_false(world.told.has_failed);
    assert_int_equal(world.told.body_length, 0);
    assert_string_equal(world.told.headers, "Transfer-Encoding: chunked\n");
    finish();
}

/* Bug: an answer that ends with its connection counts as broken off. */
static void an_answer_may_end_with_its_connection(void **state)
{
    (void)state;
    begin();
    answered("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", CLOSES);
    await_end();
    assert_false(world.told.has_failed);
    assert_int_equal(world.told.length, -1);
    assert_int_equal(world.told.body_length, 9);
    finish();
}

/* Bug: it goes where a redirect leads, with the key. */
static void a_redirect_is_an_answer(void **state)
{
    (void)state;
    char answer[200];
    begin_with((struct upstream_options){.api_key = "sk-own"}, "/v1");
    snprintf(answer, sizeof answer,
             "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%d/v1/x\r\n"
             "Content-Length: 0\r\n\r\n",
             world.origin.port);
    answered(answer, STAYS);
    await_end();
    assert_int_equal(world.told.status, 307);
    assert_has(world.told.headers, "Location: http://127.0.0.1:");
    assert_int_equal(world.origin.connections, 1);
    finish();
}

/* Bug: an answer that was cut off anywhere passes for a whole one, or for another failure's. */
static void what_breaks_off_has_failed(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum then then;
        bool has_head;
    } cases[] = {
        {"", CLOSES, false},
        {"", RESETS, false},
        {"HTTP/1.1 200 OK\r\nContent-Le", CLOSES, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", CLOSES, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CLOSES, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSES, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", STAYS, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", STAYS, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", CLOSES, false},
        {"this is no HTTP at all\r\n\r\n", CLOSES, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        answered(cases[i].answer, cases[i].then);
        await_end();
        if (!world.told.has_failed || world.told.heads != cases[i].has_head)
            fail_msg("case %zu: status %d, \"%s\"", i, world.told.status, world.told.message);
        assert_false(world.told.is_timeout);
        assert_string_not_equal(world.told.message, "");
        assert_lacks(world.told.message, "127.0.0.1"); /* clients are told it */
        finish();
    }
}

/* Bug: a reset after some bytes loses these, or the end. */
static void a_reset_in_the_middle_comes_after_what_came(void **state)
{
    (void)state;
    begin();
    answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", STAYS);
    await_bytes(3);
    raw_reset(&world.origin.raw);
    await_end();
    assert_true(world.told.has_failed);
    assert_int_equal(world.told.status, 200);
    assert_memory_equal(world.told.body, "abc", 3);
    finish();
}

/* Bug: nobody listens there, and the address of the inside is told to clients. */
static void a_refused_connection_has_failed(void **state)
{
    (void)state;
    begin();
    loop_unwatch(&world.loop, &world.origin.watch);
    close(world.origin.watch.fd);
    ask_for("/v1/models");
    await_end();
    assert_true(world.told.has_failed);
    assert_false(world.told.is_timeout);
    assert_int_equal(world.told.heads, 0);
    assert_lacks(world.told.message, "127.0.0.1");
    world.origin.watch.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(loop_watch(&world.loop, &world.origin.watch, 0, NULL));
    finish();
}

/* Bug: an answer with headers without end fills the memory, or with many writes beyond its list. */
static void headers_are_bounded(void **state)
{
    (void)state;
    static char answer[400000];
    begin();
    int length = sprintf(answer, "HTTP/1.1 200 OK\r\nX-Long: ");
    memset(answer + length, 'a', 350000);
    strcpy(answer + length + 350000, "\r\nContent-Length: 0\r\n\r\n");
    answered(answer, STAYS);
    await_end();
    assert_true(world.told.has_failed);
    assert_int_equal(world.told.heads, 0);
    finish();
    begin();
    length = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 150; i++)
        length += sprintf(answer + length, "X-%d: %d\r\n", i, i);
    strcpy(answer + length, "\r\n");
    answered(answer, STAYS);
    await_end();
    assert_false(world.told.has_failed);
    assert_int_equal(world.told.header_count, 100);
    finish();
}

/* --- time, and who wants no more -------------------------------------------------------------- */

/* Bug: silence is waited for without end, counts from the wrong moment, or is a broken connection
 * (502) where it is a time-out (504). */
static void silence_times_out(void **state)
{
    (void)state;
    begin();
    ask_for("/v1/models");
    received();
    loop_release(&world.loop); /* everybody waits: the clock may jump */
    await_end();
    loop_hold(&world.loop);
    assert_true(world.told.is_timeout);
    assert_int_equal(world.told.heads, 0);
    assert_int_equal(world.told.ended_ns, UPSTREAM_SILENCE_SECONDS * NS_PER_S);
    finish();
}

static void a_pause_of_the_answer_times_out_from_its_last_byte(void **state)
{
    (void)state;
    begin_with((struct upstream_options){.silence_ns = 5 * NS_PER_S}, "/v1");
    ask_for("/v1/models");
    received();
    for (int i = 0; i < 3; i++) { /* 4 s each: more than 5 s in all */
        clock_jump(&world.loop.clock, loop_now(&world.loop) + 4 * NS_PER_S);
        raw_send(&world.origin.raw, i == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na" : "b");
        await_bytes((size_t)i + 1);
    }
    loop_release(&world.loop);
    await_end();
    loop_hold(&world.loop);
    assert_true(world.told.has_failed && world.told.is_timeout);
    assert_int_equal(world.told.body_length, 3);
    assert_int_equal(world.told.ended_ns, 17 * NS_PER_S);
    finish();
}

/* Bug: an upstream that is faster than the client fills the memory, or is cut for the client's
 * slowness. */
static void who_has_enough_gets_nothing_until_it_resumes(void **state)
{
    (void)state;
    const struct backend *backend;
    begin();
    backend = upstream_backend(world.upstream);
    world.told.is_full = true;
    void *transfer = answered("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", STAYS);
    await_bytes(3);
    raw_send(&world.origin.raw, "def");
    assert_null(deadlines_first(&world.loop.deadlines)); /* nothing that would time out */
    for (int i = 0; i < 20; i++)
        loop_turn(&world.loop, NS_PER_MS);
    assert_int_equal(world.told.body_length, 3);
    world.told.is_full = false;
    backend->resume(backend->owner, transfer);
    await_end();
    assert_false(world.told.has_failed);
    assert_memory_equal(world.told.body, "abcdef", 6);
    finish();
}

/* Bug: the request behind goes on for a client that has gone, or its end is told to freed memory.
 */
static void a_cancelled_one_is_closed_and_tells_nothing(void **state)
{
    (void)state;
    begin();
    const struct backend *backend = upstream_backend(world.upstream);
    void *transfer = answered("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", STAYS);
    await_bytes(3);
    backend->cancel(backend->owner, transfer);
    while (!world.origin.raw.is_closed)
        loop_turn(&world.loop, -1);
    assert_false(world.told.has_ended);
    finish();
}

/* Bug: a URL that cannot be asked is found out by the first client, or one with a password in it
 * gets into logs. */
static void refuses_base_urls_that_are_none(void **state)
{
    (void)state;
    static const char *const urls[] = {"",
                                       "nonsense",
                                       "ftp://h/v1",
                                       "http://",
                                       "file:///etc/passwd",
                                       "http://h:99999/v1",
                                       "http://u@h/v1",
                                       "https://u:p@h/v1"};
    struct loop loop;
    struct error error;
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const struct upstream_options options = {.base_url = urls[i]};
        error = (struct error){0};
        if (upstream_new(&loop, &options, &error) != NULL)
            fail_msg("takes \"%s\"", urls[i]);
        assert_string_equal(error.place, "--upstream");
        assert_false(error.could_not_run);
        if (strchr(urls[i], '@') != NULL)
            assert_null(strstr(error.message, "u@"));
    }
    upstream_free(NULL);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_with_the_clients_words_only),
        cmocka_unit_test(a_large_body_is_sent_at_once),
        cmocka_unit_test(own_key_takes_the_place_of_the_clients),
        cmocka_unit_test(a_target_never_leads_elsewhere),
        cmocka_unit_test(methods_stay_what_they_are),
        cmocka_unit_test(tells_the_answer_as_it_is),
        cmocka_unit_test(chunks_have_no_length),
        cmocka_unit_test(a_trailer_is_no_header),
        cmocka_unit_test(an_answer_may_end_with_its_connection),
        cmocka_unit_test(a_redirect_is_an_answer),
        cmocka_unit_test(what_breaks_off_has_failed),
        cmocka_unit_test(a_reset_in_the_middle_comes_after_what_came),
        cmocka_unit_test(a_refused_connection_has_failed),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(a_pause_of_the_answer_times_out_from_its_last_byte),
        cmocka_unit_test(who_has_enough_gets_nothing_until_it_resumes),
        cmocka_unit_test(a_cancelled_one_is_closed_and_tells_nothing),
        cmocka_unit_test(refuses_base_urls_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
