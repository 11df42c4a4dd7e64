#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/duration.h"
#include "harness/builtin.h"
#include "harness/environment.h"
#include "mockserver/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A server and the built-in client on one virtual clock. */
struct stage {
    struct scenario scenario;
    struct loop loop;
    struct server *server;
    char **environment;
    struct client_run run;
};

static struct scenario parse(const char *server, const char *client)
{
    struct scenario scenario;
    struct error error = {0};
    char *text = NULL;
    char told[1400];
    assert_true(asprintf(&text,
                         "{\"name\": \"n\", \"server\": {%s}, \"client\": {%s}, \"expect\": "
                         "{\"calls\": 1}}",
                         server, client) > 0);
    if (!scenario_parse(&scenario, text, strlen(text), "s.json", &error))
        fail_msg("%s", error_text(&error, told, sizeof told));
    free(text);
    return scenario;
}

static void play_with(struct stage *stage, const char *server, const char *client,
                      const atomic_bool *stopping)
{
    struct error error = {0};
    *stage = (struct stage){.scenario = parse(server, client)};
    assert_true(loop_init(&stage->loop, CLOCK_VIRTUAL, &error));
    struct server_options options = {
        .config = &stage->scenario.server,
        .seed = 1,
        .marker_header = stage->scenario.client.marker_header,
    };
    stage->server = server_new(&stage->loop, &options, &error);
    assert_non_null(stage->server);
    stage->environment = environment_for(&stage->scenario, server_base_url(stage->server));
    struct builtin_options builtin = {
        .scenario = &stage->scenario,
        .environment = stage->environment,
        .seed = 1,
        .stopping = stopping,
    };
    assert_true(builtin_run(&stage->loop, &builtin, &stage->run, &error));
}

static void play(struct stage *stage, const char *server, const char *client)
{
    play_with(stage, server, client, NULL);
}

static void clear(struct stage *stage)
{
    free(stage->run.output);
    free(stage->run.errors);
    environment_free(stage->environment);
    server_free(stage->server);
    loop_free(&stage->loop);
    scenario_free(&stage->scenario);
}

static const struct journal_entry *entry(const struct stage *stage, size_t index)
{
    return journal_at(server_journal(stage->server), index);
}

static size_t request_count(const struct stage *stage)
{
    return journal_count(server_journal(stage->server));
}

#define NO_RETRIES "\"policy\": {\"kind\": \"none\"}"

static void a_call_that_is_served_writes_a_line_and_ends_well(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "\"latency\": \"250ms\", \"script\": [{\"answer\": {\"content\": \"Hi!\"}}]",
         "\"builtin\": {" NO_RETRIES "}");
    assert_int_equal(stage.run.exit_code, 0);
    assert_string_equal(stage.run.output, "Hi!\n");
    assert_string_equal(stage.run.errors, "");
    assert_int_equal(stage.run.output_bytes, 4);
    assert_false(stage.run.timed_out || stage.run.output_exceeded);
    assert_int_equal(stage.run.started_ns, 0);
    assert_int_equal(stage.run.ended_ns, 250 * NS_PER_MS);
    assert_string_equal(entry(&stage, 0)->model, SCENARIO_MODEL);
    assert_string_equal(entry(&stage, 0)->call_marker, "");
    clear(&stage);
}

static void a_call_that_fails_writes_its_whole_error_and_ends_badly(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage,
         "\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\", \"message\": \"Rate limit "
         "reached for fine-tuned model\", \"type\": \"requests\"}}]",
         "\"builtin\": {" NO_RETRIES "}");
    assert_int_equal(stage.run.exit_code, 1);
    assert_string_equal(stage.run.output, "");
    assert_non_null(strstr(stage.run.errors, "429"));
    assert_non_null(strstr(stage.run.errors, "Rate limit reached for fine-tuned model"));
    assert_non_null(strstr(stage.run.errors, "rate_limit_exceeded"));
    assert_int_equal(stage.run.errors[stage.run.errors_length - 1], '\n');
    clear(&stage);
}

static void one_call_that_fails_is_enough_to_end_badly(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "\"script\": [{\"answer\": {\"error\": \"server_error\"}}]",
         "\"builtin\": {\"calls\": 3, \"in_flight_max\": 1, " NO_RETRIES "}");
    assert_int_equal(stage.run.exit_code, 1);
    assert_int_equal(request_count(&stage), 3);
    assert_int_equal(entry(&stage, 2)->status, 200);
    clear(&stage);
}

static void waits_take_no_time_and_are_exact_to_the_nanosecond(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage,
         "\"latency\": \"7ms\", \"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}, "
         "\"times\": 2}]",
         "\"builtin\": {\"policy\": {\"kind\": \"exponential\", \"base\": \"10m\", "
         "\"cap\": \"1h\", \"max_attempts\": 3}}, \"timeout\": \"2h\"");
    assert_int_equal(stage.run.exit_code, 0);
    assert_int_equal(request_count(&stage), 3);
    assert_int_equal(entry(&stage, 1)->arrived_ns - entry(&stage, 0)->answered_ns,
                     10 * NS_PER_MINUTE);
    assert_int_equal(entry(&stage, 2)->arrived_ns - entry(&stage, 1)->answered_ns,
                     20 * NS_PER_MINUTE);
    clear(&stage);
}

static void messages_differ_unless_they_are_to_be_equal(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "", "\"builtin\": {\"calls\": 2, " NO_RETRIES "}");
    assert_true(entry(&stage, 0)->body_digest != entry(&stage, 1)->body_digest);
    clear(&stage);
    play(&stage, "", "\"builtin\": {\"calls\": 2, \"equal_messages\": true, " NO_RETRIES "}");
    assert_true(entry(&stage, 0)->body_digest == entry(&stage, 1)->body_digest);
    clear(&stage);
}

static void each_call_sends_its_marker_where_it_is_asked_for(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "\"script\": [{\"answer\": {\"error\": \"rate_limit_exceeded\"}}]",
         "\"builtin\": {\"calls\": 2, \"in_flight_max\": 1, \"policy\": {\"kind\": \"fixed\", "
         "\"base\": \"1s\"}}, \"call_marker\": {\"header\": \"x-call\"}");
    assert_int_equal(request_count(&stage), 3);
    assert_string_equal(entry(&stage, 0)->call_marker, "call-1");
    assert_string_equal(entry(&stage, 1)->call_marker, "call-1");
    assert_string_equal(entry(&stage, 2)->call_marker, "call-2");
    clear(&stage);
}

static void the_gate_keeps_calls_back(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "\"latency\": \"1s\"",
         "\"builtin\": {\"calls\": 6, \"in_flight_max\": 2, " NO_RETRIES "}");
    assert_int_equal(request_count(&stage), 6);
    for (size_t i = 0; i < 6; i++)
        assert_true(entry(&stage, i)->in_flight <= 2);
    assert_int_equal(stage.run.ended_ns, 3 * NS_PER_S);
    clear(&stage);
    play(&stage, "\"latency\": \"1s\"", "\"builtin\": {\"calls\": 6, " NO_RETRIES "}");
    assert_int_equal(entry(&stage, 5)->in_flight, 6);
    assert_int_equal(stage.run.ended_ns, NS_PER_S);
    clear(&stage);
}

static void a_time_out_ends_it_on_the_virtual_clock(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "\"latency\": \"10s\"",
         "\"builtin\": {\"calls\": 3, " NO_RETRIES "}, \"timeout\": \"4s\"");
    assert_true(stage.run.timed_out);
    assert_int_equal(stage.run.exit_code, 1);
    assert_int_equal(stage.run.ended_ns, 4 * NS_PER_S);
    clear(&stage);
    /* Also while all of them wait between attempts. */
    play(&stage,
         "\"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": \"forever\"}]",
         "\"builtin\": {\"policy\": {\"kind\": \"fixed\", \"base\": \"3s\", \"max_attempts\": "
         "1000}}, \"timeout\": \"10s\"");
    assert_true(stage.run.timed_out);
    assert_int_equal(request_count(&stage), 4);
    assert_int_equal(stage.run.ended_ns, 10 * NS_PER_S);
    clear(&stage);
}

static void a_time_out_at_the_end_does_not_outlive_the_run(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage, "", "\"builtin\": {" NO_RETRIES "}, \"timeout\": \"4s\"");
    assert_false(stage.run.timed_out);
    /* Nothing of the client is left on the loop: the clock stands still. */
    struct builtin_options again = {
        .scenario = &stage.scenario, .environment = stage.environment, .seed = 1};
    struct client_run second;
    struct error error = {0};
    assert_true(builtin_run(&stage.loop, &again, &second, &error));
    assert_int_equal(second.started_ns, 0);
    assert_int_equal(second.exit_code, 0);
    assert_int_equal(request_count(&stage), 2);
    free(second.output);
    free(second.errors);
    clear(&stage);
}

static void output_is_bounded(void **state)
{
    (void)state;
    struct stage stage;
    play(&stage,
         "\"script\": [{\"answer\": {\"content\": \"0123456789\"}, \"times\": \"forever\"}]",
         "\"builtin\": {\"calls\": 100, \"in_flight_max\": 1, " NO_RETRIES
         "}, \"output_limit\": 50");
    assert_true(stage.run.output_exceeded);
    assert_int_equal(stage.run.exit_code, 1);
    /* Four lines of 11 bytes fit, the fifth is too much; no call is begun after it. */
    assert_int_equal(request_count(&stage), 5);
    assert_true(stage.run.output_bytes > 50);
    clear(&stage);
    play(&stage, "\"script\": [{\"answer\": {\"content\": \"0123456789\"}}]",
         "\"builtin\": {" NO_RETRIES "}, \"output_limit\": 11");
    assert_false(stage.run.output_exceeded);
    assert_int_equal(stage.run.exit_code, 0);
    clear(&stage);
}

static void what_is_stopped_ends_at_once(void **state)
{
    (void)state;
    struct stage stage;
    atomic_bool stopping = true;
    play_with(&stage, "\"latency\": \"1h\"", "\"builtin\": {\"calls\": 5, " NO_RETRIES "}",
              &stopping);
    assert_int_equal(stage.run.ended_ns, 0);
    assert_int_equal(stage.run.exit_code, 1);
    clear(&stage);
}

static void a_base_url_that_is_none_is_an_error(void **state)
{
    (void)state;
    struct scenario scenario = parse("", "\"builtin\": {" NO_RETRIES "}");
    char variable[] = "OPENAI_BASE_URL=";
    char *environment[] = {variable, NULL};
    struct builtin_options options = {.scenario = &scenario, .environment = environment};
    struct loop loop;
    struct error error = {0};
    struct client_run run;
    assert_true(loop_init(&loop, CLOCK_VIRTUAL, &error));
    assert_false(builtin_run(&loop, &options, &run, &error));
    assert_true(error.message[0] != '\0');
    assert_null(run.output);
    loop_free(&loop);
    scenario_free(&scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_is_served_writes_a_line_and_ends_well),
        cmocka_unit_test(a_call_that_fails_writes_its_whole_error_and_ends_badly),
        cmocka_unit_test(one_call_that_fails_is_enough_to_end_badly),
        cmocka_unit_test(waits_take_no_time_and_are_exact_to_the_nanosecond),
        cmocka_unit_test(messages_differ_unless_they_are_to_be_equal),
        cmocka_unit_test(each_call_sends_its_marker_where_it_is_asked_for),
        cmocka_unit_test(the_gate_keeps_calls_back),
        cmocka_unit_test(a_time_out_ends_it_on_the_virtual_clock),
        cmocka_unit_test(a_time_out_at_the_end_does_not_outlive_the_run),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(what_is_stopped_ends_at_once),
        cmocka_unit_test(a_base_url_that_is_none_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
