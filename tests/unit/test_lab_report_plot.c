#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Plots and page, drawn by gnuplot where there is one. */
#include "lab/gnuplot.h"
#include "lab/report_plot.h"
#include "tests/unit/sample_sweep.h"

#include <unistd.h>

static const struct report_style plain = {.width = 80};

static bool is_left_out(void)
{
    struct error error = {0};
    if (gnuplot_is_there(&error))
        return false;
    print_message("skipped: gnuplot is not installed (Debian: gnuplot-nox)\n");
    return true;
}

static char *written(lab_report_writer *write, const struct sample *sample)
{
    struct error error = {0};
    char *text = sample_write(write, &sample->report, &plain, &error);
    if (text == NULL)
        fail_msg("%s: %s", error.place, error.message);
    return text;
}

static int count_of(const char *text, const char *what)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

static void svg_shows_all_panels_and_strategies(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct sample *sample = sample_new();
    strcpy(sample->name, "gpt-4o: 2,000 \"a\" `2 & more");
    char *svg = written(lab_report_svg, sample);
    assert_non_null(strstr(svg, "<svg"));
    assert_string_equal(svg + strlen(svg) - strlen("</svg>\n\n"), "</svg>\n\n");
    assert_non_null(strstr(svg, "goodput, requests per second"));
    assert_non_null(strstr(svg, "time to completion"));
    assert_non_null(strstr(svg, "throttled, % of the requests"));
    assert_non_null(strstr(svg, "4 workers, each row to its own peak"));
    assert_non_null(strstr(svg, "modest (best)"));
    assert_non_null(strstr(svg, ">gpt-4o: 2,000 \"a\" `2 &amp; more<"));
    assert_non_null(strstr(svg, "most that the quota allows"));
    free(svg);
    free(sample);
}

/* A label is text, whatever it looks like: no command is run, no markup comes out of it. */
static void labels_do_nothing(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct sample *sample = sample_new();
    char path[] = "/tmp/toomany-gnuplot-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(sample->strategies[0].label, STRATEGY_NAME_SIZE, "'%%d`rm %s`'", path);
    snprintf(sample->name, sizeof sample->name, "<i>\n`rm %.40s`", path);
    char *svg = written(lab_report_svg, sample);
    assert_int_equal(access(path, F_OK), 0);
    assert_null(strstr(svg, "<i>"));
    assert_int_equal(count_of(svg, ">'%d`rm /tmp"), 3); /* twice in the legend, and at its row */
    unlink(path);
    free(svg);
    free(sample);
}

static void png_is_a_picture(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct sample *sample = sample_new();
    char *png = written(lab_report_png, sample);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
    free(png);
    free(sample);
}

static void the_page_stands_for_itself(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct sample *sample = sample_new();
    sample->report.advice = "Do <this>.";
    char *page = written(lab_report_html, sample);
    assert_memory_equal(page, "<!doctype html>", 15);
    assert_int_equal(count_of(page, "<svg"), PLOT_PANEL_COUNT);
    assert_int_equal(count_of(page, "<?xml"), 0);
    assert_int_equal(count_of(page, "<script"), 0);
    assert_int_equal(count_of(page, "src="), 0);
    assert_int_equal(count_of(page, "<link"), 0);
    assert_int_equal(count_of(page, "url(http"), 0);
    /* Addresses are names of XML's vocabularies only. */
    assert_int_equal(count_of(page, "http"), count_of(page, "=\"http://www.w3.org/"));
    assert_non_null(strstr(page, "Do &lt;this&gt;."));
    assert_null(strstr(page, "<b>"));
    assert_null(strchr(page, '\x1b'));
    assert_int_equal(count_of(page, "is-best\""), 1);
    free(page);
    free(sample);
}

/* References within a drawing must not reach into another one. */
static void names_in_a_page_are_not_given_twice(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct sample *sample = sample_new();
    char *page = written(lab_report_html, sample);
    for (const char *at = page; (at = strstr(at, " id=\"")) != NULL; at++) {
        char id[80];
        const char *end = strchr(at + 5, '"');
        assert_non_null(end);
        snprintf(id, sizeof id, "%.*s", (int)(end + 1 - at), at);
        assert_int_equal(count_of(page, id), 1);
    }
    free(page);
    free(sample);
}

static void a_sweep_of_which_nothing_was_run_is_drawn_too(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct sample *sample = sample_new();
    for (size_t i = 0; i < SAMPLE_CELLS; i++) {
        sample->cells[i].repetitions = 0;
        sample->runs[i].is_done = false;
        for (int measure = 0; measure < MEASURE_COUNT; measure++)
            sample->cells[i].measures[measure] = (struct estimate){NAN, NAN, NAN, false};
    }
    sample->sweep.bound = (struct experiment_bound){INFINITY, INFINITY, QUOTA_DIMENSION_COUNT};
    char *page = written(lab_report_html, sample);
    assert_non_null(strstr(page, "not run"));
    free(page);
    sample->experiment.load_count = 1;
    sample->sweep.cell_count = 0;
    free(sample);
}

static void gnuplot_complains_in_the_error(void **state)
{
    (void)state;
    if (is_left_out())
        skip();
    struct error error = {0};
    static const char script[] = "plot nonsense(\n";
    FILE *stream = tmpfile();
    assert_false(gnuplot_run(script, sizeof script - 1, stream, &error));
    assert_string_equal(error.place, "gnuplot");
    assert_non_null(strstr(error.message, "it ended with status 1"));
    assert_true(error.could_not_run);
    fclose(stream);
}

static void where_gnuplot_is_missing_the_error_says_what_to_install(void **state)
{
    (void)state;
    struct error error = {0};
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    assert_false(gnuplot_is_there(&error));
    setenv("PATH", path, 1);
    free(path);
    assert_non_null(strstr(error.message, "gnuplot-nox"));
    assert_true(error.could_not_run);
}

static void text_is_quoted_as_gnuplot_reads_it(void **state)
{
    (void)state;
    char text[64] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    gnuplot_put_text(stream, "it's 5%", true);
    gnuplot_put_text(stream, "\n`x`2", false);
    fclose(stream);
    assert_string_equal(text, "\"it's 5%%\"\"\\134n\\140x\\140\\062\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(svg_shows_all_panels_and_strategies),
        cmocka_unit_test(labels_do_nothing),
        cmocka_unit_test(png_is_a_picture),
        cmocka_unit_test(the_page_stands_for_itself),
        cmocka_unit_test(names_in_a_page_are_not_given_twice),
        cmocka_unit_test(a_sweep_of_which_nothing_was_run_is_drawn_too),
        cmocka_unit_test(gnuplot_complains_in_the_error),
        cmocka_unit_test(where_gnuplot_is_missing_the_error_says_what_to_install),
        cmocka_unit_test(text_is_quoted_as_gnuplot_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
