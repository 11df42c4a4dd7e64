#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_evidence.h"

/* Calls with so many attempts each. */
static struct result calls_of(size_t count, const int attempts[])
{
    struct result result = sample_result("counts", "s.json");
    for (size_t i = 0; i < count; i++) {
        struct call *call = sample_call(&result);
        for (int j = 0; j < attempts[i]; j++)
            sample_attempt(&result, call, j + 1 < attempts[i] ? 429 : 200, j, j);
    }
    return result;
}

static void requests_are_counted_on_the_wire(void **state)
{
    (void)state;
    struct result result = calls_of(2, (const int[]){3, 1});
    assert_held("\"requests\": 4", &result, "4", "4");
    assert_held("\"requests\": {\"min\": 4}", &result, "at least 4", "4");
    assert_held("\"requests\": {\"max\": 4}", &result, "at most 4", "4");
    assert_held("\"requests\": {\"min\": 3, \"max\": 5}", &result, "3 to 5", "4");
    assert_held("\"requests\": {\"min\": 4, \"max\": 4}", &result, "4", "4");
    assert_failed("\"requests\": 3", &result, "3", "4", "Retries multiply");
    assert_failed("\"requests\": {\"max\": 3}", &result, "at most 3", "4", "Retries multiply");
    assert_failed("\"requests\": 5", &result, "5", "4", "The client gave up earlier");
    assert_failed("\"requests\": {\"min\": 5}", &result, "at least 5", "4",
                  "The client gave up earlier");
    result_free(&result);
}

static void large_numbers_are_told_in_full(void **state)
{
    (void)state;
    struct result result = sample_result("counts", "s.json");
    result.requests = 1234567;
    assert_failed("\"requests\": {\"min\": 7654321, \"max\": 999999999}", &result,
                  "7654321 to 999999999", "1234567", NULL);
    result_free(&result);
}

static void calls_are_counted(void **state)
{
    (void)state;
    struct result result = calls_of(2, (const int[]){3, 1});
    assert_held("\"calls\": 2", &result, "2", "2");
    assert_failed("\"calls\": 1", &result, "1", "2", "More calls than asked");
    assert_failed("\"calls\": 3", &result, "3", "2", "The client made fewer calls");
    result_free(&result);
}

static void every_call_must_have_the_attempts(void **state)
{
    (void)state;
    struct result result = calls_of(3, (const int[]){3, 3, 3});
    assert_held("\"attempts_per_call\": 3", &result, "3", "3");
    assert_failed("\"attempts_per_call\": 2", &result, "2", "3", "The client tries too often");
    assert_failed("\"attempts_per_call\": 4", &result, "4", "3", "The client gives up too early");
    result_free(&result);
    result = calls_of(3, (const int[]){3, 4, 3});
    assert_failed("\"attempts_per_call\": 3", &result, "3", "3, 4, 3",
                  "The client tries too often");
    assert_held("\"attempts_per_call\": {\"min\": 3, \"max\": 4}", &result, "3 to 4", "3, 4, 3");
    result_free(&result);
}

static void a_client_without_a_call_has_no_attempts(void **state)
{
    (void)state;
    struct result result = sample_result("counts", "s.json");
    assert_failed("\"attempts_per_call\": {\"max\": 3}", &result, "at most 3", "no call at all",
                  "The client never reached the server");
    assert_failed("\"loop_attempts_per_call\": 0", &result, "0", "no call at all",
                  "The client never reached the server");
    result_free(&result);
}

static void a_long_list_of_calls_ends_in_dots(void **state)
{
    (void)state;
    enum { CALLS = 200 };
    int attempts[CALLS];
    for (int i = 0; i < CALLS; i++)
        attempts[i] = 1 + i % 2;
    struct result result = calls_of(CALLS, attempts);
    struct verdict verdict = judged("\"attempts_per_call\": 1", &result);
    assert_int_equal(strncmp(verdict.seen, "1, 2, 1, 2, ", 12), 0);
    assert_string_equal(verdict.seen + strlen(verdict.seen) - 9, "1, 2, ...");
    free(verdict.expected);
    free(verdict.seen);
    result_free(&result);
}

static void the_loops_attempts_are_without_the_sdks(void **state)
{
    (void)state;
    struct result result = sample_amplified();
    assert_held("\"loop_attempts_per_call\": 3", &result, "3", "3");
    assert_held("\"attempts_per_call\": 9", &result, "9", "9");
    assert_failed("\"loop_attempts_per_call\": 2", &result, "2", "3",
                  "The client's own loop tries too often");
    assert_failed("\"loop_attempts_per_call\": 4", &result, "4", "3",
                  "The client's own loop gives up");
    assert_failed("\"attempts_per_call\": 3", &result, "3", "9", "The client tries too often");
    result_free(&result);
}

static void the_most_in_flight_is_judged(void **state)
{
    (void)state;
    struct result result = calls_of(1, (const int[]){1});
    result.in_flight_most = 3;
    assert_held("\"max_in_flight\": 3", &result, "3", "3");
    assert_held("\"max_in_flight\": {\"max\": 3}", &result, "at most 3", "3");
    assert_failed("\"max_in_flight\": 2", &result, "2", "3", "The client has more requests");
    assert_failed("\"max_in_flight\": 4", &result, "4", "3", "The client never had");
    result_free(&result);
}

static void answers_429_are_counted(void **state)
{
    (void)state;
    struct result result = calls_of(1, (const int[]){3});
    assert_held("\"throttled\": 2", &result, "2", "2");
    assert_failed("\"throttled\": 0", &result, "0", "2", "More 429s than expected");
    assert_failed("\"throttled\": {\"min\": 3}", &result, "at least 3", "2",
                  "Fewer 429s than expected");
    result_free(&result);
}

static void the_share_of_429s_is_in_percent(void **state)
{
    (void)state;
    struct result result = calls_of(1, (const int[]){4});
    assert_held("\"throttled_share\": 75", &result, "75 %", "75 %");
    assert_held("\"throttled_share\": {\"max\": 75}", &result, "at most 75 %", "75 %");
    assert_failed("\"throttled_share\": {\"max\": 74.9}", &result, "at most 74.9 %", "75 %",
                  "Too many requests were refused");
    assert_failed("\"throttled_share\": {\"min\": 75.1}", &result, "75.1 to 100 %", "75 %",
                  "Fewer requests were refused");
    result_free(&result);
    result = sample_result("none", "s.json");
    assert_held("\"throttled_share\": 0", &result, "0 %", "0 %");
    result_free(&result);
}

static void quota_used_is_the_fullest_dimension(void **state)
{
    (void)state;
    struct result result = calls_of(1, (const int[]){1});
    sample_usage(&result, "requests_per_minute", 60, 12, 0);
    sample_usage(&result, "tokens_per_minute", 1000, 805, 0);
    assert_held("\"quota_used\": {\"max\": 80.5}", &result, "at most 80.5 %", "80.5 %");
    assert_failed("\"quota_used\": {\"max\": 80}", &result, "at most 80 %", "80.5 %",
                  "The client uses more");
    assert_failed("\"quota_used\": {\"min\": 90}", &result, "at least 90 %", "80.5 %",
                  "The client used less");
    sample_usage(&result, "requests_per_day", 1, 20, 0);
    assert_failed("\"quota_used\": {\"max\": 80}", &result, "at most 80 %", "2000 %", NULL);
    result_free(&result);
}

static void a_limit_of_nothing_is_used_up(void **state)
{
    (void)state;
    struct result result = calls_of(1, (const int[]){1});
    sample_usage(&result, "requests_total", 0, 0, 1);
    assert_held("\"quota_used\": 100", &result, "100 %", "100 %");
    result_free(&result);
}

static void without_a_quota_nothing_shows_what_is_used(void **state)
{
    (void)state;
    struct result result = calls_of(1, (const int[]){1});
    assert_failed("\"quota_used\": {\"max\": 80}", &result, "at most 80 %", "no quota was used",
                  "The client asked for no model");
    result_free(&result);
}

static void what_rests_on_ambiguous_calls_is_not_decided(void **state)
{
    (void)state;
    struct result result = calls_of(2, (const int[]){2, 2});
    result.calls[1].grouping = GROUPED_AMBIGUOUS;
    static const char hint[] = "Calls with equal bodies ran at the same time";
    sample_assert("\"calls\": 2", &result, VERDICT_UNDETERMINED, "2", "2", hint);
    sample_assert("\"attempts_per_call\": 2", &result, VERDICT_UNDETERMINED, "2", "2", hint);
    sample_assert("\"attempts_per_call\": 3", &result, VERDICT_UNDETERMINED, "3", "2", hint);
    assert_held("\"requests\": 4", &result, "4", "4");
    assert_held("\"throttled\": 2", &result, "2", "2");
    result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_counted_on_the_wire),
        cmocka_unit_test(large_numbers_are_told_in_full),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(every_call_must_have_the_attempts),
        cmocka_unit_test(a_client_without_a_call_has_no_attempts),
        cmocka_unit_test(a_long_list_of_calls_ends_in_dots),
        cmocka_unit_test(the_loops_attempts_are_without_the_sdks),
        cmocka_unit_test(the_most_in_flight_is_judged),
        cmocka_unit_test(answers_429_are_counted),
        cmocka_unit_test(the_share_of_429s_is_in_percent),
        cmocka_unit_test(quota_used_is_the_fullest_dimension),
        cmocka_unit_test(a_limit_of_nothing_is_used_up),
        cmocka_unit_test(without_a_quota_nothing_shows_what_is_used),
        cmocka_unit_test(what_rests_on_ambiguous_calls_is_not_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
