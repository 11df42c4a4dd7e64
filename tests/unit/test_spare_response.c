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
    answer_header_add_whole(answer, "x-ratelimit-remaining-requests", remaining);
}

static void assert_header(const struct spare_response *spare, const char *name, const char *wanted)
{
    assert_string_equal(MHD_get_response_header(spare->response, name), wanted);
}

static void assert_is(const struct spare_response *spare, const struct answer *answer)
{
    assert_int_equal(spare->body_length, answer->body_length);
    assert_memory_equal(spare->body, answer->body, answer->body_length);
    assert_int_equal(MHD_get_response_headers(spare->response, NULL, NULL), answer->header_count);
    for (size_t i = 0; i < answer->header_count; i++)
        assert_header(spare, answer->headers[i].name, answer->headers[i].value);
}

/* Values as long as before, longer, shorter and as before: each answer has its own. */
static void an_answer_finds_nothing_of_the_one_before(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *id;
        int remaining;
    } answers[] = {
        {"{\"a\":1}", "req_1", 99}, {"{\"a\":2}", "req_2", 98}, {"{\"a\":3}", "req_3", 100},
        {"{\"a\":4}", "req_4", 9},  {"{\"a\":5}", "req_55", 9}, {"{\"a\":6}", "req_6", 12345},
        {"{\"a\":7}", "r", 1},      {"{\"a\":8}", "req_8", -1}, {"{\"a\":8}", "req_8", -1},
        {"", "req_9", 1},           {"", "req_a", 2},
    };
    struct spare_responses *spares = spare_responses_new();
    const struct spare_response *first = NULL;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct answer answer;
        answer_with(&answer, answers[i].body, answers[i].id, answers[i].remaining);
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_non_null(spare);
        assert_is(spare, &answer);
        if (i == 0)
            first = spare;
        assert_true(answers[i].body[0] == '\0' || spare == first);
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

/* libmicrohttpd lends the first value of a name only. */
static void one_with_a_repeated_header_is_not_used_again(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    for (int i = 0; i < 2; i++) {
        struct answer answer;
        answer_with(&answer, "{}", "req_1", 1);
        answer_header_add(&answer, "retry-after", i == 0 ? "1" : "3");
        answer_header_add(&answer, "retry-after", i == 0 ? "2" : "4");
        struct spare_response *spare = spare_response_take(spares, &answer);
        assert_int_equal(MHD_get_response_headers(spare->response, NULL, NULL), 5);
        assert_header(spare, "retry-after", i == 0 ? "1" : "3");
        assert_false(spare->is_kept);
        spare_response_give(spares, spare);
        answer_free(&answer);
    }
    spare_responses_free(spares);
}

/* A script's header with odd bytes in its value. */
static void one_with_a_header_that_cannot_be_set_is_not_used_again(void **state)
{
    (void)state;
    struct spare_responses *spares = spare_responses_new();
    struct answer answer;
    answer_with(&answer, "{}", "req_1", 1);
    answer_header_text(&answer, "x-odd", "a\r\nb");
    struct spare_response *spare = spare_response_take(spares, &answer);
    assert_null(MHD_get_response_header(spare->response, "x-odd"));
    assert_header(spare, "x-request-id", "req_1");
    assert_false(spare->is_kept);
    spare_response_give(spares, spare);
    answer_free(&answer);
    spare_responses_free(spares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_finds_nothing_of_the_one_before),
        cmocka_unit_test(what_is_in_use_is_not_taken),
        cmocka_unit_test(another_kind_of_answer_takes_another),
        cmocka_unit_test(one_with_a_repeated_header_is_not_used_again),
        cmocka_unit_test(one_with_a_header_that_cannot_be_set_is_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
