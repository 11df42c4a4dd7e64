#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/toomany-report-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) == NULL;
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path_of("report"));
    unlink(path_of("link"));
    return rmdir(folder); /* fails when something was left behind */
}

static char *content_of(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);
    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static bool broken(const struct results *results, const struct report_style *style, FILE *stream)
{
    (void)results;
    (void)style;
    fputs("half a rep", stream);
    return false;
}

static void every_kind_is_found_by_its_name(void **state)
{
    (void)state;
    char names[100];
    snprintf(names, sizeof names, "%s", report_kind_names());
    char *rest = names;
    for (char *name = strtok_r(names, ", ", &rest); name != NULL;
         name = strtok_r(NULL, ", ", &rest))
        assert_string_equal(report_find(name)->name, name);
    assert_null(report_find("xml"));
    assert_null(report_find(""));
    assert_null(report_find("Text"));
}

static void a_report_replaces_the_one_before(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    struct results results = sample_list(1, &result);
    struct error error = {0};
    assert_true(report_to_path(report_find("tap"), &results, path_of("report"), &error));
    chmod(path_of("report"), 0640);
    assert_true(report_to_path(report_find("json"), &results, path_of("report"), &error));
    char *text = content_of(path_of("report"));
    assert_int_equal(text[0], '{');
    free(text);
    struct stat status;
    assert_int_equal(stat(path_of("report"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640); /* as it was */
    sample_free(&results);
}

static void a_report_that_fails_leaves_the_old_one(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    struct results results = sample_list(1, &result);
    struct error error = {0};
    const struct report_kind bad = {"broken", broken};
    assert_true(report_to_path(report_find("tap"), &results, path_of("report"), &error));
    assert_false(report_to_path(&bad, &results, path_of("report"), &error));
    assert_true(error.could_not_run);
    assert_string_equal(error.place, path_of("report"));
    char *text = content_of(path_of("report"));
    assert_int_equal(strncmp(text, "TAP ", 4), 0);
    free(text);
    sample_free(&results);
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    struct results results = sample_list(1, &result);
    struct error error = {0};
    char target[256];
    snprintf(target, sizeof target, "%s", path_of("report"));
    FILE *file = fopen(target, "w");
    fclose(file);
    assert_int_equal(symlink(target, path_of("link")), 0);
    assert_true(report_to_path(report_find("tap"), &results, path_of("link"), &error));
    struct stat status;
    assert_int_equal(lstat(path_of("link"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    char *text = content_of(target);
    assert_int_equal(strncmp(text, "TAP ", 4), 0);
    free(text);
    sample_free(&results);
}

static void where_it_cannot_be_written_is_told(void **state)
{
    (void)state;
    struct result result = sample_recovers();
    struct results results = sample_list(1, &result);
    static const struct {
        const char *path;
        const char *message;
    } rows[] = {
        {"/tmp", "the report could not be written: Is a directory"},
        {"/dev/full", "the report could not be written: No space left on device"},
        {"/tmp/toomany-no-such-folder/report",
         "the report could not be written: No such file or directory; make its folder first"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {0};
        assert_false(report_to_path(report_find("text"), &results, rows[i].path, &error));
        assert_string_equal(error.message, rows[i].message);
        assert_true(error.could_not_run);
    }
    struct error error = {0};
    assert_true(report_to_path(report_find("text"), &results, "/dev/null", &error));
    sample_free(&results);
}

static void the_style_suits_where_it_goes(void **state)
{
    (void)state;
    FILE *file = fopen("/dev/null", "w");
    unsetenv("COLUMNS");
    struct report_style style = report_style_for(file);
    assert_false(style.colour); /* no terminal */
    assert_int_equal(style.width, 80);
    assert_false(style.verbose);
    static const struct {
        const char *columns;
        int width;
    } rows[] = {{"100", 100}, {"5", 60},  {"100000", 200}, {"", 80},
                {"x", 80},    {"-3", 80}, {"0", 80}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        setenv("COLUMNS", rows[i].columns, 1);
        assert_int_equal(report_style_for(file).width, rows[i].width);
    }
    unsetenv("COLUMNS");
    setlocale(LC_ALL, "C");
    assert_false(report_style_for(file).unicode);
    if (setlocale(LC_ALL, "C.UTF-8") != NULL)
        assert_true(report_style_for(file).unicode);
    setlocale(LC_ALL, "C");
    fclose(file);
}

/* A pseudo-terminal, so that what is asked of terminals can be seen. */
static void colours_are_for_terminals_that_want_them(void **state)
{
    (void)state;
    int controller = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(controller >= 0);
    assert_int_equal(grantpt(controller), 0);
    assert_int_equal(unlockpt(controller), 0);
    FILE *terminal = fopen(ptsname(controller), "w");
    assert_non_null(terminal);
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    assert_true(report_style_for(terminal).colour);
    setenv("NO_COLOR", "", 1);
    assert_true(report_style_for(terminal).colour); /* no-color.org: not empty */
    setenv("NO_COLOR", "1", 1);
    assert_false(report_style_for(terminal).colour);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    assert_false(report_style_for(terminal).colour);
    fclose(terminal);
    close(controller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_found_by_its_name),
        cmocka_unit_test_setup_teardown(a_report_replaces_the_one_before, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_report_that_fails_leaves_the_old_one, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_link_stays_a_link, make_folder, remove_folder),
        cmocka_unit_test(where_it_cannot_be_written_is_told),
        cmocka_unit_test(the_style_suits_where_it_goes),
        cmocka_unit_test(colours_are_for_terminals_that_want_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
