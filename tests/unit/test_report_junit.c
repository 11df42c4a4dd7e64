#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

#include <unistr.h>

static const struct report_style style = {.width = 80};

static void a_passing_scenario_is_a_testcase_with_its_time_line(void **state)
{
    (void)state;
    char *text = sample_report(report_junit, sample_recovers(), style);
    static const char begin[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"toomany\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" "
        "time=\"3.474\">\n"
        "  <testsuite name=\"toomany\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" "
        "time=\"3.474\">\n"
        "    <testcase classname=\"toomany.r3-fixed-recovers\" name=\"recovers when the third "
        "attempt is served\" file=\"scenarios/r3-fixed-recovers.json\" time=\"3.474\">\n"
        "      <system-out>○──";
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_non_null(strstr(text, "client: python3 examples/python/fixed.py: exit code 0\n"
                                 "</system-out>\n    </testcase>\n  </testsuite>\n"
                                 "</testsuites>\n"));
    free(text);
}

static void a_failure_carries_the_evidence(void **state)
{
    (void)state;
    char *text = sample_report(report_junit, sample_fails(), style);
    assert_non_null(strstr(text, "<failure message=\"attempts_per_call: expected 3, seen 4 (and 1 "
                                 "more)\" type=\"expectation\">attempts_per_call\n"
                                 "  expected  3\n  seen      4\n  hint      The client tries"));
    assert_non_null(strstr(text, "usually `&lt;=` for `&lt;`"));
    assert_non_null(strstr(text, "<system-err>Traceback"));
    free(text);
}

static void every_state_has_its_element(void **state)
{
    (void)state;
    struct result items[] = {sample_could_not_run(), sample_fails(), sample_recovers(),
                             sample_fails()};
    items[1].known_failing = LISTED_AND_FAILED;
    items[2].known_failing = LISTED_BUT_PASSED;
    items[3].interrupted = true;
    struct results results = sample_list(4, items);
    char *text = sample_written(report_junit, &results, &style);
    assert_non_null(strstr(text, "tests=\"4\" failures=\"1\" errors=\"2\" skipped=\"1\""));
    assert_non_null(strstr(text, "<error message=\"scenarios/none.json: /client/command: "
                                 "&quot;no-such-program&quot; was not found in PATH\""));
    assert_non_null(strstr(text, "<skipped message=\"known failing\"/>"));
    assert_non_null(strstr(text, "type=\"known-failing\"/>"));
    assert_non_null(strstr(text, "type=\"stopped\">"));
    free(text);
    sample_free(&results);
}

static void hostile_text_cannot_break_the_document(void **state)
{
    (void)state;
    char *text = sample_report(report_junit, sample_hostile(), style);
    assert_null(u8_check((const uint8_t *)text, strlen(text)));
    assert_null(strstr(text, "]]>"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<b>"));
    for (const char *character = text; *character != '\0'; character++)
        assert_true((unsigned char)*character >= 0x20 || *character == '\n');
    assert_non_null(strstr(text, "&#10;::warning::x\"")); /* CR LF in an attribute */
    assert_non_null(strstr(text, "a\xe2\x90\x80"
                                 "b \xe2\x90\x9b[2J")); /* pictures of NUL, ESC */
    free(text);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    assert_true(sample_fails_when_full(report_junit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passing_scenario_is_a_testcase_with_its_time_line),
        cmocka_unit_test(a_failure_carries_the_evidence),
        cmocka_unit_test(every_state_has_its_element),
        cmocka_unit_test(hostile_text_cannot_break_the_document),
        cmocka_unit_test(a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
