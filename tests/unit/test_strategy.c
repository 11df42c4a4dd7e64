#include "client/strategy.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct error error;

static bool read(const char *text, struct strategy *strategy)
{
    const struct json_reader reader = {.file = "e.json", .error = &error};
    cJSON *root = json_parse(text, strlen(text), "e.json", &error);
    assert_non_null(root);
    bool is_read = strategy_from_json(strategy, &reader, root, "/strategies/0");
    cJSON_Delete(root);
    return is_read;
}

static struct strategy read_right(const char *text)
{
    struct strategy strategy;
    if (!read(text, &strategy))
        fail_msg("%s: %s", error.place, error.message);
    return strategy;
}

static void assert_refused(const char *text, const char *place, const char *message)
{
    struct strategy strategy;
    assert_false(read(text, &strategy));
    if (strcmp(error.place, place) != 0 || strstr(error.message, message) == NULL)
        fail_msg("%s: %s", error.place, error.message);
}

static void every_row_says_what_it_is_and_where_from(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct strategy *row = strategy_table(); row->name[0] != '\0'; row++, count++) {
        assert_ptr_equal(strategy_find(row->name), row);
        assert_true(strlen(row->description) > 10);
        assert_true(strlen(row->source) > 10);
        assert_true(strategy_attempts_max(row) >= 1);
    }
    assert_int_equal(count, 17);
    assert_null(strategy_find("no such thing"));
}

static void a_name_is_the_row_as_it_is(void **state)
{
    (void)state;
    struct strategy strategy = read_right("\"openai-python\"");
    assert_string_equal(strategy.label, "openai-python");
    assert_int_equal(strategy.policy.attempts_max, 3);
    assert_int_equal(strategy.policy.jitter, RETRY_JITTER_QUARTER);
    assert_int_equal(strategy.policy.above_cap, RETRY_ABOVE_CAP_GIVE_UP);
}

static void what_the_file_says_takes_the_place_of_the_row(void **state)
{
    (void)state;
    struct strategy strategy =
        read_right("{\"strategy\": \"semaphore\", \"in_flight_max\": 3, \"label\": \"three\","
                   " \"max_attempts\": 2, \"base\": \"5s\", \"honour_retry_after\": false}");
    assert_string_equal(strategy.name, "semaphore");
    assert_string_equal(strategy.label, "three");
    assert_int_equal(strategy.gate.in_flight_max, 3);
    assert_int_equal(strategy.policy.attempts_max, 2);
    assert_int_equal(strategy.policy.base_ns, 5 * NS_PER_S);
    assert_false(strategy.policy.honours_retry_after);
    /* A gate can stand before any policy. */
    strategy = read_right("{\"strategy\": \"full-jitter\", \"in_flight_max\": 4}");
    assert_true(strategy.gate.holds_for_call);
    strategy = read_right("{\"strategy\": \"adaptive\", \"in_flight_start\": 5,"
                          " \"decrease\": 0.9, \"in_flight_max\": 50}");
    assert_int_equal(strategy.gate.in_flight_start, 5);
    assert_false(strategy.gate.holds_for_call);
}

static void a_paced_strategy_takes_its_rate_from_the_quota(void **state)
{
    (void)state;
    struct strategy strategy = read_right("{\"strategy\": \"paced\", \"quota_share\": 0.5}");
    strategy_know_quota(&strategy, 600, 0);
    assert_int_equal(strategy.gate.requests_per_minute, 300);
    assert_int_equal(strategy.gate.tokens_per_minute, 0);
    strategy_know_quota(&strategy, 1, 90000);
    assert_int_equal(strategy.gate.requests_per_minute, 1);
    assert_int_equal(strategy.gate.tokens_per_minute, 45000);
    /* Or has rates of its own. */
    strategy = read_right("{\"strategy\": \"paced\", \"requests_per_minute\": 100}");
    strategy_know_quota(&strategy, 600, 90000);
    assert_int_equal(strategy.gate.requests_per_minute, 100);
    assert_int_equal(strategy.gate.tokens_per_minute, 0);
    /* Others do not care. */
    strategy = read_right("\"semaphore\"");
    strategy_know_quota(&strategy, 600, 90000);
    assert_int_equal(strategy.gate.requests_per_minute, 0);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused("\"semafore\"", "e.json: /strategies/0", "\"semaphore\"");
    assert_refused("5", "e.json: /strategies/0", "name");
    assert_refused("{}", "e.json: /strategies/0/strategy", "\"none\"");
    assert_refused("{\"strategy\": \"none\", \"workers\": 5}", "e.json: /strategies/0/workers", "");
    assert_refused("{\"strategy\": \"none\", \"base\": \"1s\"}", "e.json: /strategies/0/base",
                   "no use");
    assert_refused("{\"strategy\": \"semaphore\", \"requests_per_minute\": 5}",
                   "e.json: /strategies/0/requests_per_minute", "\"semaphore\" has no use");
    assert_refused("{\"strategy\": \"paced\", \"increase\": 5}", "e.json: /strategies/0/increase",
                   "no use");
    assert_refused("{\"strategy\": \"semaphore\", \"in_flight_max\": 0}",
                   "e.json: /strategies/0/in_flight_max", "1 to");
    assert_refused("{\"strategy\": \"none\", \"label\": \"\"}", "e.json: /strategies/0/label",
                   "1 to 63");
    assert_refused("{\"strategy\": \"cookbook\", \"pause\": \"25h\"}",
                   "e.json: /strategies/0/pause", "24h");
}

static void three_attempts_around_three_make_nine(void **state)
{
    (void)state;
    static const struct retry_outcome throttled = {
        .status = 429, .error_type = "requests", .error_code = "rate_limit_exceeded"};
    struct strategy strategy = read_right("\"openai-python-nested\"");
    struct strategy_state call = {0};
    struct random random;
    random_seed(&random, 1, 0);
    int64_t now_ns = 0;
    assert_int_equal(strategy_attempts_max(&strategy), 9);
    for (int attempt = 1; attempt <= 8; attempt++) {
        struct retry_decision decision =
            strategy_decide(&strategy, &call, &throttled, &random, now_ns);
        assert_true(decision.retry);
        assert_int_equal(call.attempts, attempt);
        if (attempt % 3 == 0)
            assert_int_equal(decision.wait_ns, attempt / 3 * NS_PER_S);
        else if (attempt % 3 == 1)
            assert_in_range(decision.wait_ns, 375 * NS_PER_MS, 500 * NS_PER_MS);
        else
            assert_in_range(decision.wait_ns, 750 * NS_PER_MS, NS_PER_S);
        now_ns += decision.wait_ns;
    }
    assert_false(strategy_decide(&strategy, &call, &throttled, &random, now_ns).retry);
    assert_int_equal(call.attempts, 9);
}

static void the_outer_loop_does_not_repeat_what_no_waiting_mends(void **state)
{
    (void)state;
    struct strategy strategy = read_right("{\"strategy\": \"none\", \"outer_attempts\": 4,"
                                          " \"outer_base\": \"2s\", \"outer_factor\": 3}");
    struct strategy_state call = {0};
    struct random random;
    random_seed(&random, 1, 0);
    static const struct retry_outcome throttled = {.status = 429};
    static const struct retry_outcome used_up = {.status = 429, .error_code = "insufficient_quota"};
    assert_int_equal(strategy_attempts_max(&strategy), 4);
    assert_int_equal(strategy_decide(&strategy, &call, &throttled, &random, 0).wait_ns,
                     2 * NS_PER_S);
    assert_int_equal(strategy_decide(&strategy, &call, &throttled, &random, 2 * NS_PER_S).wait_ns,
                     6 * NS_PER_S);
    assert_false(strategy_decide(&strategy, &call, &used_up, &random, 8 * NS_PER_S).retry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_says_what_it_is_and_where_from),
        cmocka_unit_test(a_name_is_the_row_as_it_is),
        cmocka_unit_test(what_the_file_says_takes_the_place_of_the_row),
        cmocka_unit_test(a_paced_strategy_takes_its_rate_from_the_quota),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(three_attempts_around_three_make_nine),
        cmocka_unit_test(the_outer_loop_does_not_repeat_what_no_waiting_mends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
