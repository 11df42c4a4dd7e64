#include "tests/unit/client_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate_lets_in_order_and_no_more),
        cmocka_unit_test(a_waiting_call_keeps_its_place),
        cmocka_unit_test(a_paced_gate_waits_for_tokens_to_come_back),
        cmocka_unit_test(a_place_for_an_attempt_is_free_during_the_wait),
        cmocka_unit_test(after_a_pause_retries_go_first),
        cmocka_unit_test(a_gate_goes_by_the_headers),
        cmocka_unit_test(headers_that_make_no_sense_hold_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
