#include "tests/unit/api_world.h"

static void paces(void **state)
{
    (void)state;
    const struct pace none = {0};
    const struct pace slow = {.first_token_ns = 10, .tokens_per_second = 4};
    const struct pace endless = {.tokens_per_second = 0.001};
    assert_int_equal(pace_due_ns(&none, 1000), 0);
    assert_int_equal(pace_due_ns(&slow, 0), 10);
    assert_int_equal(pace_due_ns(&slow, 3), 10 + 3 * NS_PER_S / 4);
    assert_int_equal(pace_whole_ns(&slow, 4), 10 + 3 * NS_PER_S / 4);
    assert_int_equal(pace_whole_ns(&slow, 0), 10);
    assert_int_equal(pace_due_ns(&endless, INT64_MAX), DURATION_NS_MAX);
}

static void long_texts_have_larger_events(void **state)
{
    (void)state;
    assert_int_equal(event_stream_step(0), 1);
    assert_int_equal(event_stream_step(EVENT_STREAM_DELTAS_MAX), 1);
    assert_int_equal(event_stream_step(EVENT_STREAM_DELTAS_MAX + 1), 2);
    assert_int_equal(event_stream_step(3 * EVENT_STREAM_DELTAS_MAX), 3);
}

static void events_are_pieces(void **state)
{
    (void)state;
    struct event_stream stream;
    struct answer answer;
    answer_init(&answer, 200);
    event_stream_begin(&stream, ANSWER_STREAM_EVENTS);
    event_stream_add(&stream, 1, "a.b", cJSON_Parse("{\"x\": 1, \"y\": [2]}"));
    event_stream_add(&stream, 2, "c", cJSON_CreateObject());
    event_stream_add_bytes(&stream, 3, "data: z\n\n", 9);
    event_stream_end(&stream, &answer);
    assert_string_equal(
        answer.body,
        "event: a.b\ndata: {\"type\":\"a.b\",\"sequence_number\":0,\"x\":1,\"y\":[2]}\n\n"
        "event: c\ndata: {\"type\":\"c\",\"sequence_number\":1}\n\n"
        "data: z\n\n");
    assert_int_equal(answer.piece_count, 3);
    assert_int_equal(answer.pieces[1].due_ns, 2);
    assert_int_equal(answer.pieces[2].end, answer.body_length);
    assert_int_equal(strncmp(answer.body + answer.pieces[0].end, "event: c", 8), 0);
    answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paces),
        cmocka_unit_test(long_texts_have_larger_events),
        cmocka_unit_test(events_are_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
