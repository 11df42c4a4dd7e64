#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

#include <unistr.h>

static const struct report_style style = {.width = 80};

static void points_todos_and_diagnostics_read_as_tap_14(void **state)
{
    (void)state;
    struct result items[] = {sample_recovers(), sample_could_not_run(), sample_could_not_run()};
    items[2].could_not_run = false;
    items[2].known_failing = LISTED_AND_FAILED;
    struct results results = sample_list(3, items);
    char *text = sample_written(report_tap, &results, &style);
    assert_string_equal(
        text, "TAP version 13\n"
              "1..3\n"
              "ok 1 - recovers when the third attempt is served\n"
              "not ok 2 - cannot be run\n"
              "  ---\n"
              "  state: \"could not run\"\n"
              "  file: \"scenarios/none.json\"\n"
              "  command: \"no-such-program --fast\"\n"
              "  seed: 1\n"
              "  time: real\n"
              "  duration_ms: 0.000\n"
              "  error: \"scenarios/none.json: /client/command: \\\"no-such-program\\\" was "
              "not found in PATH\"\n"
              "  ...\n"
              "not ok 3 - cannot be run # TODO known failing\n"
              "  ---\n"
              "  state: \"known failing\"\n"
              "  file: \"scenarios/none.json\"\n"
              "  command: \"no-such-program --fast\"\n"
              "  seed: 1\n"
              "  time: real\n"
              "  duration_ms: 0.000\n"
              "  ...\n");
    free(text);
    sample_free(&results);
}

static void a_failure_has_verdicts_and_calls(void **state)
{
    (void)state;
    char *text = sample_report(report_tap, sample_fails(), style);
    assert_non_null(strstr(text, "    - expectation: \"attempts_per_call\"\n"
                                 "      undetermined: false\n"
                                 "      expected: \"3\"\n"
                                 "      seen: \"4\"\n"));
    assert_non_null(strstr(text, "    - \"429 x4; delays 1.003s, 2.004s, 4.003s\"\n"));
    free(text);
}

static void a_listed_scenario_that_passes_is_not_ok(void **state)
{
    (void)state;
    struct result due = sample_recovers();
    due.known_failing = LISTED_BUT_PASSED;
    char *text = sample_report(report_tap, due, style);
    assert_non_null(strstr(text, "\nnot ok 1 - recovers when the third attempt is served\n"));
    free(text);
}

static void a_stopped_check_bails_out(void **state)
{
    (void)state;
    struct results results = {.interrupted = true};
    char *text = sample_written(report_tap, &results, &style);
    assert_string_equal(text, "TAP version 13\n1..0\nBail out! stopped by a signal\n");
    free(text);
}

static void hostile_text_stays_in_its_line(void **state)
{
    (void)state;
    char *text = sample_report(report_tap, sample_hostile(), style);
    assert_null(u8_check((const uint8_t *)text, strlen(text)));
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, " \\# %0A::error\\\\r\\\\n::warning::x\n  ---\n"));
    assert_non_null(strstr(text, "      expected: \"\\\"a\\\\b\\\"\\n<x>]]>\"\n"));
    assert_non_null(strstr(text, "  stderr: \"a\\u0000b \\u001b[2J "));
    free(text);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    assert_true(sample_fails_when_full(report_tap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_todos_and_diagnostics_read_as_tap_14),
        cmocka_unit_test(a_failure_has_verdicts_and_calls),
        cmocka_unit_test(a_listed_scenario_that_passes_is_not_ok),
        cmocka_unit_test(a_stopped_check_bails_out),
        cmocka_unit_test(hostile_text_stays_in_its_line),
        cmocka_unit_test(a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
