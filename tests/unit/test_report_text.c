#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

#include <unistd.h>

static const struct report_style plain = {.unicode = true, .width = 80};
static const struct report_style ascii = {.width = 80};

static void a_passing_scenario_takes_four_lines(void **state)
{
    (void)state;
    char *text = sample_report(report_text, sample_recovers(), plain);
    assert_string_equal(
        text, "pass  recovers when the third attempt is served                3.474s  real time\n"
              "      ○─────── 1.003s ────────○──────────────────── 2.004s ────────────────────●\n"
              "      429                    429                                             200\n"
              "      ok        4 expectations held\n"
              "\n"
              "1 passed, 0 failed\n");
    free(text);
}

static void without_unicode_it_is_drawn_in_ascii(void **state)
{
    (void)state;
    char *text = sample_report(report_text, sample_recovers(), ascii);
    assert_non_null(strstr(text, "      x------- 1.003s --------x-------------------- 2.004s "
                                 "--------------------o\n"));
    free(text);
    text = sample_report(report_text, sample_hostile(), ascii);
    for (const char *character = text; *character != '\0'; character++)
        assert_true(*character == '\n' || (*character >= ' ' && *character <= '~'));
    free(text);
}

static void a_failure_says_what_was_expected_seen_and_how_the_client_ended(void **state)
{
    (void)state;
    char *text = sample_report(report_text, sample_fails(), plain);
    assert_non_null(strstr(text, "FAIL  gives up after three attempts and re-raises"));
    assert_non_null(strstr(text, "A client that swallows the last error hides an outage.\n"));
    assert_non_null(strstr(text, "      failed    attempts per call\n"
                                 "                expected  3\n"
                                 "                seen      4\n"
                                 "                hint      The client tries too often:"));
    assert_non_null(strstr(text, "      ok        stderr matches  a match\n"));
    assert_non_null(strstr(text, "      client    exit code 0\n"));
    assert_non_null(strstr(text, "      stderr    │ Traceback (most recent call last):\n"));
    assert_non_null(strstr(text, "╌ 8.017s ╌")); /* the wait after the last attempt */
    assert_non_null(strstr(text, "exit 0\n"));
    free(text);
}

static void verbose_shows_what_held(void **state)
{
    (void)state;
    struct report_style verbose = plain;
    verbose.verbose = true;
    char *text = sample_report(report_text, sample_recovers(), verbose);
    assert_non_null(strstr(text, "      ok        delays             1.003s, 2.004s\n"));
    free(text);
}

static void concurrent_calls_share_one_axis(void **state)
{
    (void)state;
    char *text = sample_report(report_text, sample_concurrent(), plain);
    assert_non_null(strstr(text, "      call 1  ━━━━━━━●  "));
    assert_non_null(strstr(
        text,
        "      call 6  ○─── 1.002s ───○────────── 2.004s ───────────━━━━━━━●  429 429 200\n"));
    assert_non_null(strstr(text,
                           "              ├──────────────┼─────────────┼──────────────┼────────\n"
                           "              0s             1s            2s             3s\n"));
    assert_non_null(strstr(text, "requests per minute  ██░░░░░░░░  12 of 60 used (20 %)\n"));
    assert_non_null(strstr(text, "6 refused: ask for an increase in time\n"));
    free(text);
}

static void tries_of_the_loop_are_marked_where_the_sdk_retries_too(void **state)
{
    (void)state;
    char *text = sample_report(report_text, sample_amplified(), plain);
    assert_non_null(strstr(text, "      loop 1                  loop 2                       "
                                 "      loop 3\n"));
    assert_non_null(strstr(text, "note      3 attempts in the client's loop, 9 requests"));
    free(text);
}

static void of_a_long_output_only_the_last_line_is_shown_whole(void **state)
{
    (void)state;
    struct result result = sample_fails();
    char *line = malloc(301);
    memset(line, 'e', 300);
    line[300] = '\0';
    free(result.runs[0].errors);
    assert_true(asprintf(&result.runs[0].errors,
                         "%s\n漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢"
                         "漢漢漢漢漢漢\n%s\n",
                         line, line) > 0);
    result.runs[0].errors_length = strlen(result.runs[0].errors);
    char *text = sample_report(report_text, result, plain);
    char *first = strstr(text, "      stderr    │ eee");
    assert_non_null(first);
    char *second = strchr(first, '\n') + 1;
    assert_int_equal(strncmp(second - 5, " ...\n", 5), 0);
    assert_int_equal(strncmp(second, "                │ 漢", strlen("                │ 漢")), 0);
    char *third = strchr(second, '\n') + 1;
    assert_int_equal(strncmp(third - 5, " ...\n", 5), 0);
    size_t whole = 0;
    for (const char *character = third; *character != '\0'; character++)
        whole += *character == 'e';
    assert_true(whole >= 300);
    free(text);
    free(line);
}

static void many_calls_are_cut_and_many_attempts_counted(void **state)
{
    (void)state;
    struct result many = sample_result("many", "many.json");
    for (int i = 0; i < 100; i++)
        sample_attempt(&many, sample_call(&many), i < 95 ? 200 : 429, i, i + 1);
    char *text = sample_report(report_text, many, plain);
    /* Those that were refused are all there, and the first of the others. */
    assert_non_null(strstr(text, "... and 88 more calls: 88 served, 0 not\n"));
    assert_non_null(strstr(text, "call 100 "));
    assert_non_null(strstr(text, "call 96 "));
    assert_non_null(strstr(text, "call 7 "));
    assert_null(strstr(text, "call 8 "));
    free(text);
    struct result hot = sample_result("hot loop", "hot.json");
    struct call *call = sample_call(&hot);
    for (int i = 0; i < 998; i++)
        sample_attempt(&hot, call, 429, i, i + 0.5);
    sample_attempt(&hot, call, 200, 1000, 1001);
    text = sample_report(report_text, hot, plain);
    assert_non_null(strstr(text, "      429 x998 200\n"));
    free(text);
}

static void one_attempt_needs_no_axis(void **state)
{
    (void)state;
    struct result one = sample_result("one", "one.json");
    sample_attempt(&one, sample_call(&one), 503, 0, 5);
    char *text = sample_report(report_text, one, plain);
    assert_non_null(strstr(text, "      ◆ 503 after 5ms\n"));
    free(text);
    one = sample_result("none", "none.json");
    sample_attempt(&one, sample_call(&one), 0, 0, -1);
    text = sample_report(report_text, one, plain);
    assert_non_null(strstr(text, "      × no answer\n"));
    free(text);
}

static void no_line_is_too_long_or_ends_in_a_space(void **state)
{
    (void)state;
    struct result items[] = {sample_recovers(),  sample_fails(),   sample_concurrent(),
                             sample_amplified(), sample_virtual(), sample_could_not_run(),
                             sample_hostile()};
    struct results results = sample_list(7, items);
    for (int width = 60; width <= 200; width += 7) {
        struct report_style style = {.width = width, .verbose = true};
        char *text = sample_written(report_text, &results, &style);
        for (char *line = text; *line != '\0';) {
            size_t length = strcspn(line, "\n");
            assert_true(length <= (size_t)width);
            assert_true(length == 0 || line[length - 1] != ' ');
            line += length + 1;
        }
        free(text);
    }
    sample_free(&results);
}

/* A client must not be able to talk to the terminal: no escapes beside our own colours. */
static void hostile_text_reaches_no_terminal(void **state)
{
    (void)state;
    struct report_style colourful = {.colour = true, .unicode = true, .width = 80};
    char *text = sample_report(report_text, sample_hostile(), colourful);
    for (const char *escape = text; (escape = strchr(escape, '\033')) != NULL; escape++) {
        assert_int_equal(escape[1], '[');
        assert_int_equal(escape[2 + strspn(escape + 2, "0123456789;")], 'm');
        assert_null(strstr(escape, "\033[31mred"));
    }
    assert_null(strchr(text, '\r'));
    assert_null(strstr(text, "\xff"));
    assert_non_null(strstr(text, "\\x1b[31mred\\xff"));
    assert_non_null(strstr(text, "killed by signal 11 (SIGSEGV)"));
    free(text);
    text = sample_report(report_text, sample_hostile(), plain);
    assert_null(strchr(text, '\033'));
    free(text);
}

static void wide_and_combining_characters_keep_the_alignment(void **state)
{
    (void)state;
    struct result wide = sample_result("限流 cafe\xcc\x81", "wide.json");
    wide.duration_ns = NS_PER_S;
    char *text = sample_report(report_text, wide, plain);
    assert_non_null(strstr(text,
                           "pass  限流 cafe\xcc\x81                                             "
                           "       1s  real time\n"));
    free(text);
}

static void the_summary_counts_every_state_and_names_what_did_not_pass(void **state)
{
    (void)state;
    struct result items[] = {sample_recovers(), sample_fails(),    sample_could_not_run(),
                             sample_fails(),    sample_recovers(), sample_recovers()};
    items[3].known_failing = LISTED_AND_FAILED;
    items[4].known_failing = LISTED_BUT_PASSED;
    items[5].interrupted = true;
    items[5].passed = false;
    struct results results = sample_list(6, items);
    results.interrupted = true;
    char *text = sample_written(report_text_summary, &results, &plain);
    assert_string_equal(text, "FAIL  gives up after three attempts and re-raises\n"
                              "ERROR cannot be run\n"
                              "FAIL  recovers when the third attempt is served\n"
                              "stop  recovers when the third attempt is served\n"
                              "stopped by a signal; what was not begun is not counted\n"
                              "1 passed, 1 failed, 1 known failing, 1 passed though known failing, "
                              "1 stopped,\n"
                              "1 could not run\n");
    free(text);
    text = sample_written(report_text, &results, &plain);
    assert_non_null(strstr(text, "ERROR cannot be run\n"
                                 "      error     scenarios/none.json: /client/command: "));
    assert_non_null(strstr(text, "it passes, but is listed as known failing"));
    free(text);
    sample_free(&results);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    assert_true(sample_fails_when_full(report_text));
}

static void kinds_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(report_find("text")->write, report_text);
    assert_ptr_equal(report_find("github")->write, report_github);
    assert_null(report_find("pdf"));
    assert_string_equal(report_kind_names(), "text, json, junit, tap, html, github");
}

static void a_file_has_no_colours_and_the_width_of_columns(void **state)
{
    (void)state;
    FILE *stream = tmpfile();
    setenv("COLUMNS", "120", 1);
    struct report_style style = report_style_for(stream);
    assert_false(style.colour);
    assert_int_equal(style.width, 120);
    setenv("COLUMNS", "10", 1);
    assert_int_equal(report_style_for(stream).width, 60);
    setenv("COLUMNS", "100000", 1);
    assert_int_equal(report_style_for(stream).width, 200);
    unsetenv("COLUMNS");
    assert_int_equal(report_style_for(stream).width, 80);
    fclose(stream);
}

static void a_report_replaces_a_file_whole_or_not_at_all(void **state)
{
    (void)state;
    char folder[] = "/tmp/toomany-report-XXXXXX";
    char path[64];
    char link_path[64];
    char command[160];
    struct error error;
    struct result result = sample_recovers();
    struct results results = sample_list(1, &result);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/report.txt", folder);
    snprintf(link_path, sizeof link_path, "%s/link.txt", folder);
    assert_true(report_to_path(report_find("text"), &results, path, &error));
    assert_int_equal(symlink(path, link_path), 0);
    assert_true(report_to_path(report_find("tap"), &results, link_path, &error));
    char line[64];
    FILE *stream = fopen(path, "r");
    assert_non_null(fgets(line, sizeof line, stream));
    assert_string_equal(line, "TAP version 13\n");
    fclose(stream);
    assert_false(report_to_path(report_find("text"), &results, folder, &error));
    assert_true(error.could_not_run);
    assert_false(report_to_path(report_find("text"), &results, "/dev/full", &error));
    assert_string_equal(error.place, "/dev/full");
    assert_non_null(strstr(error.message, "No space left on device"));
    assert_false(report_to_path(report_find("text"), &results, "/no/such/folder/x", &error));
    assert_true(report_to_path(report_find("text"), &results, "/dev/null", &error));
    snprintf(command, sizeof command, "test $(ls %s | wc -l) = 2 && rm -r %s", folder, folder);
    assert_int_equal(system(command), 0); /* no temporary file is left */
    sample_free(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passing_scenario_takes_four_lines),
        cmocka_unit_test(without_unicode_it_is_drawn_in_ascii),
        cmocka_unit_test(a_failure_says_what_was_expected_seen_and_how_the_client_ended),
        cmocka_unit_test(verbose_shows_what_held),
        cmocka_unit_test(concurrent_calls_share_one_axis),
        cmocka_unit_test(tries_of_the_loop_are_marked_where_the_sdk_retries_too),
        cmocka_unit_test(of_a_long_output_only_the_last_line_is_shown_whole),
        cmocka_unit_test(many_calls_are_cut_and_many_attempts_counted),
        cmocka_unit_test(one_attempt_needs_no_axis),
        cmocka_unit_test(no_line_is_too_long_or_ends_in_a_space),
        cmocka_unit_test(hostile_text_reaches_no_terminal),
        cmocka_unit_test(wide_and_combining_characters_keep_the_alignment),
        cmocka_unit_test(the_summary_counts_every_state_and_names_what_did_not_pass),
        cmocka_unit_test(a_full_disk_is_noticed),
        cmocka_unit_test(kinds_are_found_by_name),
        cmocka_unit_test(a_file_has_no_colours_and_the_width_of_columns),
        cmocka_unit_test(a_report_replaces_a_file_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
