#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

#include <unistr.h>

static const struct report_style style = {.width = 80};

static void one_page_with_nothing_to_load(void **state)
{
    (void)state;
    struct result items[] = {sample_recovers(), sample_fails(), sample_could_not_run()};
    struct results results = sample_list(3, items);
    char *text = sample_written(report_html, &results, &style);
    assert_memory_equal(text, "<!doctype html>\n<html lang=\"en\">", 31);
    assert_null(strstr(text, "http://"));
    assert_null(strstr(text, "https://"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, " src="));
    assert_non_null(strstr(text, "<h1>2 of 3 scenarios did not pass</h1>"));
    assert_non_null(strstr(text, "1 passed, 1 failed, 1 could not run"));
    assert_non_null(strstr(text, "<details class=\"card is-good\"><summary>"));
    assert_non_null(strstr(text, "<details class=\"card is-bad\" open><summary>"));
    free(text);
    sample_free(&results);
}

static void marks_and_lines_have_tooltips(void **state)
{
    (void)state;
    char *text = sample_report(report_html, sample_recovers(), style);
    assert_non_null(strstr(text, "<title>the client waits 1.003s</title>"));
    assert_non_null(
        strstr(text, "<title>attempt 1: 429 (throttled) at 1ms, 1ms under way</title>"));
    assert_non_null(strstr(text, "aria-label=\"call 1: 3 attempts: 429 429 200\""));
    free(text);
}

static void usage_and_notes_are_shown(void **state)
{
    (void)state;
    char *text = sample_report(report_html, sample_concurrent(), style);
    assert_non_null(strstr(text, "style=\"width:20%\""));
    assert_non_null(strstr(text, "2 of 2 used (100 %), 6 refused: ask for an increase in time"));
    assert_non_null(strstr(text, "<li>6 calls with equal bodies ran at the same time"));
    free(text);
}

static void hostile_text_is_only_text(void **state)
{
    (void)state;
    char *text = sample_report(report_html, sample_hostile(), style);
    assert_null(u8_check((const uint8_t *)text, strlen(text)));
    assert_null(strchr(text, '\033'));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<b>"));
    assert_null(strstr(text, "<i>"));
    assert_null(strstr(text, "<x>"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; ]]&gt;"));
    free(text);
}

static void a_hot_loop_does_not_make_a_huge_page(void **state)
{
    (void)state;
    struct result hot = sample_result("hot loop", "hot.json");
    struct call *call = sample_call(&hot);
    for (int i = 0; i < 100000; i++)
        sample_attempt(&hot, call, 429, i, i + 0.5);
    char *text = sample_report(report_html, hot, style);
    assert_true(strlen(text) < 4 * 1024 * 1024);
    assert_non_null(strstr(text, "and 99700 more; the JSON report has all"));
    free(text);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    assert_true(sample_fails_when_full(report_html));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_page_with_nothing_to_load),
        cmocka_unit_test(marks_and_lines_have_tooltips),
        cmocka_unit_test(usage_and_notes_are_shown),
        cmocka_unit_test(hostile_text_is_only_text),
        cmocka_unit_test(a_hot_loop_does_not_make_a_huge_page),
        cmocka_unit_test(a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
