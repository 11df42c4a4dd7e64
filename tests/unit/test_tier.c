#include "mockserver/tier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define KEY "sk-test-aaaaaaaaaaaaAAAA"

static int64_t limit_of(const struct pools *pools, const char *model,
                        enum quota_dimension dimension)
{
    return pools_limits(pools, model).limit[dimension];
}

static void every_tier_has_the_published_numbers(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    assert_true(tier_apply(tier_find("1"), pools, 0));
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 500);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_TOKENS_PER_MINUTE), 30000);
    assert_int_equal(limit_of(pools, "gpt-4o-2024-08-06", QUOTA_TOKENS_PER_MINUTE), 30000);
    assert_int_equal(limit_of(pools, "gpt-4o-mini", QUOTA_REQUESTS_PER_DAY), 10000);
    assert_int_equal(limit_of(pools, "gpt-3.5-turbo-0125", QUOTA_REQUESTS_PER_MINUTE), 3500);
    assert_int_equal(limit_of(pools, "ft:unknown:acme::1", QUOTA_TOKENS_PER_MINUTE), 200000);
    assert_true(tier_apply(tier_find("free"), pools, 0));
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 3);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_DAY), 200);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_TOKENS_PER_MINUTE), QUOTA_UNLIMITED);
    assert_true(tier_apply(tier_find("5"), pools, 0));
    assert_int_equal(limit_of(pools, "gpt-4o-mini", QUOTA_TOKENS_PER_MINUTE), 150000000);
    assert_null(tier_find("6"));
    assert_null(tier_find(""));
    pools_free(pools);
}

static void raising_the_tier_keeps_what_is_used(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    assert_true(tier_apply(tier_find("1"), pools, 0));
    struct pool *pool = pools_get(pools, KEY, "gpt-4o", 0);
    assert_true(quota_admit(&pool->quota, 0, 30000).admitted);
    assert_false(quota_admit(&pool->quota, 0, 1).admitted);
    assert_true(tier_apply(tier_find("2"), pools, 0));
    assert_int_equal(quota_used(&pool->quota, QUOTA_TOKENS_PER_MINUTE, 0), 30000);
    assert_true(quota_admit(&pool->quota, 0, 420000).admitted);
    assert_false(quota_admit(&pool->quota, 0, 1).admitted);
    pools_free(pools);
}

static void set_up(struct pools *pools, const char *name, enum quota_dimension dimension,
                   int64_t limit)
{
    struct quota_limits limits;
    quota_limits_say_nothing(&limits);
    limits.limit[dimension] = limit;
    assert_true(pools_set_limits(pools, POOLS_SET_UP, name, &limits, 0));
}

/* Whichever comes first. */
static void what_the_set_up_says_goes_before_the_tier(void **state)
{
    (void)state;
    for (int is_before = 0; is_before < 2; is_before++) {
        struct pools *pools = pools_new();
        if (is_before == 0)
            assert_true(tier_apply(tier_find("1"), pools, 0));
        set_up(pools, "ft:*", QUOTA_REQUESTS_PER_MINUTE, 20);
        set_up(pools, "gpt-4o", QUOTA_CONCURRENT_REQUESTS, 1);
        set_up(pools, "gpt-4", QUOTA_TOKENS_PER_MINUTE, QUOTA_UNLIMITED);
        if (is_before == 1)
            assert_true(tier_apply(tier_find("1"), pools, 0));
        static const char *const tuned[] = {"ft:gpt-4o-mini:acme::1", "ft:gpt-4.1:acme::1",
                                            "ft:other:acme::1"};
        for (size_t i = 0; i < sizeof tuned / sizeof tuned[0]; i++)
            assert_int_equal(limit_of(pools, tuned[i], QUOTA_REQUESTS_PER_MINUTE), 20);
        assert_int_equal(limit_of(pools, tuned[0], QUOTA_TOKENS_PER_MINUTE), 200000);
        assert_int_equal(limit_of(pools, tuned[1], QUOTA_TOKENS_PER_MINUTE), 30000);
        assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_CONCURRENT_REQUESTS), 1);
        assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 500);
        assert_int_equal(limit_of(pools, "gpt-4o-2024-08-06", QUOTA_CONCURRENT_REQUESTS), 1);
        assert_int_equal(limit_of(pools, "gpt-4", QUOTA_TOKENS_PER_MINUTE), QUOTA_UNLIMITED);
        assert_int_equal(limit_of(pools, "gpt-4", QUOTA_REQUESTS_PER_MINUTE), 500);
        assert_true(tier_apply(tier_find("5"), pools, 0));
        assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 10000);
        assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_CONCURRENT_REQUESTS), 1);
        assert_int_equal(limit_of(pools, tuned[0], QUOTA_REQUESTS_PER_MINUTE), 20);
        pools_free(pools);
    }
}

/* For all models, those that the tier names, too; each then has a pool of its own. */
static void a_prefix_of_the_set_up_goes_before_names_of_the_tier(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    assert_true(tier_apply(tier_find("1"), pools, 0));
    struct pool *shared = pools_get(pools, KEY, "gpt-4o-2024-08-06", 0);
    assert_ptr_equal(pools_get(pools, KEY, "gpt-4o", 0), shared);
    set_up(pools, "*", QUOTA_REQUESTS_PER_MINUTE, 2);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 2);
    assert_int_equal(limit_of(pools, "gpt-4o-2024-08-06", QUOTA_TOKENS_PER_MINUTE), 30000);
    assert_ptr_not_equal(pools_get(pools, KEY, "gpt-4o-2024-08-06", 0), shared);
    struct pool *pool = pools_get(pools, KEY, "gpt-4o", 0);
    assert_true(quota_admit(&pool->quota, 0, 1).admitted);
    assert_true(quota_admit(&pool->quota, 0, 1).admitted);
    assert_false(quota_admit(&pool->quota, 0, 1).admitted);
    pools_begin_change(pools);
    pools_forget_limits(pools, POOLS_SET_UP);
    pools_end_change(pools, 0);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 500);
    assert_int_equal(quota_used(&pool->quota, QUOTA_REQUESTS_PER_MINUTE, 0), 2);
    pools_free(pools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tier_has_the_published_numbers),
        cmocka_unit_test(raising_the_tier_keeps_what_is_used),
        cmocka_unit_test(what_the_set_up_says_goes_before_the_tier),
        cmocka_unit_test(a_prefix_of_the_set_up_goes_before_names_of_the_tier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
