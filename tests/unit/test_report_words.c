#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness/report_words.h"
#include "tests/unit/sample_results.h"

static void a_later_state_hides_an_earlier_one(void **state)
{
    (void)state;
    struct result result = {.passed = true};
    assert_int_equal(report_state_of(&result), REPORT_PASSED);
    result.known_failing = LISTED_BUT_PASSED;
    assert_int_equal(report_state_of(&result), REPORT_UNLISTED_DUE);
    result.passed = false;
    result.known_failing = NOT_LISTED;
    assert_int_equal(report_state_of(&result), REPORT_FAILED);
    result.known_failing = LISTED_AND_FAILED;
    assert_int_equal(report_state_of(&result), REPORT_KNOWN_FAILING);
    result.interrupted = true;
    assert_int_equal(report_state_of(&result), REPORT_STOPPED);
    result.could_not_run = true;
    assert_int_equal(report_state_of(&result), REPORT_COULD_NOT_RUN);
    for (int i = 0; i < REPORT_STATE_COUNT; i++)
        assert_true(strlen(report_state_name((enum report_state)i)) > 0);
}

static void a_check_ends_well_when_all_passed_or_are_known_to_fail(void **state)
{
    (void)state;
    struct result items[3] = {
        {.passed = true}, {.known_failing = LISTED_AND_FAILED}, {.passed = true}};
    struct results results = {.items = items, .count = 3};
    assert_true(report_all_well(&results));
    struct report_counts counts = report_count(&results);
    assert_int_equal(counts.of[REPORT_PASSED], 2);
    assert_int_equal(counts.of[REPORT_KNOWN_FAILING], 1);
    items[2].known_failing = LISTED_BUT_PASSED;
    assert_false(report_all_well(&results));
    items[2].known_failing = NOT_LISTED;
    results.interrupted = true;
    assert_false(report_all_well(&results));
    results = (struct results){0};
    assert_true(report_all_well(&results));
}

static void names_of_expectations_become_words(void **state)
{
    (void)state;
    char text[REPORT_WORDS_SIZE];
    assert_string_equal(report_expectation_words("attempts_per_call", text), "attempts per call");
    assert_string_equal(report_expectation_words("", text), "");
}

static void how_a_client_ended_is_told_in_full_and_short(void **state)
{
    (void)state;
    const struct {
        struct client_run run;
        const char *full;
        const char *brief;
    } rows[] = {
        {{.exit_code = 0}, "exit code 0", "exit 0"},
        {{.exit_code = 255}, "exit code 255", "exit 255"},
        {{.exit_code = -1, .signal = 11}, "killed by signal 11 (SIGSEGV)", "SIGSEGV"},
        {{.exit_code = -1, .signal = 63}, "killed by signal 63", "signal 63"},
        {{.exit_code = -1, .signal = 9, .timed_out = true, .ended_ns = 60 * NS_PER_S},
         "timed out after 1m0s",
         "timed out"},
        {{.exit_code = -1, .signal = 9, .output_exceeded = true, .output_bytes = 9000000},
         "wrote too much (9000000 bytes) and was stopped",
         "wrote too much"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[REPORT_WORDS_SIZE];
        assert_string_equal(report_client_end(&rows[i].run, text), rows[i].full);
        assert_string_equal(report_client_end_short(&rows[i].run, text), rows[i].brief);
    }
}

static void usage_is_told_with_what_was_refused(void **state)
{
    (void)state;
    char text[REPORT_WORDS_SIZE];
    struct usage usage = {.limit = 60, .peak = 45};
    assert_string_equal(report_usage_words(&usage, text), "45 of 60 used (75 %)");
    usage = (struct usage){.limit = 60, .peak = 60, .throttled = 4};
    assert_string_equal(report_usage_words(&usage, text),
                        "60 of 60 used (100 %), 4 refused: ask for an increase in time");
    usage = (struct usage){.limit = 0};
    assert_int_equal(report_usage_percent(&usage), 100);
    usage = (struct usage){.limit = 1, .peak = 1000000};
    assert_int_equal(report_usage_percent(&usage), 999);
    usage = (struct usage){.limit = 3, .peak = 2};
    assert_int_equal(report_usage_percent(&usage), 66);
}

static void the_last_run_and_the_first_start_count(void **state)
{
    (void)state;
    struct result result = sample_result("n", "s.json");
    assert_null(report_last_run(&result));
    assert_int_equal(report_origin_ns(&result), 0);
    sample_run(&result, 0, 5, 6, "", "");
    sample_run(&result, 1, 7, 8, "", "");
    assert_int_equal(report_last_run(&result)->exit_code, 1);
    assert_int_equal(report_origin_ns(&result), 5 * NS_PER_MS);
    char *name = report_full_name(&result);
    assert_string_equal(name, "n");
    free(name);
    result.repetition = 3;
    result.seed = UINT64_MAX;
    name = report_full_name(&result);
    assert_string_equal(name, "n (repetition 3, seed 18446744073709551615)");
    free(name);
    result_free(&result);
}

static void assert_statuses(size_t count, const int statuses[], size_t size, const char *expected)
{
    struct attempt attempts[20] = {{0}};
    for (size_t i = 0; i < count; i++)
        attempts[i].status = statuses[i];
    struct call call = {.attempts = attempts, .attempt_count = count};
    char text[200];
    memset(text, 'x', sizeof text);
    assert_string_equal(report_statuses(&call, 0, count, text, size), expected);
    assert_int_equal(text[size], 'x'); /* nothing beyond */
}

static void equal_statuses_in_a_row_are_counted(void **state)
{
    (void)state;
    assert_statuses(0, NULL, 40, "");
    assert_statuses(1, (const int[]){200}, 40, "200");
    assert_statuses(3, (const int[]){429, 429, 200}, 40, "429 429 200");
    assert_statuses(4, (const int[]){429, 429, 429, 200}, 40, "429 x3 200");
    assert_statuses(3, (const int[]){0, 503, 0}, 40, "none 503 none");
}

static void what_does_not_fit_ends_in_dots(void **state)
{
    (void)state;
    static const int statuses[] = {429, 500, 429, 500, 429, 500, 429, 500, 200};
    assert_statuses(9, statuses, 36, "429 500 429 500 429 500 429 500 200");
    assert_statuses(9, statuses, 35, "429 500 429 500 429 500 429 ...");
    assert_statuses(9, statuses, 20, "429 500 429 500 ...");
    assert_statuses(9, statuses, 6, "...");
    for (size_t size = 4; size < 60; size++) {
        struct attempt attempts[9] = {{0}};
        for (size_t i = 0; i < 9; i++)
            attempts[i].status = statuses[i];
        struct call call = {.attempts = attempts, .attempt_count = 9};
        char text[60];
        report_statuses(&call, 0, 9, text, size);
        assert_true(strlen(text) < size);
    }
}

static void a_short_duration_has_few_digits(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {4 * NS_PER_MS, "4ms"},
        {10 * NS_PER_MS, "0.01s"},
        {480 * NS_PER_MS, "0.48s"},
        {999 * NS_PER_MS, "1.00s"},
        {NS_PER_S, "1.0s"},
        {9940 * NS_PER_MS, "9.9s"},
        {9996 * NS_PER_MS, "10s"},
        {99 * NS_PER_S, "99s"},
        {100 * NS_PER_S, "2m"},
        {NS_PER_HOUR, "60m"},
        {2 * NS_PER_HOUR, "2h"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[REPORT_WORDS_SIZE];
        assert_string_equal(report_short_duration(rows[i].ns, text), rows[i].text);
    }
}

static void the_tail_of_a_text_begins_at_a_line(void **state)
{
    (void)state;
    size_t skipped = 99;
    assert_int_equal(report_tail("", 0, 3, &skipped), 0);
    assert_int_equal(skipped, 0);
    static const char text[] = "one\ntwo\nthree\nfour\r\n\n";
    assert_int_equal(report_tail(text, strlen(text), 10, &skipped), 0);
    assert_int_equal(skipped, 0);
    assert_int_equal(report_tail(text, strlen(text), 2, &skipped), 8);
    assert_int_equal(skipped, 2);
    assert_int_equal(report_tail(text, strlen(text), 1, &skipped), 14);
    assert_int_equal(skipped, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_state_hides_an_earlier_one),
        cmocka_unit_test(a_check_ends_well_when_all_passed_or_are_known_to_fail),
        cmocka_unit_test(names_of_expectations_become_words),
        cmocka_unit_test(how_a_client_ended_is_told_in_full_and_short),
        cmocka_unit_test(usage_is_told_with_what_was_refused),
        cmocka_unit_test(the_last_run_and_the_first_start_count),
        cmocka_unit_test(equal_statuses_in_a_row_are_counted),
        cmocka_unit_test(what_does_not_fit_ends_in_dots),
        cmocka_unit_test(a_short_duration_has_few_digits),
        cmocka_unit_test(the_tail_of_a_text_begins_at_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
