#include "mockserver/tier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define KEY "sk-test-aaaaaaaaaaaaAAAA"

static bool is_not_own(const void *owner, const char *name)
{
    return owner != NULL && strcmp(owner, name) == 0;
}

static int64_t limit_of(const struct pools *pools, const char *model,
                        enum quota_dimension dimension)
{
    return pools_limits(pools, model).limit[dimension];
}

static void every_tier_has_the_published_numbers(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    assert_true(tier_apply(tier_find("1"), pools, 0, is_not_own, NULL));
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 500);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_TOKENS_PER_MINUTE), 30000);
    assert_int_equal(limit_of(pools, "gpt-4o-2024-08-06", QUOTA_TOKENS_PER_MINUTE), 30000);
    assert_int_equal(limit_of(pools, "gpt-4o-mini", QUOTA_REQUESTS_PER_DAY), 10000);
    assert_int_equal(limit_of(pools, "gpt-3.5-turbo-0125", QUOTA_REQUESTS_PER_MINUTE), 3500);
    assert_int_equal(limit_of(pools, "ft:unknown:acme::1", QUOTA_TOKENS_PER_MINUTE), 200000);
    assert_true(tier_apply(tier_find("free"), pools, 0, is_not_own, NULL));
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_MINUTE), 3);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_REQUESTS_PER_DAY), 200);
    assert_int_equal(limit_of(pools, "gpt-4o", QUOTA_TOKENS_PER_MINUTE), QUOTA_UNLIMITED);
    assert_true(tier_apply(tier_find("5"), pools, 0, is_not_own, NULL));
    assert_int_equal(limit_of(pools, "gpt-4o-mini", QUOTA_TOKENS_PER_MINUTE), 150000000);
    assert_null(tier_find("6"));
    assert_null(tier_find(""));
    pools_free(pools);
}

static void raising_the_tier_keeps_what_is_used(void **state)
{
    (void)state;
    struct pools *pools = pools_new();
    assert_true(tier_apply(tier_find("1"), pools, 0, is_not_own, "gpt-4"));
    struct pool *pool = pools_get(pools, KEY, "gpt-4o", 0);
    assert_true(quota_admit(&pool->quota, 0, 30000).admitted);
    assert_false(quota_admit(&pool->quota, 0, 1).admitted);
    assert_true(tier_apply(tier_find("2"), pools, 0, is_not_own, "gpt-4"));
    assert_int_equal(quota_used(&pool->quota, QUOTA_TOKENS_PER_MINUTE, 0), 30000);
    assert_true(quota_admit(&pool->quota, 0, 420000).admitted);
    assert_false(quota_admit(&pool->quota, 0, 1).admitted);
    /* What the set-up says itself is left alone: here nothing, so the default holds. */
    assert_int_equal(limit_of(pools, "gpt-4", QUOTA_TOKENS_PER_MINUTE), 450000);
    pools_free(pools);
}

/* A tier that names fewer models would leave limits of the one before. */
static void all_tiers_name_the_same_models(void **state)
{
    (void)state;
    static const char *const names[] = {"free", "2", "3", "4", "5"};
    const struct tier *first = tier_find("1");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct tier *tier = tier_find(names[i]);
        for (size_t j = 0; first->models[j].model != NULL; j++)
            assert_string_equal(tier->models[j].model, first->models[j].model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tier_has_the_published_numbers),
        cmocka_unit_test(raising_the_tier_keeps_what_is_used),
        cmocka_unit_test(all_tiers_name_the_same_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
