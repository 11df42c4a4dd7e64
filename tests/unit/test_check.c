#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "clock/tracer.h"
#include "harness/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct scenario parse(const char *server, const char *client, const char *expect)
{
    struct scenario scenario;
    struct error error = {0};
    char *text = NULL;
    char told[1400];
    assert_true(asprintf(&text,
                         "{\"name\": \"n\", \"why\": \"w\", \"server\": {%s}, \"client\": {%s}, "
                         "\"expect\": {%s}}",
                         server, client, expect) > 0);
    if (!scenario_parse(&scenario, text, strlen(text), "/tmp/s.json", &error))
        fail_msg("%s", error_text(&error, told, sizeof told));
    free(text);
    return scenario;
}

static struct result check_with(const struct scenario *scenario, char *const *command)
{
    struct check_options options = {.scenario = scenario, .command = command, .seed = 7};
    struct result result;
    check_scenario(&options, &result);
    return result;
}

static void the_builtin_client_is_checked_in_virtual_time(void **state)
{
    (void)state;
    struct scenario scenario =
        parse("\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}, \"times\": 2}]",
              "\"builtin\": {\"policy\": {\"kind\": \"exponential\", \"base\": \"1m\", \"cap\": "
              "\"10m\"}}, \"timeout\": \"1h\"",
              "\"attempts_per_call\": 3, \"delays\": [\"1m\", \"2m\"], \"delay_tolerance\": "
              "\"0s\", \"outcome\": \"succeeds\"");
    struct result result = check_with(&scenario, NULL);
    assert_true(result.passed);
    assert_false(result.could_not_run);
    assert_int_equal(result.time, CLOCK_VIRTUAL);
    assert_int_equal(result.wall_ms, -1);
    assert_int_equal(result.seed, 7);
    assert_string_equal(result.command, "(built-in client)");
    assert_string_equal(result.name, "n");
    assert_string_equal(result.why, "w");
    assert_string_equal(result.file, "/tmp/s.json");
    assert_int_equal(result.duration_ns, 3 * NS_PER_MINUTE);
    result_free(&result);
    scenario_free(&scenario);
}

static void a_command_is_checked_in_virtual_time_where_it_can_be_had(void **state)
{
    (void)state;
    struct scenario scenario =
        parse("",
              "\"command\": [\"sh\", \"-c\", \"echo $A \\\"it's\\\"; pwd; exit 3\"], \"env\": "
              "{\"A\": \"said\"}, \"directory\": \"..\"",
              "\"requests\": 0, \"exit_code\": 3, \"stdout_matches\": \"^/$\", "
              "\"stdout_contains\": \"said it's\"");
    struct result result = check_with(&scenario, NULL);
    assert_true(result.passed);
    bool is_carried = tracer_unavailable() == NULL;
    assert_int_equal(result.time, is_carried ? CLOCK_VIRTUAL : CLOCK_REAL);
    assert_int_equal(result.is_inexact, !is_carried);
    assert_non_null(result.time_note);
    assert_true(is_carried ? result.wall_ms == -1 : result.wall_ms >= 0);
    assert_string_equal(result.command, "sh -c 'echo $A \"it'\\''s\"; pwd; exit 3'");
    result_free(&result);
    scenario_free(&scenario);
}

static void a_command_of_the_user_takes_the_place_of_the_scenarios(void **state)
{
    (void)state;
    struct scenario scenario = parse("", "\"builtin\": {\"policy\": {\"kind\": \"none\"}}",
                                     "\"requests\": 0, \"exit_code\": 5");
    char program[] = "sh";
    char option[] = "-c";
    char script[] = "exit 5";
    char empty[] = "";
    char *command[] = {program, option, script, empty, NULL};
    struct result result = check_with(&scenario, command);
    assert_true(result.passed);
    assert_int_equal(result.time, tracer_unavailable() == NULL ? CLOCK_VIRTUAL : CLOCK_REAL);
    assert_string_equal(result.command, "sh -c 'exit 5' ''");
    result_free(&result);
    scenario_free(&scenario);
}

static void several_runs_share_a_server(void **state)
{
    (void)state;
    struct scenario scenario =
        parse("\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}}]",
              "\"builtin\": {\"policy\": {\"kind\": \"none\"}}, \"runs\": 3",
              "\"calls\": 3, \"outcome\": [\"raises\", \"succeeds\", \"succeeds\"], \"exit_code\": "
              "[1, 0, 0]");
    struct result result = check_with(&scenario, NULL);
    assert_true(result.passed);
    assert_int_equal(result.run_count, 3);
    assert_int_equal(result.calls[2].run, 2);
    result_free(&result);
    scenario_free(&scenario);
}

static void what_cannot_be_started_could_not_run(void **state)
{
    (void)state;
    static const char *const clients[] = {
        "\"command\": [\"toomany-no-such-program\"]",
        "\"command\": [\"/tmp\"]",
        "\"command\": [\"true\"], \"directory\": \"no-such-folder\"",
    };
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        struct scenario scenario = parse("", clients[i], "\"requests\": 0");
        struct result result = check_with(&scenario, NULL);
        assert_false(result.passed);
        assert_true(result.could_not_run);
        assert_true(result.error.could_not_run);
        assert_true(strlen(result.error.message) > 10);
        result_free(&result);
        scenario_free(&scenario);
    }
}

static void what_is_stopped_before_it_begins_starts_no_client(void **state)
{
    (void)state;
    struct scenario scenario = parse("", "\"command\": [\"sleep\", \"3600\"]", "\"requests\": 0");
    atomic_bool stopping = true;
    uint64_t one = 1;
    int stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(write(stop_fd, &one, sizeof one), sizeof one);
    struct check_options options = {
        .scenario = &scenario, .stopping = &stopping, .stop_fd = stop_fd};
    struct result result;
    check_scenario(&options, &result);
    assert_true(result.interrupted);
    assert_false(result.passed);
    assert_int_equal(result.run_count, 0);
    result_free(&result);
    scenario_free(&scenario);
    close(stop_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_builtin_client_is_checked_in_virtual_time),
        cmocka_unit_test(a_command_is_checked_in_virtual_time_where_it_can_be_had),
        cmocka_unit_test(a_command_of_the_user_takes_the_place_of_the_scenarios),
        cmocka_unit_test(several_runs_share_a_server),
        cmocka_unit_test(what_cannot_be_started_could_not_run),
        cmocka_unit_test(what_is_stopped_before_it_begins_starts_no_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
