#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text_line.h"
#include "lab/report_words.h"
#include "tests/unit/sample_sweep.h"

static char *table_of(const struct sample *sample, int width, bool unicode, bool colour)
{
    const struct report_style style = {.width = width, .unicode = unicode, .colour = colour};
    struct error error = {0};
    char *text = sample_write(lab_report_table, &sample->report, &style, &error);
    assert_non_null(text);
    return text;
}

static void assert_has(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL)
        fail_msg("no \"%s\" in\n%s", wanted, text);
}

static void no_line_is_wider_than_asked_and_none_ends_in_blanks(void **state)
{
    (void)state;
    static const int widths[] = {60, 80, 120, 200};
    struct sample *sample = sample_new();
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        char *text = table_of(sample, widths[i], true, false);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            assert_true(text_columns(line) <= widths[i]);
            assert_int_not_equal(line[strlen(line) - 1], ' ');
        }
        free(text);
    }
    free(sample);
}

static void a_row_says_goodput_with_its_interval_and_the_share_of_the_quota(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char *text = table_of(sample, 80, true, false);
    assert_has(
        text, "\n*         4    9.600 ±0.050       96.0      33.3   0.0    1.00    2.50    0.50\n");
    assert_has(text, "Simulated, 3 repetitions of 10m0s, seed 7\n");
    assert_has(text, "at most 10.00 requests/s, by its requests per minute.\n");
    assert_null(strstr(text, "wasted"));
    free(text);
    text = table_of(sample, 120, true, false);
    assert_has(text, "wasted");
    assert_has(text, "herd");
    free(text);
    free(sample);
}

static void the_best_comes_first_in_the_summary(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char *text = table_of(sample, 80, true, false);
    char *summary = strstr(text, "The best load of each");
    assert_non_null(summary);
    char *modest = strstr(summary, "\n* modest ");
    char *greedy = strstr(summary, "\n  greedy");
    assert_non_null(modest);
    assert_non_null(greedy);
    assert_true(modest < greedy);
    free(text);
    free(sample);
}

static void where_tokens_bind_goodput_is_in_tokens(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->sweep.bound.limit = QUOTA_TOKENS_PER_MINUTE;
    char *text = table_of(sample, 80, true, false);
    assert_has(text, "at most 1000 tokens/s, by its tokens per minute.");
    assert_has(text, "4    960.0 ±5.0");
    assert_int_equal(lab_goodput_measure(&sample->sweep), MEASURE_GOODPUT_TOKENS);
    free(text);
    free(sample);
}

static void nothing_of_a_label_reaches_the_terminal(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char *text = table_of(sample, 80, false, false);
    assert_null(strchr(text, '\x1b'));
    for (const char *at = text; *at != '\0'; at++)
        assert_true((unsigned char)*at < 0x7F);
    assert_has(text, "+-0.050");
    free(text);
    text = table_of(sample, 80, true, true);
    assert_has(text, "\033[32m");
    assert_null(strstr(text, "`date`\033[31m"));
    free(text);
    free(sample);
}

static void what_was_not_run_says_so(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->sweep.is_complete = false;
    sample_cell(sample, 0, 2)->repetitions = 0;
    sample_cell(sample, 0, 2)->is_complete = false;
    sample_cell(sample, 0, 1)->measures[MEASURE_COMPLETION_P99].mean = NAN;
    char *text = table_of(sample, 80, true, false);
    assert_has(text, "; stopped before the end");
    assert_has(text, "          4  not run\n");
    assert_has(text, "0.60       -    0.10\n");
    free(text);
    free(sample);
}

static void what_was_cut_short_says_so(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    char *text = table_of(sample, 80, true, false);
    assert_null(strstr(text, "cut short"));
    free(text);
    sample_cell(sample, 0, 2)->is_cut_short = true;
    text = table_of(sample, 80, true, false);
    assert_has(text, "\n#         4    10.00");
    assert_has(text, "\n#  cut short: its measures are of the time that it ran");
    assert_has(text, "The best load of each");
    free(text);
    for (size_t i = 0; i < SAMPLE_CELLS; i++)
        sample->cells[i].is_cut_short = true;
    text = table_of(sample, 80, true, false);
    assert_null(strstr(text, "The best load of each"));
    assert_null(strstr(text, "\n*"));
    free(text);
    free(sample);
}

static void a_machine_that_was_too_slow_is_named(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    struct cell_result *cell = sample_cell(sample, 0, 2);
    cell->measures[MEASURE_LATE].mean = 0.01 * cell->measures[MEASURE_COMPLETION_P50].mean;
    char *text = table_of(sample, 80, true, false);
    assert_null(strstr(text, "too slow"));
    free(text);
    cell->measures[MEASURE_LATE].mean = 0.75;
    text = table_of(sample, 80, true, false);
    assert_has(text, "\n !        4    10.00");
    assert_has(text, "\n!  this machine was too slow: what was due came late, by up to 0.75 s");
    free(text);
    free(sample);
}

static void advice_closes_the_table(void **state)
{
    (void)state;
    struct sample *sample = sample_new();
    sample->report.advice = "Do this.";
    char *text = table_of(sample, 80, true, false);
    assert_string_equal(text + strlen(text) - strlen("\n\nDo this.\n"), "\n\nDo this.\n");
    free(text);
    free(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_line_is_wider_than_asked_and_none_ends_in_blanks),
        cmocka_unit_test(a_row_says_goodput_with_its_interval_and_the_share_of_the_quota),
        cmocka_unit_test(the_best_comes_first_in_the_summary),
        cmocka_unit_test(where_tokens_bind_goodput_is_in_tokens),
        cmocka_unit_test(nothing_of_a_label_reaches_the_terminal),
        cmocka_unit_test(what_was_not_run_says_so),
        cmocka_unit_test(what_was_cut_short_says_so),
        cmocka_unit_test(a_machine_that_was_too_slow_is_named),
        cmocka_unit_test(advice_closes_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
