#include "mockserver/wire.h"

#include "tests/unit/api_world.h"

#define HEAD "HTTP/1.1 200 OK\r\na: b\r\n"

static void begin(struct answer *answer, bool is_streamed)
{
    answer_init(answer, 200);
    answer_header(answer, "a", "b");
    answer_body(answer, strdup("0123456789"));
    if (!is_streamed)
        return;
    struct answer_piece *pieces = calloc(2, sizeof *pieces);
    pieces[0] = (struct answer_piece){4, 100};
    pieces[1] = (struct answer_piece){10, 200};
    answer_pieces(answer, pieces, 2);
    answer->stream = ANSWER_STREAM_DATA;
}

static void assert_body(const struct answer *answer, const char *text)
{
    assert_int_equal(answer->body_length, strlen(text));
    assert_memory_equal(answer->body, text, answer->body_length);
    assert_int_equal(answer->pieces[answer->piece_count - 1].end, answer->body_length);
}

static void an_answer_as_bytes(void **state)
{
    (void)state;
    static const struct {
        bool is_streamed;
        enum wire_framing framing;
        int64_t length_error;
        const char *text;
    } cases[] = {
        {false, WIRE_LENGTH, 0, HEAD "Content-Length: 10\r\n\r\n0123456789"},
        {false, WIRE_LENGTH, -3, HEAD "Content-Length: 7\r\n\r\n0123456789"},
        {false, WIRE_LENGTH, -30, HEAD "Content-Length: 0\r\n\r\n0123456789"},
        {false, WIRE_LENGTH, 5, HEAD "Content-Length: 15\r\n\r\n0123456789"},
        {false, WIRE_CHUNKS, 0,
         HEAD "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"},
        {false, WIRE_ENDLESS_CHUNKS, 0,
         HEAD "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"},
        {true, WIRE_LENGTH, 0,
         HEAD "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer;
        begin(&answer, cases[i].is_streamed);
        assert_true(wire_make(&answer, cases[i].framing, cases[i].length_error));
        assert_true(answer.is_raw);
        assert_body(&answer, cases[i].text);
        assert_memory_equal(answer.body + wire_head_length(&answer) - 4, "\r\n\r\n", 4);
        answer_free(&answer);
    }
}

static void cut(void **state)
{
    (void)state;
    for (size_t length = 0; length < 40; length++) {
        struct answer answer;
        begin(&answer, true);
        assert_true(wire_make(&answer, WIRE_LENGTH, 0));
        wire_cut(&answer, length, ANSWER_RESETS);
        assert_int_equal(answer.body_length, length);
        assert_int_equal(answer.pieces[answer.piece_count - 1].end, length);
        assert_int_equal(answer.end, ANSWER_RESETS);
        answer_free(&answer);
    }
}

/* What is before the place keeps its time, what is behind it comes later. */
static void held_up(void **state)
{
    (void)state;
    struct answer answer;
    begin(&answer, true);
    assert_true(wire_make(&answer, WIRE_LENGTH, 0));
    size_t head = wire_head_length(&answer);
    size_t count = answer.piece_count;
    assert_true(wire_hold(&answer, head + 5, 1000));
    assert_int_equal(answer.piece_count, count + 1);
    assert_int_equal(answer.pieces[0].due_ns, 0);
    assert_int_equal(answer.pieces[1].end, head + 5);
    assert_int_equal(answer.pieces[1].due_ns, 100);
    assert_int_equal(answer.pieces[2].due_ns, 1100);
    assert_int_equal(answer.pieces[3].due_ns, 1200);
    answer_free(&answer);
    begin(&answer, false);
    assert_true(wire_make(&answer, WIRE_LENGTH, 0));
    assert_true(wire_hold(&answer, 0, 1000));
    assert_int_equal(answer.pieces[answer.piece_count - 1].due_ns, 1000);
    answer_free(&answer);
}

static void slowed_down(void **state)
{
    (void)state;
    struct answer answer;
    begin(&answer, false);
    assert_true(wire_make(&answer, WIRE_LENGTH, 0));
    size_t head = wire_head_length(&answer);
    assert_true(wire_slow_down(&answer, 4));
    assert_int_equal(answer.piece_count, 11);
    assert_int_equal(answer.pieces[0].due_ns, 0);
    for (size_t i = 1; i <= 10; i++) {
        assert_int_equal(answer.pieces[i].end, head + i);
        assert_int_equal(answer.pieces[i].due_ns, (int64_t)i * NS_PER_S / 4);
    }
    answer_free(&answer);
    /* A large body has no more pieces than that. */
    begin(&answer, false);
    char *large = malloc(100001);
    memset(large, 'x', 100000);
    large[100000] = '\0';
    answer_body(&answer, large);
    assert_true(wire_make(&answer, WIRE_LENGTH, 0));
    assert_true(wire_slow_down(&answer, 1000));
    assert_in_range(answer.piece_count, 1000, WIRE_PIECES_MAX + 1);
    assert_int_equal(answer.pieces[answer.piece_count - 1].end, answer.body_length);
    assert_int_equal(answer.pieces[answer.piece_count - 1].due_ns, 100 * NS_PER_S);
    answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_as_bytes),
        cmocka_unit_test(cut),
        cmocka_unit_test(held_up),
        cmocka_unit_test(slowed_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
