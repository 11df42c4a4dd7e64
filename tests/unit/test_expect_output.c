#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_evidence.h"

static const char HINT[] = "The client's output does not say what it should";

static struct result wrote(const char *output, const char *errors)
{
    struct result result = sample_result("output", "s.json");
    sample_run(&result, 0, 0, 1, output, errors);
    return result;
}

static void each_stream_is_searched_on_its_own(void **state)
{
    (void)state;
    struct result result = wrote("Hello!\n", "Traceback\nopenai.RateLimitError: 429\n");
    assert_held("\"stdout_contains\": \"Hello\"", &result, "contains \"Hello\"", "it does");
    assert_failed("\"stdout_contains\": \"RateLimitError\"", &result, "contains \"RateLimitError\"",
                  "last line: Hello!", HINT);
    assert_held("\"stderr_contains\": \"RateLimitError\"", &result, "contains \"RateLimitError\"",
                "it does");
    assert_failed("\"stderr_contains\": \"Hello\"", &result, "contains \"Hello\"",
                  "last line: openai.RateLimitError: 429", HINT);
    result_free(&result);
}

static void parts_are_no_patterns(void **state)
{
    (void)state;
    struct result result = wrote("abc", "");
    assert_failed("\"stdout_contains\": \"a.c\"", &result, "contains \"a.c\"", "last line: abc",
                  HINT);
    assert_held("\"stdout_matches\": \"a.c\"", &result, "matches \"a.c\"", "it does");
    result_free(&result);
}

static void patterns_match_line_by_line(void **state)
{
    (void)state;
    struct result result = wrote("", "first\nsecond line\n");
    assert_held("\"stderr_matches\": \"^second (line|row)$\"", &result,
                "matches \"^second (line|row)$\"", "it does");
    assert_failed("\"stderr_matches\": \"first.second\"", &result, "matches \"first.second\"",
                  "last line: second line", HINT);
    assert_failed("\"stdout_matches\": \".\"", &result, "matches \".\"", "last line: nothing",
                  HINT);
    result_free(&result);
}

static void of_a_list_all_must_be_there(void **state)
{
    (void)state;
    struct result result = wrote("a b", "");
    assert_held("\"stdout_contains\": [\"a\", \"b\"]", &result, "contains \"a\" and others",
                "it does");
    assert_failed("\"stdout_contains\": [\"a\", \"c\", \"d\"]", &result, "contains \"c\"",
                  "last line: a b", HINT);
    assert_held("\"stdout_matches\": [\"^a\", \"b$\"]", &result, "matches \"^a\" and others",
                "it does");
    assert_failed("\"stdout_matches\": [\"^a\", \"a$\"]", &result, "matches \"a$\"",
                  "last line: a b", HINT);
    result_free(&result);
}

static void any_run_may_have_said_it(void **state)
{
    (void)state;
    struct result result = wrote("one\n", "");
    sample_run(&result, 0, 2, 3, "two\n", "");
    assert_held("\"stdout_contains\": [\"one\", \"two\"]", &result, "contains \"one\" and others",
                "it does");
    assert_failed("\"stdout_contains\": \"three\"", &result, "contains \"three\"", "last line: two",
                  HINT);
    result_free(&result);
}

static void a_nul_does_not_hide_what_comes_after_it(void **state)
{
    (void)state;
    struct result result = wrote("", "");
    free(result.runs[0].output);
    result.runs[0].output = malloc(16);
    memcpy(result.runs[0].output, "a\0b\nerror\0\n", 12);
    result.runs[0].output_length = 11;
    assert_held("\"stdout_contains\": \"error\"", &result, "contains \"error\"", "it does");
    assert_held("\"stdout_matches\": \"^err\"", &result, "matches \"^err\"", "it does");
    assert_failed("\"stdout_contains\": \"none\"", &result, "contains \"none\"", "last line: error",
                  HINT);
    result_free(&result);
}

static void a_client_that_was_not_started_said_nothing(void **state)
{
    (void)state;
    struct result result = sample_result("output", "s.json");
    assert_failed("\"stdout_contains\": \"a\"", &result, "contains \"a\"", "last line: nothing",
                  HINT);
    sample_run(&result, 0, 0, 1, "", "");
    free(result.runs[0].output);
    free(result.runs[0].errors);
    result.runs[0].output = result.runs[0].errors = NULL;
    assert_failed("\"stdout_contains\": \"a\"", &result, "contains \"a\"", "last line: nothing",
                  HINT);
    assert_failed("\"stderr_contains\": \"a\"", &result, "contains \"a\"", "last line: nothing",
                  HINT);
    result_free(&result);
}

static void a_long_last_line_is_cut(void **state)
{
    (void)state;
    char line[400];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    struct result result = wrote(line, "");
    struct verdict verdict = judged("\"stdout_contains\": \"a\"", &result);
    assert_int_equal(strlen(verdict.seen), strlen("last line: ") + 150 + 3);
    assert_string_equal(verdict.seen + strlen(verdict.seen) - 4, "x...");
    free(verdict.expected);
    free(verdict.seen);
    result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stream_is_searched_on_its_own),
        cmocka_unit_test(parts_are_no_patterns),
        cmocka_unit_test(patterns_match_line_by_line),
        cmocka_unit_test(of_a_list_all_must_be_there),
        cmocka_unit_test(any_run_may_have_said_it),
        cmocka_unit_test(a_nul_does_not_hide_what_comes_after_it),
        cmocka_unit_test(a_client_that_was_not_started_said_nothing),
        cmocka_unit_test(a_long_last_line_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
