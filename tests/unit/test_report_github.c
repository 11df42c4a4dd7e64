#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

static const struct report_style style = {.width = 80};

static void a_passing_scenario_says_nothing(void **state)
{
    (void)state;
    char *text = sample_report(report_github, sample_recovers(), style);
    assert_string_equal(text, "");
    free(text);
}

static void each_verdict_that_failed_is_an_error(void **state)
{
    (void)state;
    char *text = sample_report(report_github, sample_fails(), style);
    assert_non_null(strstr(text, "::error file=scenarios/r4-fixed-gives-up.json,title=gives up "
                                 "after three attempts and re-raises::attempts_per_call: expected "
                                 "3, seen 4%0AThe client tries too often"));
    assert_non_null(strstr(text, "\n::error file=scenarios/r4-fixed-gives-up.json,title=gives up "
                                 "after three attempts and re-raises::exit_code: expected 1"));
    free(text);
}

static void known_failing_warns_and_passing_though_listed_is_an_error(void **state)
{
    (void)state;
    struct result known = sample_fails();
    known.known_failing = LISTED_AND_FAILED;
    char *text = sample_report(report_github, known, style);
    assert_memory_equal(text, "::warning file=", 15);
    free(text);
    struct result due = sample_recovers();
    due.known_failing = LISTED_BUT_PASSED;
    text = sample_report(report_github, due, style);
    assert_memory_equal(text, "::error file=", 13);
    free(text);
}

static void ambiguity_is_a_notice_and_stops_are_errors(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    result.calls[0].grouping = GROUPED_AMBIGUOUS;
    char *text = sample_report(report_github, result, style);
    assert_memory_equal(text, "::notice file=", 14);
    free(text);
    result = sample_recovers();
    result.interrupted = true;
    text = sample_report(report_github, result, style);
    assert_non_null(strstr(text, "::stopped by a signal before its end\n"));
    free(text);
    text = sample_report(report_github, sample_could_not_run(), style);
    assert_non_null(strstr(text, "was not found in PATH\n"));
    free(text);
}

/* A client's output that could begin a line could begin a command. */
static void hostile_text_begins_no_command(void **state)
{
    (void)state;
    char *text = sample_report(report_github, sample_hostile(), style);
    size_t lines = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1, lines++)
        assert_memory_equal(line, "::error file=scenarios/a%2Cb%3Ac%25%0A.json,title=", 50);
    assert_int_equal(lines, 2);
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "# %250A%3A%3Aerror%0D%0A%3A%3Awarning%3A%3Ax::stderr_contains"));
    free(text);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    assert_true(sample_fails_when_full(report_github));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passing_scenario_says_nothing),
        cmocka_unit_test(each_verdict_that_failed_is_an_error),
        cmocka_unit_test(known_failing_warns_and_passing_though_listed_is_an_error),
        cmocka_unit_test(ambiguity_is_a_notice_and_stops_are_errors),
        cmocka_unit_test(hostile_text_begins_no_command),
        cmocka_unit_test(a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
