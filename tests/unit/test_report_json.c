#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/sample_results.h"

#include <cjson/cJSON.h>
#include <unistr.h>

static const struct report_style style = {.width = 80};

static cJSON *scenario_of(cJSON *root, int index)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(root, "scenarios"), index);
}

static const char *string_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

static double number_of(const cJSON *object, const char *name)
{
    assert_true(cJSON_IsNumber(cJSON_GetObjectItem(object, name)));
    return cJSON_GetObjectItem(object, name)->valuedouble;
}

static bool is_null(const cJSON *object, const char *name)
{
    return cJSON_IsNull(cJSON_GetObjectItem(object, name));
}

static void a_scenario_has_its_fields(void **state)
{
    (void)state;
    char *text = sample_report(report_json, sample_recovers(), style);
    cJSON *root = cJSON_Parse(text);
    cJSON *scenario = scenario_of(root, 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(root, "passed")));
    assert_string_equal(string_of(root, "toomany"), TOOMANY_VERSION);
    assert_string_equal(string_of(scenario, "name"), "recovers when the third attempt is served");
    assert_string_equal(string_of(scenario, "time"), "real");
    assert_true(number_of(scenario, "wall_ms") == 3120);
    cJSON *client = cJSON_GetObjectItem(scenario, "client");
    assert_true(number_of(client, "exit_code") == 0);
    assert_true(is_null(client, "signal"));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(client, "timed_out")));
    cJSON *call = cJSON_GetArrayItem(cJSON_GetObjectItem(scenario, "calls"), 0);
    cJSON *attempts = cJSON_GetObjectItem(call, "attempts");
    assert_int_equal(cJSON_GetArraySize(attempts), 3);
    assert_string_equal(string_of(call, "grouped_by"), "equal bodies");
    cJSON *first = cJSON_GetArrayItem(attempts, 0);
    assert_true(number_of(first, "arrived_ns") == 412e6);
    assert_true(number_of(first, "status") == 429);
    assert_string_equal(string_of(first, "code"), "rate_limit_exceeded");
    assert_true(is_null(first, "retry_after_ns"));
    assert_true(is_null(first, "delay_ns"));
    cJSON *verdict = cJSON_GetArrayItem(cJSON_GetObjectItem(scenario, "verdicts"), 0);
    assert_string_equal(string_of(verdict, "expectation"), "attempts_per_call");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(verdict, "held")));
    assert_true(is_null(verdict, "hint"));
    cJSON_Delete(root);
    free(text);
}

static void numbers_beyond_what_a_double_holds_are_exact(void **state)
{
    (void)state;
    char *text = sample_report(report_json, sample_virtual(), style);
    assert_non_null(strstr(text, "18446744073709551615"));
    assert_non_null(strstr(text, "9007199254740993"));
    assert_non_null(strstr(text, "9007199254740995"));
    free(text);
}

static void virtual_time_gives_the_same_bytes(void **state)
{
    (void)state;
    struct result other = sample_virtual();
    other.wall_ms = 12345;
    char *first = sample_report(report_json, sample_virtual(), style);
    char *second = sample_report(report_json, other, style);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "\"wall_ms\":\tnull"));
    free(first);
    free(second);
}

static void times_are_those_since_the_client_was_started(void **state)
{
    (void)state;
    struct result result = sample_result("late", "late.json");
    sample_attempt(&result, sample_call(&result), 200, 500, 600);
    sample_run(&result, 0, 400, 700, "", "");
    char *text = sample_report(report_json, result, style);
    cJSON *root = cJSON_Parse(text);
    cJSON *call = cJSON_GetArrayItem(cJSON_GetObjectItem(scenario_of(root, 0), "calls"), 0);
    cJSON *attempt = cJSON_GetArrayItem(cJSON_GetObjectItem(call, "attempts"), 0);
    assert_true(number_of(attempt, "arrived_ns") == 100e6);
    assert_true(number_of(attempt, "answered_ns") == 200e6);
    cJSON_Delete(root);
    free(text);
}

static void hostile_text_stays_valid_json_and_utf8(void **state)
{
    (void)state;
    char *text = sample_report(report_json, sample_hostile(), style);
    assert_null(u8_check((const uint8_t *)text, strlen(text)));
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    cJSON *scenario = scenario_of(root, 0);
    assert_non_null(strstr(string_of(scenario, "name"), "'\xef\xbf\xbd\x1b[31m'"));
    cJSON *client = cJSON_GetObjectItem(scenario, "client");
    assert_true(is_null(client, "exit_code"));
    assert_true(number_of(client, "signal") == 11);
    cJSON *run = cJSON_GetArrayItem(cJSON_GetObjectItem(scenario, "runs"), 0);
    assert_memory_equal(string_of(run, "stderr"),
                        "a\xef\xbf\xbd"
                        "b ",
                        6); /* a NUL is replaced */
    cJSON *verdicts = cJSON_GetObjectItem(scenario, "verdicts");
    cJSON *undetermined = cJSON_GetArrayItem(verdicts, 1);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(undetermined, "held")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(undetermined, "undetermined")));
    cJSON *call = cJSON_GetArrayItem(cJSON_GetObjectItem(scenario, "calls"), 0);
    cJSON *lost = cJSON_GetArrayItem(cJSON_GetObjectItem(call, "attempts"), 1);
    assert_true(is_null(lost, "status"));
    assert_true(is_null(lost, "answered_ns"));
    cJSON_Delete(root);
    free(text);
}

static void what_could_not_run_says_why(void **state)
{
    (void)state;
    char *text = sample_report(report_json, sample_could_not_run(), style);
    cJSON *root = cJSON_Parse(text);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(root, "passed")));
    assert_true(number_of(cJSON_GetObjectItem(root, "counts"), "could_not_run") == 1);
    assert_non_null(strstr(string_of(scenario_of(root, 0), "error"), "was not found in PATH"));
    assert_true(is_null(cJSON_GetObjectItem(scenario_of(root, 0), "client"), "exit_code"));
    cJSON_Delete(root);
    free(text);
}

static void a_full_disk_is_noticed(void **state)
{
    (void)state;
    assert_true(sample_fails_when_full(report_json));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_has_its_fields),
        cmocka_unit_test(numbers_beyond_what_a_double_holds_are_exact),
        cmocka_unit_test(virtual_time_gives_the_same_bytes),
        cmocka_unit_test(times_are_those_since_the_client_was_started),
        cmocka_unit_test(hostile_text_stays_valid_json_and_utf8),
        cmocka_unit_test(what_could_not_run_says_why),
        cmocka_unit_test(a_full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
