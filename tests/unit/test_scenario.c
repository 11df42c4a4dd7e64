#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "harness/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER "\"server\": {}"
#define COMMAND "\"client\": {\"command\": [\"x\"]}"
#define EXPECT "\"expect\": {\"calls\": 1}"

static struct scenario parse(const char *text)
{
    struct scenario scenario;
    struct error error = {0};
    char told[1400];
    if (!scenario_parse(&scenario, text, strlen(text), "s.json", &error))
        fail_msg("%s", error_text(&error, told, sizeof told));
    return scenario;
}

static void assert_refused_bytes(const char *text, size_t length, const char *expected)
{
    struct scenario scenario;
    struct error error = {0};
    char told[1400];
    assert_false(scenario_parse(&scenario, text, length, "s.json", &error));
    assert_false(error.could_not_run);
    assert_string_equal(error_text(&error, told, sizeof told), expected);
}

static void assert_refused(const char *text, const char *expected)
{
    assert_refused_bytes(text, strlen(text), expected);
}

/* A scenario with this client. */
static const char *with_client(const char *client)
{
    static char text[4096];
    snprintf(text, sizeof text, "{\"name\": \"n\", " SERVER ", \"client\": %s, " EXPECT "}",
             client);
    return text;
}

static const char *with_expect(const char *expect)
{
    static char text[4096];
    snprintf(text, sizeof text, "{\"name\": \"n\", " SERVER ", " COMMAND ", \"expect\": %s}",
             expect);
    return text;
}

static void the_smallest_scenario_has_sensible_defaults(void **state)
{
    (void)state;
    struct scenario scenario = parse("{\"name\": \"n\", " SERVER ", " COMMAND ", " EXPECT "}");
    assert_string_equal(scenario.file, "s.json");
    assert_string_equal(scenario.name, "n");
    assert_string_equal(scenario.why, "");
    assert_string_equal(scenario.client.command[0], "x");
    assert_null(scenario.client.command[1]);
    assert_null(scenario.client.directory);
    assert_null(scenario.client.environment[0]);
    assert_int_equal(scenario.client.timeout_ns, 60 * NS_PER_S);
    assert_int_equal(scenario.client.runs, 1);
    assert_int_equal(scenario.client.output_bytes_max, 8 * 1024 * 1024);
    assert_null(scenario.client.marker_header);
    assert_false(scenario.client.is_builtin);
    assert_int_equal(scenario.expectations.count, 1);
    assert_false(scenario.expectations.script_partly);
    scenario_free(&scenario);
}

static void every_key_of_the_client_is_read(void **state)
{
    (void)state;
    struct scenario scenario = parse(with_client(
        "{\"command\": [\"python3\", \"\", \"a b\"], \"directory\": \"..\", \"env\": {\"A\": "
        "\"1\", \"B\": \"x=y\"}, \"timeout\": \"1ms\", \"runs\": 100, \"output_limit\": 1, "
        "\"call_marker\": {\"body\": \"user\"}}"));
    assert_string_equal(scenario.client.command[1], "");
    assert_string_equal(scenario.client.command[2], "a b");
    assert_string_equal(scenario.client.directory, "..");
    assert_string_equal(scenario.client.environment[0], "A=1");
    assert_string_equal(scenario.client.environment[1], "B=x=y");
    assert_null(scenario.client.environment[2]);
    assert_int_equal(scenario.client.timeout_ns, NS_PER_MS);
    assert_int_equal(scenario.client.runs, 100);
    assert_int_equal(scenario.client.output_bytes_max, 1);
    assert_string_equal(scenario.client.marker_body, "user");
    assert_null(scenario.client.marker_header);
    scenario_free(&scenario);
}

static void every_key_of_the_builtin_client_is_read(void **state)
{
    (void)state;
    struct scenario scenario = parse(with_client(
        "{\"builtin\": {\"calls\": 10000, \"in_flight_max\": 3, \"equal_messages\": true, "
        "\"policy\": {\"kind\": \"fixed\", \"base\": \"2s\", \"max_attempts\": 5}}, "
        "\"call_marker\": {\"header\": \"x-call\"}}"));
    assert_true(scenario.client.is_builtin);
    assert_null(scenario.client.command);
    assert_int_equal(scenario.client.builtin.calls, 10000);
    assert_int_equal(scenario.client.builtin.in_flight_max, 3);
    assert_true(scenario.client.builtin.equal_messages);
    assert_int_equal(scenario.client.builtin.policy.kind, RETRY_FIXED);
    assert_int_equal(scenario.client.builtin.policy.attempts_max, 5);
    assert_string_equal(scenario.client.marker_header, "x-call");
    scenario_free(&scenario);
}

static void a_connection_can_be_the_marker(void **state)
{
    (void)state;
    struct scenario scenario =
        parse(with_client("{\"command\": [\"x\"], \"call_marker\": {\"connection\": true}}"));
    assert_true(scenario.client.marker_is_connection);
    assert_null(scenario.client.marker_header);
    scenario_free(&scenario);
}

static void members_with_a_dollar_are_left_to_editors(void **state)
{
    (void)state;
    struct scenario scenario = parse("{\"$schema\": \"./scenario.schema.json\", \"name\": \"n\", "
                                     "\"$comment\": 5, " SERVER ", " COMMAND ", " EXPECT "}");
    scenario_free(&scenario);
}

static void settings_of_the_judge_are_read(void **state)
{
    (void)state;
    struct scenario scenario = parse(with_expect(
        "{\"requests\": 0, \"throttled\": {\"max\": 0}, \"script_played\": \"partly\", "
        "\"leaves_processes\": true, \"delay_tolerance\": {\"early\": \"0%\", \"late\": "
        "\"20ms\"}}"));
    const struct expectations *expectations = &scenario.expectations;
    assert_int_equal(expectations->count, 2);
    assert_true(expectations->script_partly);
    assert_true(expectations->leaves_processes);
    assert_true(expectations->no_throttling);
    assert_true(expectations->no_request);
    assert_int_equal(expectations->tolerance.late.ns, 20 * NS_PER_MS);
    assert_true(expectations->tolerance.early.share == 0);
    scenario_free(&scenario);
}

/* Errors. Each row: the text, and all that is said. */

static void what_is_no_json_is_told_by_line_and_column(void **state)
{
    (void)state;
    struct scenario scenario;
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{\"name\": \"n\"",
                                        "{\"name\": \"n\", \"server\": {}, \"client\": {\"comm",
                                        "{\"name\": }",
                                        "nul",
                                        "{\"name\": \"n\",}",
                                        "{} {}",
                                        "{\"a\" 1}",
                                        "{'name': 1}",
                                        "{\"name\": \"\\ud800\"}",
                                        "{\"name\": \"a\nb\"}",
                                        "[1,]",
                                        "{\"name\": 01}",
                                        "\xff",
                                        "{\"name\": \"\xc3\x28\"}",
                                        "{\"name\": \"\xed\xa0\x80\"}",
                                        "{\"na\\u0000me\": \"n\"}",
                                        "{\"name\": \"a\\u0000b\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error error = {0};
        int line = 0;
        int column = 0;
        assert_false(scenario_parse(&scenario, texts[i], strlen(texts[i]), "s.json", &error));
        assert_int_equal(sscanf(error.place, "s.json:%d:%d", &line, &column), 2);
        assert_true(line >= 1 && column >= 1);
        assert_true(strlen(error.message) > 5);
    }
    assert_refused("{\n  \"name\": \"n\",\n  \"server\": {]\n}",
                   "s.json:3:14: found \"]\", wanted a key in double quotes");
}

static void a_nul_byte_does_not_hide_what_follows_it(void **state)
{
    (void)state;
    struct scenario scenario;
    struct error error = {0};
    static const char text[] = "{\"name\": \"n\", " SERVER ", " COMMAND ", " EXPECT "}\0{}";
    assert_false(scenario_parse(&scenario, text, sizeof text - 1, "s.json", &error));
    assert_int_equal(strncmp(error.place, "s.json:1:", 9), 0);
}

static void a_truncated_scenario_is_refused_wherever_it_ends(void **state)
{
    (void)state;
    const char *text = with_client("{\"command\": [\"x\"], \"env\": {\"A\": \"1\"}}");
    struct scenario scenario;
    for (size_t length = 0; length < strlen(text); length++) {
        struct error error = {0};
        /* In memory of its own, so that reading past the end is seen. */
        char *part = malloc(length + 1);
        memcpy(part, text, length);
        assert_false(scenario_parse(&scenario, part, length, "s.json", &error));
        assert_int_equal(strncmp(error.place, "s.json:1:", 9), 0);
        free(part);
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH * 2);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    struct scenario scenario;
    struct error error = {0};
    assert_false(scenario_parse(&scenario, text, DEPTH * 2, "s.json", &error));
    assert_non_null(strstr(error.message, "deep"));
    free(text);
}

static void huge_lists_are_refused(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    fputs("{\"name\": \"n\", " SERVER ", \"client\": {\"command\": [\"x\"", stream);
    for (int i = 0; i < COUNT; i++)
        fputs(",\"x\"", stream);
    fputs("]}, " EXPECT "}", stream);
    fclose(stream);
    assert_refused_bytes(text, length,
                         "s.json: /client/command: found an array, wanted at most 200 items");
    free(text);
}

struct refusal {
    const char *text;
    const char *expected;
};

static void the_top_level_is_checked(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"[]", "s.json: /: found an array, wanted an object"},
        {"null", "s.json: /: found null, wanted an object"},
        {"{}", "s.json: /server: found nothing, wanted an object; every scenario has \"name\", "
               "\"server\", \"client\" and \"expect\""},
        {"{" SERVER ", " COMMAND ", " EXPECT "}",
         "s.json: /name: found nothing, wanted a name, a short statement of what must hold"},
        {"{\"name\": \"\", " SERVER ", " COMMAND ", " EXPECT "}",
         "s.json: /name: found \"\", wanted a name, a short statement of what must hold"},
        {"{\"name\": 5, " SERVER ", " COMMAND ", " EXPECT "}",
         "s.json: /name: found 5, wanted a string"},
        {"{\"name\": \"n\", \"why\": [], " SERVER ", " COMMAND ", " EXPECT "}",
         "s.json: /why: found an array, wanted a string"},
        {"{\"name\": \"n\", \"server\": 1, " COMMAND ", " EXPECT "}",
         "s.json: /server: found 1, wanted an object"},
        {"{\"name\": \"n\", " SERVER ", " EXPECT "}",
         "s.json: /client: found nothing, wanted an object; every scenario has \"name\", "
         "\"server\", \"client\" and \"expect\""},
        {"{\"name\": \"n\", " SERVER ", " COMMAND "}",
         "s.json: /expect: found nothing, wanted an object; every scenario has \"name\", "
         "\"server\", \"client\" and \"expect\""},
        {"{\"nmae\": \"n\"}", "s.json: /nmae: unknown key; did you mean \"name\"?"},
        {"{\"steps\": 1}",
         "s.json: /steps: unknown key; known here: name, why, server, client, expect"},
        {"{\"name\": \"n\", \"name\": \"m\"}",
         "s.json: /name: this key stands twice; keep one of them"},
        {"{\"name\": \"n\", \"server\": {\"quota\": {}}, " COMMAND ", " EXPECT "}",
         "s.json: /server/quota: unknown key; did you mean \"quotas\"?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(rows[i].text, rows[i].expected);
}

static void the_client_is_checked(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"{}", "s.json: /client: found an object, wanted either \"command\", the program under "
               "test, or \"builtin\""},
        {"{\"command\": [\"x\"], \"builtin\": {\"policy\": {\"kind\": \"none\"}}}",
         "s.json: /client: found an object, wanted either \"command\", the program under test, or "
         "\"builtin\""},
        {"{\"command\": \"x\"}", "s.json: /client/command: found \"x\", wanted an array"},
        {"{\"command\": []}",
         "s.json: /client/command: found an array, wanted the program and its arguments"},
        {"{\"command\": [\"x\", 5]}", "s.json: /client/command/1: found 5, wanted a string"},
        {"{\"comand\": [\"x\"]}", "s.json: /client/comand: unknown key; did you mean \"command\"?"},
        {"{\"command\": [\"x\"], \"command\": [\"y\"]}",
         "s.json: /client/command: this key stands twice; keep one of them"},
        {"{\"command\": [\"x\"], \"directory\": 1}",
         "s.json: /client/directory: found 1, wanted a string"},
        {"{\"command\": [\"x\"], \"env\": []}",
         "s.json: /client/env: found an array, wanted an object"},
        {"{\"command\": [\"x\"], \"env\": {\"A\": 1}}",
         "s.json: /client/env/A: found 1, wanted a string"},
        {"{\"command\": [\"x\"], \"env\": {\"A/B~\": 1}}",
         "s.json: /client/env/A~1B~0: found 1, wanted a string"},
        {"{\"command\": [\"x\"], \"env\": {\"A=B\": \"1\"}}",
         "s.json: /client/env/A=B: found nothing, wanted a variable's name, which has no \"=\""},
        {"{\"command\": [\"x\"], \"env\": {\"\": \"1\"}}",
         "s.json: /client/env/: found nothing, wanted a variable's name, which has no \"=\""},
        {"{\"command\": [\"x\"], \"timeout\": 5}",
         "s.json: /client/timeout: found 5, wanted a duration with its unit, such as \"250ms\", "
         "\"2s\" or \"6m0s\""},
        {"{\"command\": [\"x\"], \"timeout\": \"999us\"}",
         "s.json: /client/timeout: found \"999us\", wanted 1ms to 168h"},
        {"{\"command\": [\"x\"], \"timeout\": \"168h0m1s\"}",
         "s.json: /client/timeout: found \"168h0m1s\", wanted 1ms to 168h"},
        {"{\"command\": [\"x\"], \"runs\": 0}",
         "s.json: /client/runs: found 0, wanted a whole number from 1 to 100"},
        {"{\"command\": [\"x\"], \"runs\": 101}",
         "s.json: /client/runs: found 101, wanted a whole number from 1 to 100"},
        {"{\"command\": [\"x\"], \"runs\": 1.5}",
         "s.json: /client/runs: found 1.5, wanted a whole number from 1 to 100"},
        {"{\"command\": [\"x\"], \"output_limit\": 0}",
         "s.json: /client/output_limit: found 0, wanted a whole number from 1 to 1099511627776"},
        {"{\"command\": [\"x\"], \"output_limit\": 1e300}",
         "s.json: /client/output_limit: found 1e+300, wanted a whole number from 1 to "
         "1099511627776"},
        {"{\"command\": [\"x\"], \"call_marker\": \"x\"}",
         "s.json: /client/call_marker: found \"x\", wanted an object"},
        {"{\"command\": [\"x\"], \"call_marker\": {}}",
         "s.json: /client/call_marker: found an object, wanted {\"header\": NAME}, {\"body\": NAME "
         "of a member of the body} or {\"connection\": true}"},
        {"{\"command\": [\"x\"], \"call_marker\": {\"header\": \"a\", \"body\": \"b\"}}",
         "s.json: /client/call_marker: found an object, wanted {\"header\": NAME}, {\"body\": NAME "
         "of a member of the body} or {\"connection\": true}"},
        {"{\"command\": [\"x\"], \"call_marker\": {\"body\": \"\"}}",
         "s.json: /client/call_marker: found an object, wanted {\"header\": NAME}, {\"body\": NAME "
         "of a member of the body} or {\"connection\": true}"},
        {"{\"command\": [\"x\"], \"call_marker\": {\"header\": \"a: b\"}}",
         "s.json: /client/call_marker/header: found \"a: b\", wanted the name of a header, such as "
         "\"x-call-id\""},
        {"{\"command\": [\"x\"], \"call_marker\": {\"headers\": \"a\"}}",
         "s.json: /client/call_marker/headers: unknown key; did you mean \"header\"?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(with_client(rows[i].text), rows[i].expected);
}

static void the_builtin_client_is_checked(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"{\"builtin\": {}}", "s.json: /client/builtin/policy: found nothing, wanted a retry "
                              "policy, such as {\"kind\": \"none\"}"},
        {"{\"builtin\": {\"policy\": {}}}",
         "s.json: /client/builtin/policy/kind: found nothing, wanted \"none\", \"fixed\" or "
         "\"exponential\""},
        {"{\"builtin\": {\"calls\": 0, \"policy\": {\"kind\": \"none\"}}}",
         "s.json: /client/builtin/calls: found 0, wanted a whole number from 1 to 10000"},
        {"{\"builtin\": {\"calls\": 10001, \"policy\": {\"kind\": \"none\"}}}",
         "s.json: /client/builtin/calls: found 10001, wanted a whole number from 1 to 10000"},
        {"{\"builtin\": {\"in_flight_max\": -1, \"policy\": {\"kind\": \"none\"}}}",
         "s.json: /client/builtin/in_flight_max: found -1, wanted a whole number from 0 to 10000"},
        {"{\"builtin\": {\"equal_messages\": 1, \"policy\": {\"kind\": \"none\"}}}",
         "s.json: /client/builtin/equal_messages: found 1, wanted true or false"},
        {"{\"builtin\": {\"call\": 2, \"policy\": {\"kind\": \"none\"}}}",
         "s.json: /client/builtin/call: unknown key; did you mean \"calls\"?"},
        {"{\"builtin\": {\"policy\": {\"kind\": \"none\"}}, \"call_marker\": {\"body\": \"user\"}}",
         "s.json: /client/call_marker: found an object, wanted {\"header\": NAME}; the built-in "
         "client sends its marker as a header"},
        {"{\"builtin\": {\"policy\": {\"kind\": \"none\"}}, \"call_marker\": {\"connection\": "
         "true}}",
         "s.json: /client/call_marker: found an object, wanted {\"header\": NAME}; the built-in "
         "client sends its marker as a header"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(with_client(rows[i].text), rows[i].expected);
}

static void expectations_are_checked(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"[]", "s.json: /expect: found an array, wanted an object"},
        {"{}", "s.json: /expect: found an object, wanted at least one expectation, such as "
               "\"attempts_per_call\": 3"},
        {"{\"script_played\": \"partly\"}",
         "s.json: /expect: found an object, wanted at least one expectation, such as "
         "\"attempts_per_call\": 3"},
        {"{\"atempts_per_call\": 3}",
         "s.json: /expect/atempts_per_call: unknown key; did you mean \"attempts_per_call\"?"},
        {"{\"calls\": 1, \"script_played\": \"half\"}",
         "s.json: /expect/script_played: found \"half\", wanted one of \"all\", \"partly\""},
        {"{\"calls\": 1, \"leaves_processes\": 0}",
         "s.json: /expect/leaves_processes: found 0, wanted true or false"},
        {"{\"calls\": 1, \"delay_tolerance\": 10}",
         "s.json: /expect/delay_tolerance: found 10, wanted a share such as \"10%\" or a duration"},
        {"{\"calls\": 1, \"delay_tolerance\": \"-10%\"}",
         "s.json: /expect/delay_tolerance: found \"-10%\", wanted a share such as \"10%\" or a "
         "duration"},
        {"{\"calls\": 1, \"delay_tolerance\": {\"late\": \"1001%\"}}",
         "s.json: /expect/delay_tolerance/late: found \"1001%\", wanted a share such as \"10%\" or "
         "a duration"},
        {"{\"calls\": 1, \"delay_tolerance\": {\"lat\": \"1%\"}}",
         "s.json: /expect/delay_tolerance/lat: unknown key; did you mean \"late\"?"},
        {"{\"calls\": \"1\"}",
         "s.json: /expect/calls: found \"1\", wanted a whole number or {\"min\": N, \"max\": N}"},
        {"{\"calls\": 1.5}",
         "s.json: /expect/calls: found 1.5, wanted a whole number from 0 to 1000000000"},
        {"{\"calls\": -1}",
         "s.json: /expect/calls: found -1, wanted a whole number from 0 to 1000000000"},
        {"{\"calls\": {\"min\": 3, \"max\": 2}}",
         "s.json: /expect/calls: found an object, wanted \"max\" not below \"min\""},
        {"{\"calls\": {}}",
         "s.json: /expect/calls: found an object, wanted \"min\", \"max\" or both"},
        {"{\"calls\": {\"min\": -1}}",
         "s.json: /expect/calls/min: found -1, wanted a number from 0 to 1000000000"},
        {"{\"throttled_share\": 101}",
         "s.json: /expect/throttled_share: found 101, wanted a whole number from 0 to 100"},
        {"{\"delays\": \"1s\"}", "s.json: /expect/delays: found \"1s\", wanted a list of "
                                 "durations, such as [\"1s\", \"2s\"]"},
        {"{\"delays\": [\"1s\", 2]}",
         "s.json: /expect/delays/1: found 2, wanted a duration such as \"1s\""},
        {"{\"backoff\": {\"kind\": \"fixed\"}}",
         "s.json: /expect/backoff: found an object, wanted \"kind\" and \"base\""},
        {"{\"backoff\": {\"kind\": \"linear\", \"base\": \"1s\"}}",
         "s.json: /expect/backoff/kind: found \"linear\", wanted one of \"fixed\", "
         "\"exponential\""},
        {"{\"backoff\": {\"kind\": \"fixed\", \"base\": \"1s\", \"factor\": 0.5}}",
         "s.json: /expect/backoff/factor: found 0.5, wanted a number from 1 to 1000"},
        {"{\"backoff\": {\"kind\": \"fixed\", \"base\": \"1s\", \"jiter\": \"full\"}}",
         "s.json: /expect/backoff/jiter: unknown key; did you mean \"jitter\"?"},
        {"{\"retry_after\": \"honored\"}", "s.json: /expect/retry_after: found \"honored\", wanted "
                                           "\"honoured\" or {\"late\": \"500ms\"}"},
        {"{\"retry_after\": {\"late\": 1}}",
         "s.json: /expect/retry_after/late: found 1, wanted a duration with its unit, such as "
         "\"250ms\", \"2s\" or \"6m0s\""},
        {"{\"duration\": {\"min\": \"2s\", \"max\": \"1s\"}}",
         "s.json: /expect/duration: found an object, wanted \"max\" not below \"min\""},
        {"{\"duration\": \"1s\"}", "s.json: /expect/duration: found \"1s\", wanted an object"},
        {"{\"wait_after_last\": {}}",
         "s.json: /expect/wait_after_last: found an object, wanted \"min\", \"max\" or both"},
        {"{\"outcome\": \"fails\"}",
         "s.json: /expect/outcome: found \"fails\", wanted \"raises\" or \"succeeds\""},
        {"{\"outcome\": []}", "s.json: /expect/outcome: found an array, wanted \"raises\" or "
                              "\"succeeds\", or a list of 1 to 1000 such"},
        {"{\"outcome\": [\"raises\", \"fails\"]}",
         "s.json: /expect/outcome/1: found \"fails\", wanted \"raises\" or \"succeeds\""},
        {"{\"final_status\": 99}", "s.json: /expect/final_status: found 99, wanted an HTTP status"},
        {"{\"final_code\": 5}", "s.json: /expect/final_code: found 5, wanted an error code such as "
                                "\"rate_limit_exceeded\", or null"},
        {"{\"exit_code\": 256}", "s.json: /expect/exit_code: found 256, wanted an exit code from 0 "
                                 "to 255, or \"nonzero\""},
        {"{\"exit_code\": 0.5}", "s.json: /expect/exit_code: found 0.5, wanted an exit code from 0 "
                                 "to 255, or \"nonzero\""},
        {"{\"not_retried\": null}",
         "s.json: /expect/not_retried: found null, wanted an error code or an HTTP status"},
        {"{\"stdout_contains\": [\"a\", 5]}", "s.json: /expect/stdout_contains/1: found 5, wanted "
                                              "a string that is not empty, or a list of such"},
        {"{\"stderr_contains\": \"\"}", "s.json: /expect/stderr_contains: found \"\", wanted a "
                                        "string that is not empty, or a list of such"},
        {"{\"stderr_matches\": \"(\"}",
         "s.json: /expect/stderr_matches: found \"(\", wanted a POSIX extended regular expression "
         "(Unmatched ( or \\()"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(with_expect(rows[i].text), rows[i].expected);
}

static void lists_of_expectations_are_bounded(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    static const struct refusal rows[] = {
        {"delays", "s.json: /expect/delays: found an array, wanted at most 1000 items"},
        {"stdout_contains",
         "s.json: /expect/stdout_contains: found an array, wanted a string or a list of strings"},
        {"final_code", "s.json: /expect/final_code: found an array, wanted an error code such as "
                       "\"rate_limit_exceeded\", or null, or a list of 1 to 1000 such"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FILE *stream = open_memstream(&text, &length);
        fprintf(stream, "{\"name\": \"n\", " SERVER ", " COMMAND ", \"expect\": {\"%s\": [\"1s\"",
                rows[i].text);
        for (int j = 0; j < 1000; j++)
            fputs(",\"1s\"", stream);
        fputs("]}}", stream);
        fclose(stream);
        assert_refused_bytes(text, length, rows[i].expected);
        free(text);
    }
}

static void a_file_is_loaded_and_named_in_its_errors(void **state)
{
    (void)state;
    char path[] = "/tmp/toomany-scenario-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs("{\"name\": \"n\", " SERVER ", " COMMAND ", " EXPECT "}", file);
    fclose(file);
    struct scenario scenario;
    struct error error = {0};
    assert_true(scenario_load(&scenario, path, &error));
    assert_string_equal(scenario.file, path);
    scenario_free(&scenario);
    unlink(path);
    assert_false(scenario_load(&scenario, path, &error));
    assert_string_equal(error.place, path);
    assert_string_equal(error.message, "No such file or directory");
    assert_false(scenario_load(&scenario, "/tmp", &error));
    assert_string_equal(error.message, "this is a directory, wanted a file");
}

static void a_file_of_100_mb_is_refused_before_it_is_read_whole(void **state)
{
    (void)state;
    char path[] = "/tmp/toomany-scenario-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 100 * 1000 * 1000), 0); /* a hole: takes no room */
    close(fd);
    struct scenario scenario;
    struct error error = {0};
    assert_false(scenario_load(&scenario, path, &error));
    assert_string_equal(error.message, "larger than 16777216 bytes, which no such file needs");
    unlink(path);
}

static void every_shipped_scenario_is_read(void **state)
{
    (void)state;
    static const char *const names[] = {"r1-verbatim-error", "r3-fixed-recovers",
                                        "r4-sdk-default-amplifies", "r7-concurrency-fixed"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1024];
        struct scenario scenario;
        struct error error = {0};
        snprintf(path, sizeof path, TOOMANY_SOURCE_DIR "/scenarios/%s.json", names[i]);
        assert_true(scenario_load(&scenario, path, &error));
        scenario_free(&scenario);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_scenario_has_sensible_defaults),
        cmocka_unit_test(every_key_of_the_client_is_read),
        cmocka_unit_test(every_key_of_the_builtin_client_is_read),
        cmocka_unit_test(a_connection_can_be_the_marker),
        cmocka_unit_test(members_with_a_dollar_are_left_to_editors),
        cmocka_unit_test(settings_of_the_judge_are_read),
        cmocka_unit_test(what_is_no_json_is_told_by_line_and_column),
        cmocka_unit_test(a_nul_byte_does_not_hide_what_follows_it),
        cmocka_unit_test(a_truncated_scenario_is_refused_wherever_it_ends),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(huge_lists_are_refused),
        cmocka_unit_test(the_top_level_is_checked),
        cmocka_unit_test(the_client_is_checked),
        cmocka_unit_test(the_builtin_client_is_checked),
        cmocka_unit_test(expectations_are_checked),
        cmocka_unit_test(lists_of_expectations_are_bounded),
        cmocka_unit_test(a_file_is_loaded_and_named_in_its_errors),
        cmocka_unit_test(a_file_of_100_mb_is_refused_before_it_is_read_whole),
        cmocka_unit_test(every_shipped_scenario_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
