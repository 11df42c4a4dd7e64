#include "mockserver/answer.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

static const char *header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer_name(answer, i), name) == 0)
            return answer_value(answer, i);
    }
    return NULL;
}

static void starts_empty(void **state)
{
    (void)state;
    struct answer answer;
    answer_init(&answer, 429);
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.retry_after_ns, -1);
    assert_int_equal(answer.header_count, 0);
    assert_null(answer.body);
    assert_string_equal(answer.code, "");
    answer_free(&answer);
}

static void a_header_of_the_same_name_is_replaced(void **state)
{
    (void)state;
    struct answer answer;
    answer_init(&answer, 200);
    answer_header(&answer, "Content-Type", "%s", "text/plain");
    answer_header(&answer, "x-request-id", "req_%d", 7);
    answer_header(&answer, "content-type", "application/json");
    assert_int_equal(answer.header_count, 2);
    assert_string_equal(header(&answer, "content-type"), "application/json");
    assert_string_equal(header(&answer, "x-request-id"), "req_7");
}

/* The lines of all are in one place: what comes after one that grows or shrinks moves. */
static void one_that_is_replaced_leaves_the_others(void **state)
{
    (void)state;
    static const char *const values[] = {"", "1", "2.5", "a much longer value than any before it",
                                         "12"};
    static const char *const names[] = {"first", "retry-after", "last"};
    for (size_t changed = 0; changed < 3; changed++) {
        struct answer answer;
        answer_init(&answer, 429);
        answer_header_text(&answer, "first", "1st");
        answer_header_text(&answer, "retry-after", "");
        answer_header_text(&answer, "last", "3rd");
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            const char *wanted[] = {"1st", "", "3rd"};
            wanted[changed] = values[i];
            answer_header_text(&answer, names[changed], values[i]);
            for (size_t j = 0; j < 3; j++)
                assert_string_equal(header(&answer, names[j]), wanted[j]);
            char tail[256];
            char lines[256];
            snprintf(lines, sizeof lines, "%s\r\nretry-after: %s\r\nlast: %s", wanted[0], wanted[1],
                     wanted[2]);
            assert_int_equal(answer_tail_length(&answer), strlen(lines));
            answer_write_tail(&answer, tail);
            assert_memory_equal(tail, lines, strlen(lines));
        }
    }
}

static void there_is_room_for_the_longest(void **state)
{
    (void)state;
    struct answer answer;
    char value[ANSWER_HEADER_VALUE_SIZE + 10];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    answer_init(&answer, 200);
    for (int i = 0; i < ANSWER_HEADERS_MAX; i++) {
        char name[ANSWER_HEADER_NAME_SIZE + 40];
        snprintf(name, sizeof name, "%02d%070d", i, 0);
        answer_header_text(&answer, name, "");
        answer_header_text(&answer, answer_name(&answer, (size_t)i), value);
    }
    assert_int_equal(answer.header_count, ANSWER_HEADERS_MAX);
    assert_int_equal(answer.lines_length, sizeof answer.lines);
    for (size_t i = 0; i < ANSWER_HEADERS_MAX; i++) {
        assert_int_equal(strlen(answer_name(&answer, i)), ANSWER_HEADER_NAME_SIZE - 1);
        assert_int_equal(strlen(answer_value(&answer, i)), ANSWER_HEADER_VALUE_SIZE - 1);
    }
}

/* A model's name goes into a header, and comes from a request. */
static void one_with_a_line_break_is_left_out(void **state)
{
    (void)state;
    struct answer answer;
    answer_init(&answer, 200);
    answer_header(&answer, "openai-model", "%s", "a\r\nset-cookie: b");
    answer_header_text(&answer, "x-one", "a\nb");
    answer_header_text(&answer, "x-two", "a\rb");
    assert_int_equal(answer.header_count, 0);
}

static void a_long_value_is_cut(void **state)
{
    (void)state;
    struct answer answer;
    answer_init(&answer, 200);
    char value[1000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    answer_header(&answer, "x", "%s", value);
    assert_int_equal(strlen(header(&answer, "x")), ANSWER_HEADER_VALUE_SIZE - 1);
}

static void takes_a_body_over_and_frees_the_one_before(void **state)
{
    (void)state;
    struct answer answer;
    answer_init(&answer, 200);
    answer_body(&answer, strdup("first"));
    answer_body(&answer, strdup("second one"));
    assert_string_equal(answer.body, "second one");
    assert_int_equal(answer.body_length, 10);
    answer_body(&answer, NULL); /* out of memory: an empty body */
    assert_int_equal(answer.body_length, 0);
    answer_body(&answer, strdup("third"));
    answer_free(&answer);
    assert_null(answer.body);
    assert_int_equal(answer.body_length, 0);
    answer_free(&answer);
}

/* Rounded up in both forms, so that who waits as told is never early. */
static void a_wait_is_rounded_up(void **state)
{
    (void)state;
    static const struct {
        int64_t wait_ns;
        const char *seconds;
        const char *ms;
    } cases[] = {
        {0, "0", "0"},
        {1, "1", "1"},
        {NS_PER_MS, "1", "1"},
        {NS_PER_MS + 1, "1", "2"},
        {NS_PER_S, "1", "1000"},
        {NS_PER_S + 1, "2", "1001"},
        {INT64_C(18642000000), "19", "18642"},
        {20 * NS_PER_S, "20", "20000"},
        {NS_PER_DAY, "86400", "86400000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer answer;
        answer_init(&answer, 429);
        answer_retry_after(&answer, cases[i].wait_ns, true);
        assert_int_equal(answer.retry_after_ns, cases[i].wait_ns);
        assert_string_equal(header(&answer, "retry-after"), cases[i].seconds);
        assert_string_equal(header(&answer, "retry-after-ms"), cases[i].ms);
        answer_init(&answer, 429);
        answer_retry_after(&answer, cases[i].wait_ns, false);
        assert_string_equal(header(&answer, "retry-after"), cases[i].seconds);
        assert_null(header(&answer, "retry-after-ms"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(a_header_of_the_same_name_is_replaced),
        cmocka_unit_test(one_that_is_replaced_leaves_the_others),
        cmocka_unit_test(there_is_room_for_the_longest),
        cmocka_unit_test(one_with_a_line_break_is_left_out),
        cmocka_unit_test(a_long_value_is_cut),
        cmocka_unit_test(takes_a_body_over_and_frees_the_one_before),
        cmocka_unit_test(a_wait_is_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
