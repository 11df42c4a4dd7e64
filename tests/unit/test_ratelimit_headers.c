#include "mockserver/ratelimit_headers.h"

#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcmp(answer_name(answer, i), name) == 0)
            return answer_value(answer, i);
    }
    return NULL;
}

static struct answer answer_for(const struct quota_limits *limits, int64_t tokens, int64_t now_ns)
{
    struct quota_pool pool;
    struct answer answer;
    quota_init(&pool, limits, 0);
    struct limit_rules rules;
    limit_rules_init(&rules);
    struct quota_answer outcome = quota_admit(&pool, 0, tokens);
    assert_true(outcome.admitted);
    answer_init(&answer, 200);
    struct ratelimit_told_all told;
    ratelimit_tell_all(&pool, now_ns, &told);
    ratelimit_headers_add(&answer, &rules, &told, &outcome);
    return answer;
}

/* gpt-4 on 2025-01-04: the requests are those of a day, the tokens those of a minute. */
static void shows_what_was_captured(void **state)
{
    (void)state;
    struct quota_limits limits = {.limit = {500, 10000, 10000, -1, -1, -1, -1}};
    struct answer answer = answer_for(&limits, 519, 0);
    assert_int_equal(answer.header_count, 6);
    assert_string_equal(header(&answer, "x-ratelimit-limit-requests"), "10000");
    assert_string_equal(header(&answer, "x-ratelimit-remaining-requests"), "9999");
    assert_string_equal(header(&answer, "x-ratelimit-reset-requests"), "8.64s");
    assert_string_equal(header(&answer, "x-ratelimit-limit-tokens"), "10000");
    assert_string_equal(header(&answer, "x-ratelimit-remaining-tokens"), "9481");
    assert_string_equal(header(&answer, "x-ratelimit-reset-tokens"), "3.114s");
}

/* open-webui/open-webui#3743: gpt-4o, tier 1. */
static void shows_the_minute_where_there_is_no_day(void **state)
{
    (void)state;
    struct quota_limits limits = {.limit = {500, -1, 30000, -1, -1, -1, -1}};
    struct answer answer = answer_for(&limits, 4, 0);
    assert_string_equal(header(&answer, "x-ratelimit-remaining-requests"), "499");
    assert_string_equal(header(&answer, "x-ratelimit-reset-requests"), "120ms");
    assert_string_equal(header(&answer, "x-ratelimit-remaining-tokens"), "29996");
    assert_string_equal(header(&answer, "x-ratelimit-reset-tokens"), "8ms");
}

static void counts_remaining_down_and_shows_it_at_the_time_asked(void **state)
{
    (void)state;
    struct quota_limits limits = {.limit = {60, -1, 60, -1, -1, -1, -1}};
    struct answer answer = answer_for(&limits, 60, 30 * NS_PER_S - 1);
    assert_string_equal(header(&answer, "x-ratelimit-remaining-requests"), "60");
    assert_string_equal(header(&answer, "x-ratelimit-reset-requests"), "0s");
    /* 30.000000001 are used: rounded up, so that nobody counts on what is not there. */
    assert_string_equal(header(&answer, "x-ratelimit-remaining-tokens"), "29");
    assert_string_equal(header(&answer, "x-ratelimit-reset-tokens"), "30s");
}

static void a_day_of_tokens_is_shown_where_there_is_no_minute(void **state)
{
    (void)state;
    struct quota_limits limits = {.limit = {-1, -1, -1, 86400, -1, -1, -1}};
    struct answer answer = answer_for(&limits, 100, 0);
    assert_int_equal(answer.header_count, 3);
    assert_string_equal(header(&answer, "x-ratelimit-limit-tokens"), "86400");
    assert_string_equal(header(&answer, "x-ratelimit-reset-tokens"), "1m40s");
}

static void without_limits_there_are_no_headers(void **state)
{
    (void)state;
    struct quota_limits limits = {.limit = {-1, -1, -1, -1, -1, 5, 5}};
    struct answer answer = answer_for(&limits, 100, 0);
    assert_int_equal(answer.header_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_was_captured),
        cmocka_unit_test(shows_the_minute_where_there_is_no_day),
        cmocka_unit_test(counts_remaining_down_and_shows_it_at_the_time_asked),
        cmocka_unit_test(a_day_of_tokens_is_shown_where_there_is_no_minute),
        cmocka_unit_test(without_limits_there_are_no_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
