#include "base/distribution.h"

#include "base/duration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct error error;

static bool read(const char *text, bool is_time, struct distribution *distribution)
{
    const struct json_reader reader = {.file = "e.json", .error = &error};
    cJSON *root = json_parse(text, strlen(text), "e.json", &error);
    assert_non_null(root);
    *distribution = (struct distribution){0};
    bool is_read = distribution_read(&reader, root, "", "x", is_time, 1, NS_PER_DAY, distribution);
    cJSON_Delete(root);
    return is_read;
}

static void assert_refused(const char *text, bool is_time, const char *place, const char *message)
{
    struct distribution distribution;
    assert_false(read(text, is_time, &distribution));
    if (strcmp(error.place, place) != 0 || strstr(error.message, message) == NULL)
        fail_msg("%s: %s", error.place, error.message);
}

struct moments {
    double mean;
    double deviation;
};

static struct moments measure(const struct distribution *distribution)
{
    enum { COUNT = 400000 };
    struct random random;
    random_seed(&random, 1, 0);
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < COUNT; i++) {
        double x = (double)distribution_draw(distribution, &random);
        sum += x;
        squares += x * x;
    }
    double mean = sum / COUNT;
    return (struct moments){.mean = mean, .deviation = sqrt(squares / COUNT - mean * mean)};
}

static void assert_about(double found, double expected)
{
    if (fabs(found - expected) > 0.01 * expected)
        fail_msg("found %g, expected %g", found, expected);
}

static void draws_have_the_mean_and_deviation_of_their_kind(void **state)
{
    (void)state;
    struct distribution drawn;
    assert_true(read("{\"x\": \"800ms\"}", true, &drawn));
    assert_true(measure(&drawn).mean == 8e8);
    assert_true(
        read("{\"x\": {\"kind\": \"uniform\", \"low\": \"1s\", \"high\": \"3s\"}}", true, &drawn));
    assert_about(measure(&drawn).mean, 2e9);
    assert_about(measure(&drawn).deviation, 2e9 / sqrt(12));
    assert_true(read("{\"x\": {\"kind\": \"exponential\", \"mean\": \"800ms\"}}", true, &drawn));
    assert_about(measure(&drawn).mean, 8e8);
    assert_about(measure(&drawn).deviation, 8e8);
    assert_true(read("{\"x\": {\"kind\": \"log-normal\", \"mean\": \"1s\", \"sigma\": 0.5}}", true,
                     &drawn));
    assert_about(measure(&drawn).mean, 1e9);
    assert_about(measure(&drawn).deviation, 1e9 * sqrt(exp(0.25) - 1));
    assert_true(
        read("{\"x\": {\"kind\": \"measured\", \"samples\": [30, 10, 20]}}", false, &drawn));
    assert_about(measure(&drawn).mean, 20);
    assert_about(measure(&drawn).deviation, 10 * sqrt(2.0 / 3));
    distribution_free(&drawn);
}

static void amounts_stay_within_what_was_said(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1, 0);
    struct distribution drawn;
    assert_true(read("{\"x\": {\"kind\": \"exponential\", \"mean\": 1}}", false, &drawn));
    for (int i = 0; i < 1000; i++)
        assert_true(distribution_draw(&drawn, &random) >= 1);
    assert_true(read("{\"x\": {\"kind\": \"uniform\", \"low\": 3, \"high\": 4}}", false, &drawn));
    bool seen[2] = {false, false};
    for (int i = 0; i < 1000; i++) {
        int64_t amount = distribution_draw(&drawn, &random);
        assert_true(amount == 3 || amount == 4);
        seen[amount - 3] = true;
    }
    assert_true(seen[0] && seen[1]);
    struct distribution wide = distribution_log_normal(1e18, 5);
    for (int i = 0; i < 1000; i++)
        assert_true(distribution_draw(&wide, &random) <= DURATION_NS_MAX);
}

static void the_same_seed_gives_the_same_amounts_everywhere(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 42, 0);
    struct distribution exponential = distribution_exponential(8e8);
    struct distribution normal = distribution_log_normal(8e8, 0.7);
    uint64_t mix = 0;
    for (int i = 0; i < 10000; i++) {
        mix = mix * 31 + (uint64_t)distribution_draw(&exponential, &random);
        mix = mix * 31 + (uint64_t)distribution_draw(&normal, &random);
    }
    assert_int_equal(mix, UINT64_C(0xfc1da84d7e3178e8));
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused("{\"x\": 5}", true, "e.json: /x", "wanted a duration");
    assert_refused("{\"x\": \"0s\"}", true, "e.json: /x", "a duration from");
    assert_refused("{\"x\": {\"mean\": \"1s\"}}", true, "e.json: /x/kind", "\"log-normal\"");
    assert_refused("{\"x\": {\"kind\": \"exponential\"}}", true, "e.json: /x/mean", "duration");
    assert_refused("{\"x\": {\"kind\": \"exponential\"}}", false, "e.json: /x/mean", "whole");
    assert_refused("{\"x\": {\"kind\": \"exponential\", \"mean\": 1, \"sigma\": 1}}", false,
                   "e.json: /x/sigma", "");
    assert_refused("{\"x\": {\"kind\": \"uniform\", \"low\": 5, \"high\": 4}}", false,
                   "e.json: /x/high", "5");
    assert_refused("{\"x\": {\"kind\": \"measured\", \"samples\": []}}", false,
                   "e.json: /x/samples", "empty");
    assert_refused("{\"x\": {\"kind\": \"measured\", \"samples\": [1, \"2\"]}}", false,
                   "e.json: /x/samples/1", "whole");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_have_the_mean_and_deviation_of_their_kind),
        cmocka_unit_test(amounts_stay_within_what_was_said),
        cmocka_unit_test(the_same_seed_gives_the_same_amounts_everywhere),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
