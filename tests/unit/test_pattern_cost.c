#include "base/pattern_cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void counts_what_is_copied(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        int64_t cost;
    } cases[] = {
        {"", 0},       {"abc", 3},     {"ab+", 3},    {"a*b?", 2},    {"(ab){2}", 6},
        {"a{0,3}", 4}, {"(a+b)+c", 7}, {"[a+b]+", 2}, {"[]+]{1}", 2}, {"[[:alpha:]+]", 1},
        {"\\++", 2},   {"\\(a\\)", 3}, {"a{,b}", 1},  {"a{x}", 4},    {"(a", 1},
        {"a)b", 3},    {"a|b+", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (pattern_cost(cases[i].pattern) != cases[i].cost)
            fail_msg("%s: %lld, not %lld", cases[i].pattern,
                     (long long)pattern_cost(cases[i].pattern), (long long)cases[i].cost);
    }
}

/* The first is what fuzzing found: glibc doubles its memory with each "+". */
static void what_would_take_all_memory_is_too_much(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "a.*+++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++b",
        "((((((a{9}){9}){9}){9}){9}){9}",
        "a{32767}",
        "a.**+++++++++++++",
        "a**",
        "((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
        "a{99999999999999999999999999}{9999999999999999999}",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        assert_true(pattern_cost(patterns[i]) > PATTERN_COST_MAX);
    char nested[2 * PATTERN_DEPTH_MAX] = "";
    memset(nested, '(', PATTERN_DEPTH_MAX + 1);
    assert_true(pattern_cost(nested) > PATTERN_COST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_is_copied),
        cmocka_unit_test(what_would_take_all_memory_is_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
