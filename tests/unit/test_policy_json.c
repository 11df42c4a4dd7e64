#include "client/policy_json.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool read_policy(const char *text, struct retry_policy *policy, struct error *error)
{
    cJSON *json = json_parse(text, strlen(text), "test.json", error);
    assert_non_null(json);
    struct json_reader reader = {.file = "test.json", .error = error};
    bool is_read = retry_policy_from_json(policy, &reader, json, "/policy");
    cJSON_Delete(json);
    return is_read;
}

static struct retry_policy policy_of(const char *text)
{
    struct retry_policy policy;
    struct error error;
    if (!read_policy(text, &policy, &error))
        fail_msg("%s: %s", error.place, error.message);
    return policy;
}

/* Refused with its place, and with `message` somewhere in what is said; *policy stays as it was. */
static void assert_refused(const char *text, const char *pointer, const char *message)
{
    struct retry_policy policy = {.attempts_max = 77};
    struct error error = {.message = ""};
    if (read_policy(text, &policy, &error))
        fail_msg("%s was read", text);
    assert_int_equal(policy.attempts_max, 77);
    char place[128];
    snprintf(place, sizeof place, "test.json: %s", pointer);
    assert_string_equal(error.place, place);
    if (strstr(error.message, message) == NULL)
        fail_msg("\"%s\" is not in: %s", message, error.message);
}

static void reads_every_key(void **state)
{
    (void)state;
    struct retry_policy policy = policy_of(
        "{\"kind\": \"exponential\", \"max_attempts\": 5, \"base\": \"500ms\", \"factor\": 1.5,"
        " \"cap\": \"8s\", \"jitter\": \"decorrelated\", \"honour_retry_after\": false,"
        " \"retry_after_cap\": \"2m30s\", \"total\": \"1m\"}");
    assert_int_equal(policy.kind, RETRY_EXPONENTIAL);
    assert_int_equal(policy.attempts_max, 5);
    assert_int_equal(policy.base_ns, 500 * NS_PER_MS);
    assert_true(policy.factor == 1.5);
    assert_int_equal(policy.cap_ns, 8 * NS_PER_S);
    assert_int_equal(policy.jitter, RETRY_JITTER_DECORRELATED);
    assert_false(policy.honours_retry_after);
    assert_int_equal(policy.retry_after_cap_ns, 150 * NS_PER_S);
    assert_int_equal(policy.total_ns, 60 * NS_PER_S);
}

static void what_is_not_said_is_the_default(void **state)
{
    (void)state;
    struct retry_policy policy = policy_of("{\"kind\": \"exponential\"}");
    assert_int_equal(policy.attempts_max, 3);
    assert_int_equal(policy.base_ns, NS_PER_S);
    assert_true(policy.factor == 2);
    assert_int_equal(policy.cap_ns, 60 * NS_PER_S);
    assert_int_equal(policy.jitter, RETRY_JITTER_NONE);
    assert_true(policy.honours_retry_after);
    assert_int_equal(policy.retry_after_cap_ns, 120 * NS_PER_S);
    assert_int_equal(policy.total_ns, 0);
}

static void reads_every_kind_and_jitter(void **state)
{
    (void)state;
    assert_int_equal(policy_of("{\"kind\": \"none\"}").kind, RETRY_NONE);
    assert_int_equal(policy_of("{\"kind\": \"fixed\"}").kind, RETRY_FIXED);
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"jitter\": \"none\"}").jitter,
                     RETRY_JITTER_NONE);
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"jitter\": \"full\"}").jitter,
                     RETRY_JITTER_FULL);
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"jitter\": \"equal\"}").jitter,
                     RETRY_JITTER_EQUAL);
}

static void none_makes_one_attempt(void **state)
{
    (void)state;
    assert_int_equal(policy_of("{\"kind\": \"none\"}").attempts_max, 1);
    assert_int_equal(policy_of("{\"kind\": \"none\", \"max_attempts\": 1}").attempts_max, 1);
    assert_refused("{\"kind\": \"none\", \"max_attempts\": 3}", "/policy/max_attempts", "found 3");
}

static void a_base_above_the_default_cap_raises_it(void **state)
{
    (void)state;
    assert_int_equal(policy_of("{\"kind\": \"exponential\", \"base\": \"5m\"}").cap_ns,
                     5 * NS_PER_MINUTE);
}

static void refuses_a_cap_below_the_base(void **state)
{
    (void)state;
    assert_refused("{\"kind\": \"exponential\", \"base\": \"5s\", \"cap\": \"4s\"}", "/policy/cap",
                   "a duration from 5s to");
}

static void refuses_what_is_no_policy(void **state)
{
    (void)state;
    assert_refused("[]", "/policy", "an object");
    assert_refused("\"fixed\"", "/policy", "an object");
    assert_refused("{}", "/policy/kind", "found nothing");
    assert_refused("{\"max_attempts\": 3}", "/policy/kind", "exponential");
    assert_refused("{\"kind\": \"linear\"}", "/policy/kind", "\"linear\"");
    assert_refused("{\"kind\": 1}", "/policy/kind", "found 1");
}

static void refuses_unknown_keys(void **state)
{
    (void)state;
    assert_refused("{\"kind\": \"fixed\", \"max_attempt\": 3}", "/policy/max_attempt",
                   "did you mean \"max_attempts\"?");
    assert_refused("{\"kind\": \"fixed\", \"Base\": \"1s\"}", "/policy/Base", "unknown key");
}

static void refuses_wrong_types(void **state)
{
    (void)state;
    assert_refused("{\"kind\": \"fixed\", \"max_attempts\": \"3\"}", "/policy/max_attempts",
                   "a whole number");
    assert_refused("{\"kind\": \"fixed\", \"base\": 1}", "/policy/base", "a duration");
    assert_refused("{\"kind\": \"fixed\", \"base\": \"1\"}", "/policy/base", "a duration");
    assert_refused("{\"kind\": \"exponential\", \"factor\": \"2\"}", "/policy/factor", "a number");
    assert_refused("{\"kind\": \"exponential\", \"cap\": null}", "/policy/cap", "a duration");
    assert_refused("{\"kind\": \"fixed\", \"jitter\": true}", "/policy/jitter", "one of");
    assert_refused("{\"kind\": \"fixed\", \"honour_retry_after\": 1}", "/policy/honour_retry_after",
                   "true or false");
    assert_refused("{\"kind\": \"fixed\", \"total\": {}}", "/policy/total", "a duration");
}

static void refuses_what_is_out_of_range(void **state)
{
    (void)state;
    assert_refused("{\"kind\": \"fixed\", \"max_attempts\": 0}", "/policy/max_attempts", "found 0");
    assert_refused("{\"kind\": \"fixed\", \"max_attempts\": 1001}", "/policy/max_attempts",
                   "1 to 1000");
    assert_refused("{\"kind\": \"fixed\", \"max_attempts\": 2.5}", "/policy/max_attempts", "2.5");
    assert_refused("{\"kind\": \"fixed\", \"max_attempts\": 1e300}", "/policy/max_attempts",
                   "1 to 1000");
    assert_refused("{\"kind\": \"exponential\", \"factor\": 0.99}", "/policy/factor", "0.99");
    assert_refused("{\"kind\": \"exponential\", \"factor\": 101}", "/policy/factor", "1 to 100");
    assert_refused("{\"kind\": \"fixed\", \"base\": \"0s\"}", "/policy/base", "1ms");
    assert_refused("{\"kind\": \"fixed\", \"base\": \"999us\"}", "/policy/base", "1ms");
    assert_refused("{\"kind\": \"fixed\", \"base\": \"25h\"}", "/policy/base", "24h");
    assert_refused("{\"kind\": \"exponential\", \"cap\": \"25h\"}", "/policy/cap", "24h");
    assert_refused("{\"kind\": \"fixed\", \"total\": \"0s\"}", "/policy/total", "1ms");
    assert_refused("{\"kind\": \"fixed\", \"retry_after_cap\": \"4000d\"}",
                   "/policy/retry_after_cap", "a duration");
}

static void reads_the_ends_of_the_ranges(void **state)
{
    (void)state;
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"max_attempts\": 1000}").attempts_max, 1000);
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"max_attempts\": 1}").attempts_max, 1);
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"base\": \"1ms\"}").base_ns, NS_PER_MS);
    assert_int_equal(policy_of("{\"kind\": \"fixed\", \"base\": \"24h\"}").base_ns, NS_PER_DAY);
    assert_true(policy_of("{\"kind\": \"exponential\", \"factor\": 1}").factor == 1);
    assert_true(policy_of("{\"kind\": \"exponential\", \"factor\": 100}").factor == 100);
    assert_int_equal(
        policy_of("{\"kind\": \"fixed\", \"retry_after_cap\": \"0s\"}").retry_after_cap_ns, 0);
    assert_int_equal(
        policy_of("{\"kind\": \"exponential\", \"base\": \"4s\", \"cap\": \"4s\"}").cap_ns,
        4 * NS_PER_S);
}

static void refuses_keys_that_the_kind_has_no_use_for(void **state)
{
    (void)state;
    assert_refused("{\"kind\": \"fixed\", \"factor\": 2}", "/policy/factor",
                   "a policy of kind \"fixed\" has no use for this");
    assert_refused("{\"kind\": \"fixed\", \"cap\": \"9s\"}", "/policy/cap", "\"fixed\"");
    assert_refused("{\"kind\": \"fixed\", \"jitter\": \"decorrelated\"}", "/policy/jitter",
                   "\"decorrelated\"");
    static const char *const members[] = {
        "base\": \"1s\"",           "factor\": 2",     "cap\": \"9s\"",
        "jitter\": \"full\"",       "total\": \"1m\"", "honour_retry_after\": true",
        "retry_after_cap\": \"1m\""};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char text[128];
        char pointer[64];
        snprintf(text, sizeof text, "{\"kind\": \"none\", \"%s}", members[i]);
        snprintf(pointer, sizeof pointer, "/policy/%.*s", (int)strcspn(members[i], "\""),
                 members[i]);
        assert_refused(text, pointer, "\"none\"");
    }
}

static void reads_what_the_official_sdks_do(void **state)
{
    (void)state;
    struct retry_policy policy;
    struct error error;
    assert_true(read_policy("{\"kind\": \"exponential\", \"jitter\": \"quarter\","
                            " \"retry_after_cap\": \"1m\", \"delay_min\": \"10ms\","
                            " \"retry_after_above_cap\": \"backoff\"}",
                            &policy, &error));
    assert_int_equal(policy.jitter, RETRY_JITTER_QUARTER);
    assert_int_equal(policy.above_cap, RETRY_ABOVE_CAP_BACKOFF);
    assert_int_equal(policy.retry_after_cap_ns, 60 * NS_PER_S);
    assert_int_equal(policy.delay_min_ns, 10 * NS_PER_MS);
    assert_refused("{\"kind\": \"exponential\", \"retry_after_above_cap\": \"cut\"}",
                   "/policy/retry_after_above_cap", "\"clamp\"");
    assert_refused("{\"kind\": \"none\", \"delay_min\": \"1s\"}", "/policy/delay_min", "no use");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_key),
        cmocka_unit_test(what_is_not_said_is_the_default),
        cmocka_unit_test(reads_every_kind_and_jitter),
        cmocka_unit_test(none_makes_one_attempt),
        cmocka_unit_test(a_base_above_the_default_cap_raises_it),
        cmocka_unit_test(refuses_a_cap_below_the_base),
        cmocka_unit_test(refuses_what_is_no_policy),
        cmocka_unit_test(refuses_unknown_keys),
        cmocka_unit_test(refuses_wrong_types),
        cmocka_unit_test(refuses_what_is_out_of_range),
        cmocka_unit_test(reads_the_ends_of_the_ranges),
        cmocka_unit_test(refuses_keys_that_the_kind_has_no_use_for),
        cmocka_unit_test(reads_what_the_official_sdks_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
