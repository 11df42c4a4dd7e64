#include "mockserver/pools.h"

#include "base/duration.h"
#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY_A "sk-test-aaaaaaaaaaaaAAAA"
#define KEY_B "sk-test-bbbbbbbbbbbbBBBB"

static struct quota_limits per_minute(int64_t requests)
{
    struct quota_limits limits;
    quota_limits_init(&limits);
    limits.limit[QUOTA_REQUESTS_PER_MINUTE] = requests;
    return limits;
}

static void set(struct pools *pools, const char *model, int64_t requests, int64_t now_ns)
{
    struct quota_limits limits = per_minute(requests);
    assert_true(pools_set_limits(pools, POOLS_SET_UP, model, &limits, now_ns));
}

static bool admit(struct pools *pools, const char *key, const char *model, int64_t now_ns)
{
    struct pool *pool = pools_get(pools, key, model, now_ns);
    assert_non_null(pool);
    return quota_admit(&pool->quota, now_ns, 1).admitted;
}

static void each_key_and_model_has_a_pool_of_its_own(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    set(pools, "*", 1, 0);
    assert_true(admit(pools, KEY_A, "gpt-4o", 0));
    assert_false(admit(pools, KEY_A, "gpt-4o", 0));
    assert_true(admit(pools, KEY_B, "gpt-4o", 0));
    assert_true(admit(pools, KEY_A, "gpt-4o-mini", 0));
    assert_ptr_equal(pools_get(pools, KEY_A, "gpt-4o", 0), pools_get(pools, KEY_A, "gpt-4o", 9));
    pools_free(pools);
}

static void count_pool(void *owner, const struct pool *pool)
{
    (void)pool;
    ++*(int *)owner;
}

/* It may be wrong about the model and about the owner. */
static void foreseeing_makes_no_pool(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    pools_fetch(pools, pools_foresee(pools, KEY_A)); /* when there is none */
    struct pool *pool = pools_get(pools, KEY_A, "m", 0);
    pools_fetch(pools, pools_foresee(pools, KEY_A));
    pools_fetch(pools, pools_foresee(pools, KEY_B));
    pools_fetch(pools, pools_foresee(pools, ""));
    /* The upper half of this one's id is 0, as that of a slot that is free. */
    pools_get(pools, KEY_A, "gpt-4o-mini", 0);
    pools_fetch(pools, pools_foresee(pools, "sk-abcdefRY_CX20"));
    int count = 0;
    pools_each(pools, count_pool, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(pools_get(pools, KEY_A, "m", 0), pool);
    pools_free(pools);
}

static void a_named_model_has_its_limits_and_the_others_the_default(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    assert_int_equal(pools_limits(pools, "m").limit[QUOTA_REQUESTS_PER_MINUTE], QUOTA_UNLIMITED);
    set(pools, "*", 10, 0);
    set(pools, "m", 3, 0);
    assert_int_equal(pools_limits(pools, "m").limit[QUOTA_REQUESTS_PER_MINUTE], 3);
    assert_int_equal(pools_limits(pools, "other").limit[QUOTA_REQUESTS_PER_MINUTE], 10);
    set(pools, "m", 4, 0);
    assert_int_equal(pools_limits(pools, "m").limit[QUOTA_REQUESTS_PER_MINUTE], 4);
    pools_free(pools);
}

static void new_limits_reach_the_pools_there_are(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    set(pools, "*", 1, 0);
    assert_true(admit(pools, KEY_A, "m", 0));
    assert_true(admit(pools, KEY_A, "n", 0));
    set(pools, "m", 2, 0);
    assert_true(admit(pools, KEY_A, "m", 0));
    assert_false(admit(pools, KEY_A, "m", 0));
    assert_false(admit(pools, KEY_A, "n", 0));
    set(pools, "*", 3, 0); /* not for m, which is named */
    assert_true(admit(pools, KEY_A, "n", 0));
    assert_false(admit(pools, KEY_A, "m", 0));
    pools_free(pools);
}

static void forgetting_limits_frees_every_model(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    set(pools, "*", 1, 0);
    set(pools, "m", 1, 0);
    assert_true(admit(pools, KEY_A, "m", 0));
    assert_false(admit(pools, KEY_A, "m", 0));
    pools_begin_change(pools);
    pools_forget_limits(pools, POOLS_SET_UP);
    pools_end_change(pools, 0);
    assert_int_equal(pools_limits(pools, "m").limit[QUOTA_REQUESTS_PER_MINUTE], QUOTA_UNLIMITED);
    assert_true(admit(pools, KEY_A, "m", 0));
    assert_true(admit(pools, KEY_A, "n", 0));
    pools_free(pools);
}

static void a_reset_fills_the_pools_but_keeps_what_is_in_flight(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    struct quota_limits limits = per_minute(2);
    limits.limit[QUOTA_CONCURRENT_REQUESTS] = 3;
    limits.limit[QUOTA_REQUESTS_TOTAL] = 2;
    pools_set_limits(pools, POOLS_SET_UP, "*", &limits, 0);
    assert_true(admit(pools, KEY_A, "m", 0));
    assert_true(admit(pools, KEY_A, "m", 0));
    struct pool *pool = pools_get(pools, KEY_A, "m", 0);
    pool_count_throttled(pool, QUOTA_REQUESTS_TOTAL);
    pool_count_throttled(pool, QUOTA_REQUESTS_TOTAL);
    assert_int_equal(pool_throttled(pool, QUOTA_REQUESTS_TOTAL), 2);
    pools_reset(pools, 5);
    assert_int_equal(quota_used(&pool->quota, QUOTA_REQUESTS_PER_MINUTE, 5), 0);
    assert_int_equal(quota_used(&pool->quota, QUOTA_REQUESTS_TOTAL, 5), 0);
    assert_int_equal(quota_used(&pool->quota, QUOTA_CONCURRENT_REQUESTS, 5), 2);
    assert_int_equal(pool_throttled(pool, QUOTA_REQUESTS_TOTAL), 0);
    assert_int_equal(quota_peak(&pool->quota, QUOTA_REQUESTS_PER_MINUTE), 0);
    quota_finish(&pool->quota);
    quota_finish(&pool->quota);
    pools_free(pools);
}

static void no_more_of_a_key_is_kept_than_its_last_four_characters(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *tail;
    } cases[] = {
        {KEY_A, "AAAA"},
        {"123456789", "6789"},
        {"12345678", ""},
        {"abcd", ""},
        {"", ""},
        {"123456\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9"},
        {"12345678\xc3\xa9\xc3\xa9x", "?\xc3\xa9x"},
    };
    struct pools *pools = pools_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pool *pool = pools_get(pools, cases[i].key, "m", 0);
        assert_string_equal(pool->key_tail, cases[i].tail);
        assert_true(json_is_utf8(pool->key_tail, strlen(pool->key_tail)));
    }
    pools_free(pools);
}

static void list_pool(void *owner, const struct pool *pool)
{
    strcat(owner, pool->model);
}

static void list_limits(void *owner, const char *model, const struct quota_limits *limits)
{
    char *text = owner;
    size_t used = strlen(text);
    snprintf(text + used, 100 - used, "%s=%d ", model,
             (int)limits->limit[QUOTA_REQUESTS_PER_MINUTE]);
}

static void are_listed_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    char text[100] = "";
    pools_each(pools, list_pool, text);
    pools_each_limits(pools, list_limits, text);
    assert_string_equal(text, "");
    for (const char *model = "zebra"; *model != '\0'; model++)
        admit(pools, KEY_A, (const char[]){*model, '\0'}, 0);
    admit(pools, KEY_A, "b", 0);
    pools_each(pools, list_pool, text);
    assert_string_equal(text, "zebra");
    text[0] = '\0';
    set(pools, "z", 1, 0);
    set(pools, "*", 2, 0);
    set(pools, "a", 3, 0);
    set(pools, "z", 4, 0);
    pools_each_limits(pools, list_limits, text);
    assert_string_equal(text, "z=4 *=2 a=3 ");
    pools_free(pools);
}

static void pointers_stay_good_while_others_are_made(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    set(pools, "*", 1, 0);
    struct pool *first = pools_get(pools, KEY_A, "m0", 0);
    assert_true(quota_admit(&first->quota, 0, 1).admitted);
    for (int i = 1; i < 5000; i++) {
        char model[16];
        snprintf(model, sizeof model, "m%d", i);
        assert_true(admit(pools, KEY_A, model, 0));
    }
    assert_ptr_equal(pools_get(pools, KEY_A, "m0", 0), first);
    assert_false(quota_admit(&first->quota, 0, 1).admitted);
    pools_free(pools);
    pools_free(NULL);
}

/* More than are on two large pages. */
static void refusals_are_counted_for_each_of_many_pools(void **state)
{
    (void)state;
    enum { POOLS = 20000 };
    const enum quota_dimension first = QUOTA_REQUESTS_PER_MINUTE;
    const enum quota_dimension last = QUOTA_REQUESTS_TOTAL;
    struct pools *pools = pools_new();
    struct pool **made = calloc(POOLS, sizeof(struct pool *));
    assert_non_null(made);
    for (int i = 0; i < POOLS; i++) {
        char key[32];
        snprintf(key, sizeof key, "sk-of-account-%d", i);
        made[i] = pools_get(pools, key, "m", 0);
        for (int j = 0; j < i % 3; j++)
            pool_count_throttled(made[i], first);
        for (int j = 0; j < i % 5; j++)
            pool_count_throttled(made[i], last);
    }
    for (int i = 0; i < POOLS; i++) {
        assert_int_equal(pool_throttled(made[i], first), i % 3);
        assert_int_equal(pool_throttled(made[i], last), i % 5);
    }
    pools_reset(pools, 0);
    for (int i = 0; i < POOLS; i++)
        assert_int_equal(pool_throttled(made[i], first) + pool_throttled(made[i], last), 0);
    free(made);
    pools_free(pools);
}

static void models_share_as_the_header_says(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        const char *drawn_from;
        int limit;
    } cases[] = {
        {"gpt-4o", "gpt-4o", 3},
        {"gpt-4o-2024-08-06", "gpt-4o", 3},
        {"gpt-4o-0806", "gpt-4o", 3},
        {"gpt-4o-2024-8-06", "gpt-4o-2024-8-06", 10},
        {"gpt-4o-mini", "gpt-4o-mini", 10},
        {"ft:gpt-4o:acme::7p4lURel", "gpt-4o", 3},
        {"ft:gpt-4o-2024-08-06:acme::7p4lURel", "gpt-4o", 3},
        {"ft:gpt-4o-mini:acme::7p4lURel", "ft:gpt-4o-mini:acme::7p4lURel", 5},
        {"ft:gpt-4o-mini:own::1", "ft:gpt-4o-mini:own::1", 7},
        {"ft:gpt-4o:named::1", "ft:gpt-4o:named::1", 8},
        {"a", "family", 4},
        {"b", "family", 4},
        {"family", "family", 4},
    };
    struct pools *pools = pools_new();
    set(pools, "*", 10, 0);
    set(pools, "gpt-4o", 3, 0);
    set(pools, "ft:*", 5, 0);
    set(pools, "ft:gpt-4o-mini:own*", 7, 0);
    set(pools, "ft:gpt-4o:named::1", 8, 0);
    struct pool *before = pools_get(pools, KEY_A, "a", 0);
    set(pools, "family", 4, 0);
    assert_true(pools_share(pools, "family", "a", 0));
    assert_true(pools_share(pools, "family", "b", 0));
    assert_ptr_not_equal(pools_get(pools, KEY_A, "a", 0), before);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pool *pool = pools_get(pools, KEY_A, cases[i].model, 0);
        assert_string_equal(pool->model, cases[i].drawn_from);
        assert_int_equal(pool->quota.limits->limit[QUOTA_REQUESTS_PER_MINUTE], cases[i].limit);
        assert_int_equal(pools_limits(pools, cases[i].model).limit[QUOTA_REQUESTS_PER_MINUTE],
                         cases[i].limit);
    }
    pools_free(pools);
}

static void there_are_no_more_pools_than_are_allowed(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    pools_allow(pools, 2);
    assert_non_null(pools_get(pools, KEY_A, "m", 0));
    assert_non_null(pools_get(pools, KEY_A, "n", 0));
    assert_null(pools_get(pools, KEY_A, "o", 0));
    assert_null(pools_get(pools, KEY_B, "m", 0));
    assert_non_null(pools_get(pools, KEY_A, "m", 0));
    pools_free(pools);
}

/* Limits that pools point to are freed when new ones are set. */
static void limits_can_be_set_again_and_again_for_many_pools(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    for (int round = 1; round < 50; round++) {
        set(pools, "*", round, round);
        set(pools, "m7", 2 * round, round);
        for (int i = 0; i < 200; i++) {
            char model[16];
            snprintf(model, sizeof model, "m%d", i);
            struct pool *pool = pools_get(pools, KEY_A, model, round);
            assert_int_equal(pool->quota.limits->limit[QUOTA_REQUESTS_PER_MINUTE],
                             i == 7 ? 2 * round : round);
        }
    }
    pools_free(pools);
}

/* One list after the other: what shared the pool of B shares that of A with it. */
static void what_shares_goes_along_with_whose_it_shares(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    set(pools, "B", 3, 0);
    assert_true(pools_share(pools, "B", "C", 0));
    set(pools, "A", 9, 0);
    assert_true(pools_share(pools, "A", "B", 0));
    struct pool *pool = pools_get(pools, KEY_A, "A", 0);
    assert_ptr_equal(pools_get(pools, KEY_A, "B", 0), pool);
    assert_ptr_equal(pools_get(pools, KEY_A, "C", 0), pool);
    assert_int_equal(pools_limits(pools, "C").limit[QUOTA_REQUESTS_PER_MINUTE], 9);
    pools_free(pools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_and_model_has_a_pool_of_its_own),
        cmocka_unit_test(foreseeing_makes_no_pool),
        cmocka_unit_test(a_named_model_has_its_limits_and_the_others_the_default),
        cmocka_unit_test(new_limits_reach_the_pools_there_are),
        cmocka_unit_test(forgetting_limits_frees_every_model),
        cmocka_unit_test(a_reset_fills_the_pools_but_keeps_what_is_in_flight),
        cmocka_unit_test(no_more_of_a_key_is_kept_than_its_last_four_characters),
        cmocka_unit_test(are_listed_in_the_order_in_which_they_came),
        cmocka_unit_test(pointers_stay_good_while_others_are_made),
        cmocka_unit_test(refusals_are_counted_for_each_of_many_pools),
        cmocka_unit_test(models_share_as_the_header_says),
        cmocka_unit_test(what_shares_goes_along_with_whose_it_shares),
        cmocka_unit_test(there_are_no_more_pools_than_are_allowed),
        cmocka_unit_test(limits_can_be_set_again_and_again_for_many_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
