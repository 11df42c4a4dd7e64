#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* rand_xoshiro's vector of xoshiro256** (state 1, 2, 3, 4), computed with Vigna's reference code.
 */
static void gives_the_published_sequence(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    struct random random = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(random_bits(&random) == expected[i]);
}

/* splitmix64 of 0 begins e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f (reference code), and
 * seed e220a8397b1dcdaf with stream 0 starts it at 0. */
static void seeds_by_splitmix(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, UINT64_C(0xe220a8397b1dcdaf), 0);
    assert_true(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(random.state[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(random.state[2] == UINT64_C(0x06c45d188009454f));
}

static void the_same_seed_repeats(void **state)
{
    (void)state;
    struct random a;
    struct random b;
    random_seed(&a, 42, 7);
    random_seed(&b, 42, 7);
    for (int i = 0; i < 1000; i++)
        assert_true(random_bits(&a) == random_bits(&b));
}

static int count_equal_bits(struct random *a, struct random *b, int words)
{
    int equal = 0;
    for (int i = 0; i < words; i++)
        equal += 64 - __builtin_popcountll(random_bits(a) ^ random_bits(b));
    return equal;
}

/* Equal bits of two independent streams are binomial: half of them, within six deviations. */
static void streams_do_not_correlate(void **state)
{
    (void)state;
    enum { WORDS = 4096 };
    double deviation = sqrt(WORDS * 64 * 0.25);
    for (uint64_t seed = 0; seed < 4; seed++) {
        for (uint64_t stream = 0; stream < 8; stream++) {
            struct random a;
            struct random b;
            random_seed(&a, seed, stream);
            random_seed(&b, seed, stream + 1);
            assert_true(fabs(count_equal_bits(&a, &b, WORDS) - WORDS * 32.0) < 6 * deviation);
            random_seed(&a, seed, stream);
            random_seed(&b, seed + 1, stream);
            assert_true(fabs(count_equal_bits(&a, &b, WORDS) - WORDS * 32.0) < 6 * deviation);
        }
    }
}

static void a_unit_is_below_one_and_uses_its_range(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3, 3);
    double sum = 0;
    double low = 1;
    double high = 0;
    enum { DRAWS = 100000 };
    for (int i = 0; i < DRAWS; i++) {
        double unit = random_unit(&random);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
        low = fmin(low, unit);
        high = fmax(high, unit);
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 6 * sqrt(1.0 / 12 / DRAWS));
    assert_true(low < 0.001 && high > 0.999);
    /* All bits set is the largest: 1 - 2^-53. */
    struct random largest = {.state = {0, 0, 0, 0}};
    assert_true(random_unit(&largest) == 0);
}

/* With a bound of 3 * 2^62 a plain remainder gives the lowest third twice as often. */
static void has_no_modulo_bias(void **state)
{
    (void)state;
    enum { DRAWS = 90000 };
    uint64_t bound = UINT64_C(3) << 62;
    int thirds[3] = {0};
    struct random random;
    random_seed(&random, 5, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t value = random_below(&random, bound);
        assert_true(value < bound);
        thirds[value >> 62]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(abs(thirds[i] - DRAWS / 3) < 6 * sqrt(DRAWS * 2.0 / 9));
}

static void a_small_bound_gives_every_value_alike(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 6, 0);
    for (uint64_t bound = 1; bound <= 20; bound++) {
        int counts[20] = {0};
        enum { DRAWS = 20000 };
        for (int i = 0; i < DRAWS; i++)
            counts[random_below(&random, bound)]++;
        double expected = (double)DRAWS / (double)bound;
        for (uint64_t value = 0; value < 20; value++)
            assert_true(value < bound ? fabs(counts[value] - expected) <= 6 * sqrt(expected)
                                      : counts[value] == 0);
    }
    assert_true(random_below(&random, UINT64_MAX) < UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_sequence),
        cmocka_unit_test(seeds_by_splitmix),
        cmocka_unit_test(the_same_seed_repeats),
        cmocka_unit_test(streams_do_not_correlate),
        cmocka_unit_test(a_unit_is_below_one_and_uses_its_range),
        cmocka_unit_test(has_no_modulo_bias),
        cmocka_unit_test(a_small_bound_gives_every_value_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
