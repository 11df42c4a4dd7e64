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

/* Bug: a first token that is late, or a pace beside nothing, adds up beyond what a deadline can be;
 * tokens are a moment early. */
static void paces_stay_in_bounds(void **state)
{
    (void)state;
    const struct pace late = {.first_token_ns = DURATION_NS_MAX, .tokens_per_second = 1};
    const struct pace third = {.tokens_per_second = 3};
    const struct pace fast = {.first_token_ns = 7, .tokens_per_second = 1e12};
    assert_int_equal(pace_due_ns(&late, 0), DURATION_NS_MAX);
    assert_int_equal(pace_due_ns(&late, 1000), DURATION_NS_MAX);
    assert_int_equal(pace_due_ns(&third, 3), NS_PER_S);
    assert_int_equal(pace_due_ns(&fast, 100), 7);
    assert_int_equal(pace_whole_ns(&third, 1), 0);
    assert_int_equal(pace_whole_ns(&third, -1), 0);
    for (int64_t token = 0; token < 1000; token++)
        assert_true(pace_due_ns(&third, token) <= pace_due_ns(&third, token + 1));
}

/* Bug: events without a name get one, or a type and a number that chat completions do not have. */
static void plain_data_has_no_names(void **state)
{
    (void)state;
    struct event_stream stream;
    struct answer answer;
    answer_init(&answer, 200);
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    event_stream_add(&stream, 0, NULL, cJSON_Parse("{\"text\": \"a\\nb\"}"));
    event_stream_add_text(&stream, 5, "[DONE]");
    event_stream_end(&stream, &answer);
    assert_string_equal(answer.body, "data: {\"text\":\"a\\nb\"}\n\ndata: [DONE]\n\n");
    assert_int_equal(answer.stream, ANSWER_STREAM_DATA);
    assert_int_equal(answer.piece_count, 2);
    assert_int_equal(answer.pieces[1].due_ns, 5);
    assert_string_equal(answer_find_header(&answer, "content-type"),
                        "text/event-stream; charset=utf-8");
    answer_free(&answer);
}

static void a_stream_may_be_empty(void **state)
{
    (void)state;
    struct event_stream stream;
    struct answer answer;
    answer_init(&answer, 200);
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    event_stream_end(&stream, &answer);
    assert_int_equal(answer.body_length, 0);
    assert_int_equal(answer.piece_count, 0);
    answer_free(&answer);
}

/* Bug: the list of pieces is written beyond its first room, or a piece ends before what was written
 * last; bytes with a NUL are cut. */
static void many_events_are_as_many_pieces(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct event_stream stream;
    struct answer answer;
    answer_init(&answer, 200);
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    for (int i = 0; i < COUNT; i++)
        event_stream_add_bytes(&stream, i, "a\0b", 3);
    event_stream_end(&stream, &answer);
    assert_int_equal(answer.body_length, 3 * COUNT);
    assert_int_equal(answer.piece_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(answer.pieces[i].end, 3 * (i + 1));
        assert_int_equal(answer.pieces[i].due_ns, i);
        assert_memory_equal(answer.body + 3 * i, "a\0b", 3);
    }
    answer_free(&answer);
}

/* Bug: where memory ran out, half a stream is sent as a whole one, or is lost. */
static void what_could_not_be_written_is_no_answer(void **state)
{
    (void)state;
    struct event_stream stream;
    struct answer answer;
    answer_init(&answer, 200);
    event_stream_begin(&stream, ANSWER_STREAM_DATA);
    event_stream_add_text(&stream, 0, "1");
    event_stream_add(&stream, 0, NULL, NULL); /* as when cJSON has none left */
    event_stream_add_text(&stream, 0, "2");
    event_stream_add_bytes(&stream, 0, "3", 1);
    event_stream_add(&stream, 0, NULL, cJSON_CreateObject());
    event_stream_end(&stream, &answer);
    assert_int_equal(answer.body_length, 0);
    assert_int_equal(answer.piece_count, 0);
    assert_int_equal(answer.stream, ANSWER_NOT_STREAMED);
    answer_free(&answer);
    answer_init(&answer, 200);
    event_stream_begin(&stream, ANSWER_STREAM_EVENTS);
    event_stream_add(&stream, 0, "a", NULL); /* an event with nothing but its name */
    event_stream_end(&stream, &answer);
    assert_string_equal(answer.body, "event: a\ndata: {\"type\":\"a\",\"sequence_number\":0}\n\n");
    answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paces),
        cmocka_unit_test(long_texts_have_larger_events),
        cmocka_unit_test(events_are_pieces),
        cmocka_unit_test(paces_stay_in_bounds),
        cmocka_unit_test(plain_data_has_no_names),
        cmocka_unit_test(a_stream_may_be_empty),
        cmocka_unit_test(many_events_are_as_many_pieces),
        cmocka_unit_test(what_could_not_be_written_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
