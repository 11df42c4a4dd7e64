#include "mockserver/spare_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void answer_with(struct answer *answer, const char *body, const char *id, int remaining)
{
    answer_init(answer, 200);
    answer_body(answer, strdup(body));
    answer_header_add(answer, "content-type", "application/json");
    answer_header_add(answer, "x-request-id", id);
    answer_header(answer, "x-ratelimit-remaining-requests", "%d", remaining);
}

/* As libmicrohttpd sends them: each name with its value. */
static enum MHD_Result write_header(void *owner, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    fprintf(owner, "%s: %s\r\n", name, value);
    return MHD_YES;
}

static void assert_is(const struct spare_response *spare, const struct answer *answer)
{
    char sent[4096] = "";
    char wanted[4096] = "";
    assert_int_equal(spare->body_length, answer->body_length);
    assert_memory_equal(spare->body, answer->body, answer->body_length);
    FILE *stream = fmemopen(sent, sizeof sent, "w");
    MHD_get_response_headers(spare->response, write_header, stream);
    fclose(stream);
    stream = fmemopen(wanted, sizeof wanted, "w");
    for (size_t i = 0; i < answer->header_count; i++)
        fprintf(stream, "%s: %s\r\n", answer_name(answer, i), answer_value(answer, i));
    fclose(stream);
    assert_string_equal(sent, wanted);
}

/* Values as long as before, longer, shorter and as before: each answer has its own. One whose body
 * and headers are as long as those of one before takes the response of that. */
static void an_answer_finds_nothing_of_the_one_before(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *id;
        int remaining;
        size_t as; /* the first whose response it takes */
    } answers[] = {
        {"{\"a\":1}", "req_1", 99, 0},
        {"{\"a\":2}", "req_2", 98, 0},
        {"{\"a\":3}", "req_3", 100, 2},
        {"{\"a\":4}", "req_4", 9, 3},
        {"{\"a\":5}", "req_55", 9, 0},
        {"{\"a\":6}", "req_6", 12345, 5},
        {"{\"a\":7}", "r", 1, 6},
        {"{\"a\":8}", "req_8", -1, 0},
        {"{\"a\":8}", "req_8", -1, 0},
        {"", "req_9", 1, 9},
        {"", "req_a", 2, 9},
    };
    enum { COUNT = sizeof answers / sizeof answers[0] };
    struct spare_responses *spares = spare_responses_new();
    const struct spare_response *taken[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        struct answer answer;
        answer_with(&answer, answers[i].body, answers[i].id, answers[i].remaining);
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_non_null(spare);
        assert_is(spare, &answer);
        taken[i] = spare;
        assert_ptr_equal(spare, taken[answers[i].as]);
        spare_response_give(spares, spare);
        answer_free(&answer);
    }
    spare_responses_free(spares);
}

static void what_is_in_use_is_not_taken(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    struct answer one;
    struct answer two;
    answer_with(&one, "{}", "req_1", 1);
    answer_with(&two, "{}", "req_2", 2);
    struct spare_response *first = spare_response_take(spares, &one);
    struct spare_response *second = spare_response_take(spares, &two);
    assert_ptr_not_equal(first, second);
    assert_is(first, &one);
    assert_is(second, &two);
    spare_response_give(spares, first);
    spare_response_give(spares, second);
    answer_free(&one);
    answer_free(&two);
    spare_responses_free(spares);
}

/* Other names, though as long; another number of them; other bodies. */
static void another_kind_of_answer_takes_another(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    static const char *const names[] = {"x-one", "x-two", "x-three"};
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        struct answer answer;
        answer_with(&answer, "{}", "req_1", 1);
        answer_header_text(&answer, names[i % 3], "yes");
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_is(spare, &answer);
        spare_response_give(spares, spare);
        answer_free(&answer);
    }
    spare_responses_free(spares);
}

static void one_with_a_repeated_header_has_both(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    for (int i = 0; i < 2; i++) {
        struct answer answer;
        answer_with(&answer, "{}", "req_1", 1);
        answer_header_add(&answer, "retry-after", i == 0 ? "1" : "3");
        answer_header_add(&answer, "retry-after", i == 0 ? "2" : "4");
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_is(spare, &answer);
        spare_response_give(spares, spare);
        answer_free(&answer);
    }
    spare_responses_free(spares);
}

/* The second answer is as long as the first. */
static void libmicrohttpd_knows_of_a_connection_that_closes(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    static const char *const names[] = {"x-anything", "connection"};
    for (int i = 0; i < 2; i++) {
        struct answer answer;
        answer_with(&answer, "{}", "req_1", 1);
        answer_header_text(&answer, names[i], "close");
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_int_equal(spare->is_kept, i == 0);
        const char *value = MHD_get_response_header(spare->response, "connection");
        assert_string_equal(value != NULL ? value : "", i == 0 ? "" : "close");
        spare_response_give(spares, spare);
        answer_free(&answer);
    }
    spare_responses_free(spares);
}

static void answers_without_headers_or_with_an_empty_one_are_made(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    for (int i = 0; i < 4; i++) {
        struct answer answer;
        answer_init(&answer, 429);
        if (i % 2 == 1)
            answer_header_text(&answer, "x-empty", "");
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_non_null(spare);
        assert_int_equal(MHD_get_response_headers(spare->response, NULL, NULL), 0);
        spare_response_give(spares, spare);
    }
    spare_responses_free(spares);
}

/* More lengths than are kept, and then one of them again and again. */
static void lengths_that_do_not_come_again_make_room(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    char body[2 * SPARE_RESPONSES_MAX + 1];
    const struct spare_response *last = NULL;
    for (size_t i = 0; i < 2 * SPARE_RESPONSES_MAX + 2; i++) {
        size_t length = i < sizeof body ? i : sizeof body - 1;
        memset(body, 'a', length);
        body[length] = '\0';
        struct answer answer;
        answer_with(&answer, body, "req_1", 1);
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_is(spare, &answer);
        assert_true(i < sizeof body || spare == last);
        last = spare;
        spare_response_give(spares, spare);
        answer_free(&answer);
    }
    spare_responses_free(spares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_finds_nothing_of_the_one_before),
        cmocka_unit_test(what_is_in_use_is_not_taken),
        cmocka_unit_test(another_kind_of_answer_takes_another),
        cmocka_unit_test(one_with_a_repeated_header_has_both),
        cmocka_unit_test(libmicrohttpd_knows_of_a_connection_that_closes),
        cmocka_unit_test(answers_without_headers_or_with_an_empty_one_are_made),
        cmocka_unit_test(lengths_that_do_not_come_again_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
