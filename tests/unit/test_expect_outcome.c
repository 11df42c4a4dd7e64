#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_evidence.h"

/* One run whose only call ended with this status and code; the client ended so. */
static struct result ended(int status, const char *code, int exit_code, int signal)
{
    struct result result = sample_result("outcome", "s.json");
    struct call *call = sample_call(&result);
    struct attempt *attempt = sample_attempt(&result, call, status, 0, status == 0 ? -1 : 1);
    snprintf(attempt->code, sizeof attempt->code, "%s", code);
    struct client_run *run = sample_run(&result, exit_code, 0, 10, "", "");
    run->signal = signal;
    return result;
}

/* Adds a run with a call of its own. */
static void end_again(struct result *result, int status, int exit_code)
{
    sample_run(result, exit_code, 20, 30, "", "");
    struct call *call = sample_call(result);
    call->run = (int)result->run_count - 1;
    sample_attempt(result, call, status, 21, 22);
}

static const char MUST_RAISE[] = "The last error must reach the caller";
static const char MUST_SUCCEED[] = "The client did not come through";

static void raises_is_a_bad_answer_and_a_failure_to_the_caller(void **state)
{
    (void)state;
    static const struct {
        int status;
        int exit_code;
        int signal;
        const char *seen;
    } rows[] = {
        {429, 1, 0, "raises"},
        {500, 2, 0, "raises"},
        {0, 1, 0, "raises"},
        {200, 0, 0, "succeeds"},
        {429, 0, 0, "last status 429, exit code 0"},
        {200, 1, 0, "last status 200, exit code 1"},
        {429, -1, 9, "last status 429, killed by signal 9"},
        {200, -1, 11, "last status 200, killed by signal 11"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct result result = ended(rows[i].status, "", rows[i].exit_code, rows[i].signal);
        bool raises = strcmp(rows[i].seen, "raises") == 0;
        bool succeeds = strcmp(rows[i].seen, "succeeds") == 0;
        sample_assert("\"outcome\": \"raises\"", &result, raises ? VERDICT_HELD : VERDICT_FAILED,
                      "raises", rows[i].seen, MUST_RAISE);
        sample_assert("\"outcome\": \"succeeds\"", &result,
                      succeeds ? VERDICT_HELD : VERDICT_FAILED, "succeeds", rows[i].seen,
                      MUST_SUCCEED);
        result_free(&result);
    }
}

static void a_client_without_a_request_neither_raises_nor_succeeds(void **state)
{
    (void)state;
    struct result result = sample_result("outcome", "s.json");
    assert_failed("\"outcome\": \"raises\"", &result, "raises", "the client was not started",
                  MUST_RAISE);
    sample_run(&result, 0, 0, 1, "", "");
    assert_failed("\"outcome\": \"succeeds\"", &result, "succeeds",
                  "no request at all, exit code 0", MUST_SUCCEED);
    assert_failed("\"final_status\": 200", &result, "200", "no request", NULL);
    assert_failed("\"final_code\": null", &result, "none", "no request", NULL);
    result_free(&result);
}

static void the_last_answer_is_that_of_the_attempt_that_came_last(void **state)
{
    (void)state;
    struct result result = sample_result("outcome", "s.json");
    struct call *call = sample_call(&result);
    sample_attempt(&result, call, 429, 0, 1);
    struct call *second = sample_call(&result);
    sample_attempt(&result, second, 503, 5, 6);
    sample_attempt(&result, &result.calls[0], 200, 10, 11);
    sample_run(&result, 0, 0, 20, "", "");
    assert_held("\"final_status\": 200", &result, "200", "200");
    assert_held("\"final_code\": null", &result, "none", "none");
    assert_failed("\"final_status\": 503", &result, "503", "200",
                  "The last answer that the client");
    result_free(&result);
}

static void the_last_code_is_compared(void **state)
{
    (void)state;
    struct result result = ended(429, "insufficient_quota", 1, 0);
    assert_held("\"final_code\": \"insufficient_quota\"", &result, "insufficient_quota",
                "insufficient_quota");
    assert_failed("\"final_code\": null", &result, "none", "insufficient_quota",
                  "The last answer that the client got is another one.");
    result_free(&result);
}

static void exit_codes_are_compared(void **state)
{
    (void)state;
    static const char hint[] = "The exit code is what CI and shell scripts see";
    struct result result = ended(429, "", 3, 0);
    assert_held("\"exit_code\": 3", &result, "3", "3");
    assert_held("\"exit_code\": \"nonzero\"", &result, "nonzero", "3");
    assert_failed("\"exit_code\": 0", &result, "0", "3", hint);
    result_free(&result);
    result = ended(429, "", 0, 0);
    assert_failed("\"exit_code\": \"nonzero\"", &result, "nonzero", "0", hint);
    result_free(&result);
    result = ended(429, "", -1, 6);
    assert_failed("\"exit_code\": \"nonzero\"", &result, "nonzero", "killed by signal 6", hint);
    result_free(&result);
}

static void one_value_stands_for_every_run(void **state)
{
    (void)state;
    struct result result = ended(200, "", 0, 0);
    end_again(&result, 200, 0);
    end_again(&result, 200, 0);
    assert_held("\"exit_code\": 0", &result, "0", "0");
    assert_held("\"outcome\": \"succeeds\"", &result, "succeeds", "succeeds");
    result.runs[1].exit_code = 4;
    assert_failed("\"exit_code\": 0", &result, "0", "0, 4, 0", NULL);
    result_free(&result);
}

static void a_list_gives_one_value_a_run(void **state)
{
    (void)state;
    struct result result = ended(429, "", 1, 0);
    end_again(&result, 200, 0);
    assert_held("\"outcome\": [\"raises\", \"succeeds\"]", &result, "raises, succeeds",
                "raises, succeeds");
    assert_held("\"final_status\": [429, 200]", &result, "429, 200", "429, 200");
    assert_failed("\"final_status\": [200, 429]", &result, "200, 429", "429, 200", NULL);
    /* One too many, one too few: also where all are equal. */
    assert_failed("\"exit_code\": [1, 0, 0]", &result, "1, 0, 0", "1, 0", NULL);
    end_again(&result, 200, 0);
    assert_failed("\"exit_code\": [1, 0]", &result, "1, 0", "1, 0, 0", NULL);
    result_free(&result);
}

static void many_runs_are_told_in_full(void **state)
{
    (void)state;
    struct result result = ended(429, "", 1, 0);
    for (int i = 1; i < 100; i++)
        end_again(&result, 200, 0);
    struct verdict verdict = judged("\"outcome\": \"succeeds\"", &result);
    assert_int_equal(verdict.state, VERDICT_FAILED);
    assert_int_equal(strlen(verdict.seen), strlen("raises") + 99 * strlen(", succeeds"));
    free(verdict.expected);
    free(verdict.seen);
    result_free(&result);
}

static void what_must_not_be_retried_is_not(void **state)
{
    (void)state;
    struct result result = ended(429, "insufficient_quota", 1, 0);
    assert_held("\"not_retried\": \"insufficient_quota\"", &result,
                "no retry after insufficient_quota", "1 such answer, none retried");
    assert_held("\"not_retried\": 429", &result, "no retry after 429",
                "1 such answer, none retried");
    assert_held("\"not_retried\": [\"insufficient_quota\", 400]", &result,
                "no retry after insufficient_quota, 400", "1 such answer, none retried");
    assert_failed("\"not_retried\": 400", &result, "no retry after 400", "no such answer was given",
                  "The client never met this error");
    sample_attempt(&result, &result.calls[0], 429, 5, 6);
    assert_failed("\"not_retried\": \"insufficient_quota\"", &result,
                  "no retry after insufficient_quota", "1 retry after insufficient_quota",
                  "Waiting does not cure this error");
    assert_failed("\"not_retried\": 429", &result, "no retry after 429",
                  "1 retry after insufficient_quota", "Waiting does not cure");
    sample_attempt(&result, &result.calls[0], 429, 15, 16);
    assert_failed("\"not_retried\": 429", &result, "no retry after 429",
                  "2 retries after rate_limit_exceeded", "Waiting does not cure");
    result_free(&result);
}

static void a_retried_error_without_a_code_is_told_too(void **state)
{
    (void)state;
    struct result result = ended(400, "", 1, 0);
    sample_attempt(&result, &result.calls[0], 200, 5, 6);
    assert_failed("\"not_retried\": 400", &result, "no retry after 400", "1 retry after it", NULL);
    result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raises_is_a_bad_answer_and_a_failure_to_the_caller),
        cmocka_unit_test(a_client_without_a_request_neither_raises_nor_succeeds),
        cmocka_unit_test(the_last_answer_is_that_of_the_attempt_that_came_last),
        cmocka_unit_test(the_last_code_is_compared),
        cmocka_unit_test(exit_codes_are_compared),
        cmocka_unit_test(one_value_stands_for_every_run),
        cmocka_unit_test(a_list_gives_one_value_a_run),
        cmocka_unit_test(many_runs_are_told_in_full),
        cmocka_unit_test(what_must_not_be_retried_is_not),
        cmocka_unit_test(a_retried_error_without_a_code_is_told_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
