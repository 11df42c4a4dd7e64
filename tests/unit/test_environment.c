#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scenario parse(const char *server, const char *env)
{
    struct scenario scenario;
    struct error error = {0};
    char *text = NULL;
    char told[1400];
    assert_true(asprintf(&text,
                         "{\"name\": \"n\", \"server\": {%s}, \"client\": {\"command\": [\"x\"], "
                         "\"env\": {%s}}, \"expect\": {\"calls\": 1}}",
                         server, env) > 0);
    if (!scenario_parse(&scenario, text, strlen(text), "s.json", &error))
        fail_msg("%s", error_text(&error, told, sizeof told));
    free(text);
    return scenario;
}

static size_t count_of(char *const *environment, const char *name)
{
    size_t count = 0;
    for (; *environment != NULL; environment++)
        count +=
            strncmp(*environment, name, strlen(name)) == 0 && (*environment)[strlen(name)] == '=';
    return count;
}

static void a_client_finds_the_server_a_key_and_a_model(void **state)
{
    (void)state;
    setenv("OPENAI_API_KEY", "sk-the-users-own", 1);
    setenv("OPENAI_BASE_URL", "https://api.openai.com/v1", 1);
    setenv("TOOMANY_TEST", "kept", 1);
    struct scenario scenario = parse("", "");
    char **environment = environment_for(&scenario, "http://127.0.0.1:1/v1");
    assert_string_equal(environment_get(environment, "OPENAI_BASE_URL"), "http://127.0.0.1:1/v1");
    /* Never the user's own key. */
    assert_string_equal(environment_get(environment, "OPENAI_API_KEY"), ENVIRONMENT_API_KEY);
    assert_string_equal(environment_get(environment, "OPENAI_FINE_TUNED_MODEL"), SCENARIO_MODEL);
    assert_string_equal(environment_get(environment, "TOOMANY_TEST"), "kept");
    assert_int_equal(count_of(environment, "OPENAI_BASE_URL"), 1);
    assert_int_equal(count_of(environment, "OPENAI_API_KEY"), 1);
    assert_null(environment_get(environment, "TOOMANY_TES"));
    assert_null(environment_get(environment, "TOOMANY_TEST=kept"));
    environment_free(environment);
    scenario_free(&scenario);
}

static void the_scenario_wins(void **state)
{
    (void)state;
    struct scenario scenario =
        parse("\"api_keys\": [\"sk-first-0001\", \"sk-second-0002\"]",
              "\"OPENAI_FINE_TUNED_MODEL\": \"m\", \"NEW\": \"\", \"TOOMANY_TEST\": \"a=b\"");
    char **environment = environment_for(&scenario, "http://127.0.0.1:1/v1");
    assert_string_equal(environment_get(environment, "OPENAI_API_KEY"), "sk-first-0001");
    assert_string_equal(environment_get(environment, "OPENAI_FINE_TUNED_MODEL"), "m");
    assert_string_equal(environment_get(environment, "NEW"), "");
    assert_string_equal(environment_get(environment, "TOOMANY_TEST"), "a=b");
    assert_int_equal(count_of(environment, "OPENAI_FINE_TUNED_MODEL"), 1);
    environment_free(environment);
    scenario_free(&scenario);
}

static void loopback_is_kept_away_from_proxies(void **state)
{
    (void)state;
    setenv("NO_PROXY", "example.com", 1);
    unsetenv("no_proxy");
    struct scenario scenario = parse("", "");
    char **environment = environment_for(&scenario, "http://127.0.0.1:1/v1");
    assert_string_equal(environment_get(environment, "NO_PROXY"),
                        "example.com,127.0.0.1,localhost");
    assert_string_equal(environment_get(environment, "no_proxy"), "127.0.0.1,localhost");
    environment_free(environment);
    setenv("no_proxy", "", 1);
    environment = environment_for(&scenario, "http://127.0.0.1:1/v1");
    assert_string_equal(environment_get(environment, "no_proxy"), "127.0.0.1,localhost");
    environment_free(environment);
    scenario_free(&scenario);
}

static void a_long_list_of_exceptions_does_not_lose_loopback(void **state)
{
    (void)state;
    char *list = malloc(5001);
    memset(list, 'x', 5000);
    list[5000] = '\0';
    setenv("NO_PROXY", list, 1);
    struct scenario scenario = parse("", "");
    char **environment = environment_for(&scenario, "http://127.0.0.1:1/v1");
    const char *value = environment_get(environment, "NO_PROXY");
    assert_int_equal(strlen(value), 5000 + strlen(",127.0.0.1,localhost"));
    assert_string_equal(value + 5000, ",127.0.0.1,localhost");
    environment_free(environment);
    scenario_free(&scenario);
    unsetenv("NO_PROXY");
    free(list);
}

static void nothing_is_freed_as_nothing(void **state)
{
    (void)state;
    environment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_finds_the_server_a_key_and_a_model),
        cmocka_unit_test(the_scenario_wins),
        cmocka_unit_test(loopback_is_kept_away_from_proxies),
        cmocka_unit_test(a_long_list_of_exceptions_does_not_lose_loopback),
        cmocka_unit_test(nothing_is_freed_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
