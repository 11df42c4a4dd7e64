#include "tests/unit/client_world.h"

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
        cmocka_unit_test(a_loop_around_retries_makes_nine_of_three),
        cmocka_unit_test(tells_of_every_wait_and_attempt),
        cmocka_unit_test(calls_may_share_one_stream_of_jitter),
        cmocka_unit_test(cancels_in_every_phase),
        cmocka_unit_test(calls_and_cancels_from_on_done),
        cmocka_unit_test(tells_the_whole_error),
        cmocka_unit_test(times_out_on_the_clock_of_the_run),
        cmocka_unit_test(default_timeout_is_ten_minutes),
        cmocka_unit_test(connection_refused),
        cmocka_unit_test(repeats_with_its_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
