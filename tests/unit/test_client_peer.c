#include "tests/unit/client_world.h"

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
    uint16_t port = 0;
    int fd = raw_listen(&port);
    *peer = (struct misbehaving){.world = world, .answers = answers};
    peer->listening = (struct watch){.fd = fd, .ready = peer_accepts, .owner = peer};
    start_world(world);
    assert_true(loop_watch(&world->loop, &peer->listening, EPOLLIN, NULL));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", port);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_whole_answer),
        cmocka_unit_test(no_http),
        cmocka_unit_test(served_but_not_with_a_completion),
        cmocka_unit_test(answers_without_a_text),
        cmocka_unit_test(errors_in_other_forms),
        cmocka_unit_test(waits_as_the_last_headers_say),
        cmocka_unit_test(a_closed_connection_is_no_silent_repetition),
        cmocka_unit_test(refuses_an_endless_answer),
        cmocka_unit_test(says_what_a_request_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
