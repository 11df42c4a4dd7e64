#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness/judge.h"
#include "tests/unit/sample_journal.h"
#include "tests/unit/sample_results.h"

/* A scenario with this server and these expectations, and a run of it. */
struct trial {
    struct scenario scenario;
    struct api api;
    struct journal *journal;
    struct result result;
    bool journal_overflowed;
    uint64_t run_lasts[4];
};

static struct trial trial_of(const char *server, const char *expect)
{
    struct trial trial = {.journal = journal_new(100, JOURNAL_REFUSE)};
    struct error error = {0};
    char *text = NULL;
    char told[1400];
    assert_true(asprintf(&text,
                         "{\"name\": \"n\", \"server\": {%s}, \"client\": {\"command\": [\"x\"]}, "
                         "\"expect\": {%s}}",
                         server, expect) > 0);
    if (!scenario_parse(&trial.scenario, text, strlen(text), "s.json", &error))
        fail_msg("%s", error_text(&error, told, sizeof told));
    free(text);
    return trial;
}

static void request(struct trial *trial, struct sample_request request)
{
    sample_request(trial->journal, request);
}

static void finish(struct trial *trial)
{
    assert_true(api_init(&trial->api, &trial->scenario.server, 1, 0));
    if (trial->result.run_count == 0) {
        trial->result = sample_result("n", "s.json");
        sample_run(&trial->result, 0, 0, 100, "", "");
    }
}

static void judge_it(struct trial *trial)
{
    trial->run_lasts[trial->result.run_count - 1] = journal_total(trial->journal);
    struct judge_input input = {
        .scenario = &trial->scenario,
        .journal = trial->journal,
        .api = &trial->api,
        .journal_overflowed = trial->journal_overflowed,
        .run_lasts = trial->run_lasts,
    };
    assert_true(judge(&input, &trial->result));
}

static const struct verdict *verdict_on(const struct trial *trial, const char *name)
{
    for (size_t i = 0; i < trial->result.verdict_count; i++) {
        if (strcmp(trial->result.verdicts[i].expectation, name) == 0)
            return &trial->result.verdicts[i];
    }
    return NULL;
}

static void assert_verdict(const struct trial *trial, const char *name, bool holds,
                           const char *expected, const char *seen, const char *hint)
{
    const struct verdict *verdict = verdict_on(trial, name);
    if (verdict == NULL)
        fail_msg("no verdict on %s", name);
    assert_int_equal(verdict->state, holds ? VERDICT_HELD : VERDICT_FAILED);
    assert_string_equal(verdict->expected, expected);
    assert_string_equal(verdict->seen, seen);
    assert_int_equal(strncmp(verdict->hint, hint, strlen(hint)), 0);
    assert_true(!holds || verdict->hint[0] == '\0');
}

static void assert_note(const struct trial *trial, const char *note)
{
    for (size_t i = 0; i < trial->result.note_count; i++) {
        if (strcmp(trial->result.notes[i], note) == 0)
            return;
    }
    for (size_t i = 0; i < trial->result.note_count; i++)
        print_error("note: %s\n", trial->result.notes[i]);
    fail_msg("no note: %s", note);
}

static void forget(struct trial *trial)
{
    result_free(&trial->result);
    api_free(&trial->api);
    journal_free(trial->journal);
    scenario_free(&trial->scenario);
}

/* A trial whose client made one call that was served. */
static struct trial served(const char *expect)
{
    struct trial trial = trial_of("", expect);
    request(&trial, (struct sample_request){.at_ms = 5, .status = 200});
    finish(&trial);
    return trial;
}

static void what_holds_for_every_run_holds_for_a_good_one(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1");
    judge_it(&trial);
    assert_true(trial.result.passed);
    assert_int_equal(trial.result.verdict_count, 5);
    assert_verdict(&trial, "calls", true, "1", "1", "");
    assert_verdict(&trial, "finished", true, "ends by itself within 1m0s", "it did", "");
    assert_verdict(&trial, "not_killed", true, "does not die of a signal", "it did not", "");
    assert_verdict(&trial, "output_bounded", true, "writes at most 8388608 bytes", "it did", "");
    assert_verdict(&trial, "no_processes_left", true, "leaves no process behind", "none was left",
                   "");
    assert_int_equal(trial.result.requests, 1);
    assert_int_equal(trial.result.throttled, 0);
    assert_int_equal(trial.result.in_flight_most, 1);
    assert_int_equal(trial.result.duration_ns, 100 * NS_PER_MS);
    assert_int_equal(trial.result.note_count, 0);
    forget(&trial);
}

static void one_expectation_that_fails_fails_all(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1, \"requests\": 2, \"exit_code\": 0");
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "requests", false, "2", "1", "The client gave up earlier");
    forget(&trial);
}

static void an_interrupted_run_does_not_pass(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1, \"requests\": 2");
    trial.result.interrupted = true;
    trial.result.runs[0].signal = 15; /* of ours: it has not crashed */
    trial.result.runs[0].survivors = strdup("sh");
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_int_equal(verdict_on(&trial, "not_killed")->state, VERDICT_HELD);
    assert_int_equal(verdict_on(&trial, "no_processes_left")->state, VERDICT_HELD);
    /* The second request might still have come. */
    assert_int_equal(verdict_on(&trial, "requests")->state, VERDICT_UNDETERMINED);
    assert_string_equal(verdict_on(&trial, "requests")->hint, "");
    forget(&trial);
}

static void a_client_that_hangs_fails(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1");
    trial.result.runs[0].timed_out = true;
    trial.result.runs[0].signal = 9;
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "finished", false, "ends by itself within 1m0s",
                   "still running, was killed", "The client hangs");
    assert_int_equal(verdict_on(&trial, "not_killed")->state, VERDICT_HELD);
    forget(&trial);
}

static void a_client_that_dies_of_a_signal_fails(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1");
    trial.result.runs[0].signal = 11;
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "not_killed", false, "does not die of a signal",
                   "killed by signal 11 (Segmentation fault)", "The program crashed");
    forget(&trial);
}

static void a_client_that_writes_too_much_fails(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1");
    trial.result.runs[0].output_exceeded = true;
    trial.result.runs[0].signal = 9;
    trial.result.runs[0].output_bytes = 8388700;
    judge_it(&trial);
    assert_verdict(&trial, "output_bounded", false, "writes at most 8388608 bytes",
                   "8388700 bytes when it was ended", "The client writes without end");
    assert_int_equal(verdict_on(&trial, "not_killed")->state, VERDICT_HELD);
    forget(&trial);
}

static void a_client_that_leaves_processes_behind_fails_unless_it_may(void **state)
{
    (void)state;
    struct trial trial = served("\"calls\": 1");
    trial.result.runs[0].survivors = strdup("sh, sleep (2)");
    judge_it(&trial);
    assert_verdict(&trial, "no_processes_left", false, "leaves no process behind", "sh, sleep (2)",
                   "A process that the client started outlived it");
    forget(&trial);
    trial = served("\"calls\": 1, \"leaves_processes\": true");
    trial.result.runs[0].survivors = strdup("sh, sleep (2)");
    judge_it(&trial);
    assert_true(trial.result.passed);
    assert_null(verdict_on(&trial, "no_processes_left"));
    forget(&trial);
}

static void a_fault_in_any_run_counts(void **state)
{
    (void)state;
    struct trial trial = served("\"requests\": 1");
    trial.result.runs[0].signal = 6;
    trial.run_lasts[0] = 1;
    sample_run(&trial.result, 0, 200, 300, "", "");
    judge_it(&trial);
    assert_int_equal(verdict_on(&trial, "not_killed")->state, VERDICT_FAILED);
    assert_int_equal(trial.result.duration_ns, 300 * NS_PER_MS);
    forget(&trial);
}

static void a_step_that_was_not_played_fails(void **state)
{
    (void)state;
    static const char script[] = "\"script\": [{\"answer\": {\"error\": \"server_error\"}}, "
                                 "{\"answer\": {\"error\": \"server_error\"}, \"times\": 3}]";
    struct trial trial = trial_of(script, "\"requests\": {\"min\": 1}");
    request(&trial, (struct sample_request){.status = 500});
    finish(&trial);
    trial.api.script_states[0].played = 1;
    trial.api.script_states[1].played = 2;
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "script_played", false, "every step of the script is played",
                   "step 2 was played 2 of 3 times", "The client ended before it met all");
    forget(&trial);
    trial = trial_of(script, "\"requests\": {\"min\": 1}, \"script_played\": \"partly\"");
    request(&trial, (struct sample_request){.status = 500});
    finish(&trial);
    judge_it(&trial);
    assert_true(trial.result.passed);
    forget(&trial);
}

static void a_step_without_an_end_must_be_played_once(void **state)
{
    (void)state;
    static const char script[] =
        "\"script\": [{\"answer\": {\"error\": \"server_error\"}, \"times\": \"forever\"}]";
    for (int played = 0; played <= 1; played++) {
        struct trial trial = trial_of(script, "\"requests\": {\"min\": 1}");
        request(&trial, (struct sample_request){.status = 500});
        finish(&trial);
        trial.api.script_states[0].played = played;
        judge_it(&trial);
        assert_verdict(&trial, "script_played", played == 1, "every step of the script is played",
                       played == 1 ? "all were" : "step 1 was played 0 of 1 times",
                       played == 1 ? "" : "The client ended");
        forget(&trial);
    }
}

static const char LIMITED[] = "\"quotas\": {\"*\": {\"requests_per_minute\": 60}}";

static void a_client_that_never_met_the_limit_does_not_pass(void **state)
{
    (void)state;
    struct trial trial = trial_of(LIMITED, "\"requests\": 1");
    request(&trial, (struct sample_request){.status = 200});
    finish(&trial);
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "met_the_limit", false, "at least one 429 was sent", "0 of 1 requests",
                   "The limit was never reached");
    forget(&trial);

    trial = trial_of(LIMITED, "\"requests\": 2");
    request(&trial, (struct sample_request){.status = 429});
    request(&trial, (struct sample_request){.at_ms = 1000, .status = 200});
    finish(&trial);
    judge_it(&trial);
    assert_verdict(&trial, "met_the_limit", true, "at least one 429 was sent", "1 of 2 requests",
                   "");
    assert_true(trial.result.passed);
    forget(&trial);

    trial = trial_of(LIMITED, "\"throttled\": 0");
    request(&trial, (struct sample_request){.status = 200});
    finish(&trial);
    judge_it(&trial);
    assert_null(verdict_on(&trial, "met_the_limit"));
    assert_true(trial.result.passed);
    forget(&trial);
}

static void a_client_that_never_called_does_not_pass(void **state)
{
    (void)state;
    struct trial trial = trial_of(LIMITED, "\"throttled_share\": {\"max\": 50}");
    finish(&trial);
    judge_it(&trial);
    assert_verdict(&trial, "met_the_limit", false, "at least one 429 was sent", "0 of 0 requests",
                   "The client never reached the server");
    forget(&trial);

    trial = trial_of(LIMITED, "\"throttled\": 0");
    finish(&trial);
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "throttled", true, "0", "0", "");
    assert_verdict(&trial, "reached_the_server", false, "at least one request is sent", "none",
                   "The client never reached the server");
    forget(&trial);

    trial = trial_of("", "\"requests\": 0");
    finish(&trial);
    judge_it(&trial);
    assert_true(trial.result.passed);
    forget(&trial);
}

static void a_full_journal_fails_and_says_why(void **state)
{
    (void)state;
    struct trial trial = served("\"requests\": 1");
    trial.journal_overflowed = true;
    trial.result.runs[0].signal = 9; /* ended because of it */
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_verdict(&trial, "journal_complete", false, "every request fits into the journal",
                   "full after 1 requests", "The client sends requests in a hot loop");
    assert_int_equal(verdict_on(&trial, "not_killed")->state, VERDICT_HELD);
    forget(&trial);
}

static void only_requests_to_a_model_count(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"requests\": 1, \"max_in_flight\": 1");
    request(&trial, (struct sample_request){.method = "GET", .takes_ms = 50, .status = 200});
    request(&trial, (struct sample_request){.at_ms = 10, .status = 200});
    finish(&trial);
    judge_it(&trial);
    assert_true(trial.result.passed);
    forget(&trial);
}

static void the_most_in_flight_is_counted_from_the_journal(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"requests\": 5");
    request(&trial, (struct sample_request){.at_ms = 0, .takes_ms = 10, .status = 200, .body = 1});
    request(&trial, (struct sample_request){.at_ms = 5, .takes_ms = 10, .status = 200, .body = 2});
    /* In the moment in which the first ends: it has ended before. */
    request(&trial, (struct sample_request){.at_ms = 10, .takes_ms = 4, .status = 200, .body = 3});
    request(&trial, (struct sample_request){.at_ms = 15, .takes_ms = 10, .status = 200, .body = 4});
    request(&trial, (struct sample_request){.at_ms = 15, .takes_ms = -1, .status = 0, .body = 5});
    finish(&trial);
    judge_it(&trial);
    assert_int_equal(trial.result.in_flight_most, 2);
    forget(&trial);
}

static void one_that_never_ended_is_in_flight_to_the_end(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"requests\": 3");
    request(&trial, (struct sample_request){.at_ms = 0, .takes_ms = -1, .status = 0, .body = 1});
    request(&trial, (struct sample_request){.at_ms = 50, .takes_ms = 1, .status = 200, .body = 2});
    request(&trial, (struct sample_request){.at_ms = 90, .takes_ms = -1, .status = 0, .body = 3});
    finish(&trial);
    judge_it(&trial);
    assert_int_equal(trial.result.in_flight_most, 2);
    forget(&trial);
}

static void the_wait_at_the_end_is_that_of_the_last_run(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"wait_after_last\": {\"max\": \"10ms\"}");
    request(&trial, (struct sample_request){.at_ms = 0, .status = 200});
    request(&trial, (struct sample_request){.at_ms = 290, .status = 200});
    finish(&trial);
    trial.run_lasts[0] = 1;
    sample_run(&trial.result, 0, 200, 300, "", "");
    judge_it(&trial);
    assert_verdict(&trial, "wait_after_last", true, "at most 10ms", "9ms", "");
    forget(&trial);

    trial = trial_of("", "\"wait_after_last\": {\"max\": \"10ms\"}");
    request(&trial, (struct sample_request){.at_ms = 0, .status = 200});
    finish(&trial);
    trial.run_lasts[0] = 1;
    sample_run(&trial.result, 0, 200, 300, "", "");
    judge_it(&trial);
    assert_int_equal(verdict_on(&trial, "wait_after_last")->state, VERDICT_FAILED);
    forget(&trial);
}

/* Notes */

static void the_loop_and_its_sdk_multiply(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"requests\": 9");
    for (int i = 0; i < 9; i++)
        request(&trial,
                (struct sample_request){.at_ms = 100 * i, .status = 429, .counter = 1 + i % 3});
    finish(&trial);
    judge_it(&trial);
    assert_note(&trial, "3 attempts in the client's loop, 9 requests on the wire: its SDK retries "
                        "by itself (x-stainless-retry-count); max_retries=0 turns that off");
    forget(&trial);
}

static void a_client_without_a_loop_has_an_sdk_that_retries(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"requests\": 3");
    for (int i = 0; i < 3; i++)
        request(&trial, (struct sample_request){.at_ms = 100 * i, .status = 429, .counter = 1 + i});
    finish(&trial);
    judge_it(&trial);
    assert_note(&trial, "1 call, 3 requests on the wire: the client's SDK retries by itself "
                        "(x-stainless-retry-count); max_retries=0 turns that off");
    forget(&trial);
    trial = trial_of("", "\"requests\": 4");
    for (int i = 0; i < 4; i++)
        request(&trial, (struct sample_request){.at_ms = 100 * i,
                                                .status = i % 2 == 0 ? 429 : 200,
                                                .body = (uint64_t)i / 2,
                                                .counter = 1 + i % 2});
    finish(&trial);
    judge_it(&trial);
    assert_note(&trial, "2 calls, 4 requests on the wire: the client's SDK retries by itself "
                        "(x-stainless-retry-count); max_retries=0 turns that off");
    forget(&trial);
}

static void without_retries_of_an_sdk_nothing_is_said_of_them(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"requests\": 2");
    request(&trial, (struct sample_request){.at_ms = 0, .status = 429, .counter = 1});
    request(&trial, (struct sample_request){.at_ms = 1000, .status = 200, .counter = 1});
    finish(&trial);
    judge_it(&trial);
    assert_int_equal(trial.result.note_count, 0);
    forget(&trial);
}

static void what_is_not_certain_is_said(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"attempts_per_call\": 2");
    for (int i = 0; i < 4; i++)
        request(&trial, (struct sample_request){.at_ms = i < 2 ? i : 1000 + i,
                                                .takes_ms = 10,
                                                .status = i < 2 ? 429 : 200,
                                                .connection = 1 + (uint64_t)i % 2});
    finish(&trial);
    judge_it(&trial);
    assert_false(trial.result.passed);
    assert_int_equal(verdict_on(&trial, "attempts_per_call")->state, VERDICT_UNDETERMINED);
    assert_note(&trial, "calls with equal bodies ran at the same time; to which of them 4 attempts "
                        "belong is not certain. Let the client send a marker (\"call_marker\")");
    forget(&trial);
}

static void what_connections_told_apart_is_said(void **state)
{
    (void)state;
    struct trial trial = trial_of("", "\"attempts_per_call\": 2");
    trial.scenario.client.marker_is_connection = true;
    for (int i = 0; i < 4; i++)
        request(&trial, (struct sample_request){.at_ms = i < 2 ? i : 1000 + i,
                                                .takes_ms = 10,
                                                .status = i < 2 ? 429 : 200,
                                                .connection = 1 + (uint64_t)i % 2});
    finish(&trial);
    judge_it(&trial);
    assert_true(trial.result.passed);
    assert_note(&trial, "2 calls with equal bodies ran at the same time; their attempts were told "
                        "apart by their connections");
    forget(&trial);
}

static void what_was_used_of_each_quota_is_told(void **state)
{
    (void)state;
    struct trial trial =
        trial_of("\"quotas\": {\"m\": {\"requests_per_minute\": 2}}", "\"requests\": 1");
    request(&trial, (struct sample_request){.status = 429, .model = "m"});
    finish(&trial);
    struct pool *pool = pools_get(trial.api.pools, "sk-0000", "m", 0);
    for (int i = 0; i < 3; i++) {
        if (!quota_admit(&pool->quota, 0, 1).admitted)
            pool_count_throttled(pool, QUOTA_REQUESTS_PER_MINUTE);
    }
    judge_it(&trial);
    assert_int_equal(trial.result.usage_count, 1);
    assert_string_equal(trial.result.usages[0].model, "m");
    assert_string_equal(trial.result.usages[0].dimension, "requests_per_minute");
    assert_int_equal(trial.result.usages[0].limit, 2);
    assert_int_equal(trial.result.usages[0].peak, 2);
    assert_int_equal(trial.result.usages[0].throttled, 1);
    forget(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_for_every_run_holds_for_a_good_one),
        cmocka_unit_test(one_expectation_that_fails_fails_all),
        cmocka_unit_test(an_interrupted_run_does_not_pass),
        cmocka_unit_test(a_client_that_hangs_fails),
        cmocka_unit_test(a_client_that_dies_of_a_signal_fails),
        cmocka_unit_test(a_client_that_writes_too_much_fails),
        cmocka_unit_test(a_client_that_leaves_processes_behind_fails_unless_it_may),
        cmocka_unit_test(a_fault_in_any_run_counts),
        cmocka_unit_test(a_step_that_was_not_played_fails),
        cmocka_unit_test(a_step_without_an_end_must_be_played_once),
        cmocka_unit_test(a_client_that_never_met_the_limit_does_not_pass),
        cmocka_unit_test(a_client_that_never_called_does_not_pass),
        cmocka_unit_test(a_full_journal_fails_and_says_why),
        cmocka_unit_test(only_requests_to_a_model_count),
        cmocka_unit_test(the_most_in_flight_is_counted_from_the_journal),
        cmocka_unit_test(one_that_never_ended_is_in_flight_to_the_end),
        cmocka_unit_test(the_wait_at_the_end_is_that_of_the_last_run),
        cmocka_unit_test(the_loop_and_its_sdk_multiply),
        cmocka_unit_test(a_client_without_a_loop_has_an_sdk_that_retries),
        cmocka_unit_test(without_retries_of_an_sdk_nothing_is_said_of_them),
        cmocka_unit_test(what_is_not_certain_is_said),
        cmocka_unit_test(what_connections_told_apart_is_said),
        cmocka_unit_test(what_was_used_of_each_quota_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
