#include "mockserver/obfuscation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_length_comes_to_a_multiple_of_the_step(void **state)
{
    (void)state;
    struct random random;
    char padding[OBFUSCATION_STEP];
    obfuscation_begin(&random, 7);
    for (size_t length = 0; length < 40; length++) {
        obfuscation_make(&random, length, padding);
        assert_int_equal((length + strlen(padding)) % OBFUSCATION_STEP, 0);
        assert_int_equal(strspn(padding, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789"),
                         strlen(padding));
    }
}

static void the_same_answer_has_the_same_padding(void **state)
{
    (void)state;
    char padding[4][OBFUSCATION_STEP];
    struct random random;
    for (size_t i = 0; i < 2; i++) {
        obfuscation_begin(&random, 7);
        obfuscation_make(&random, 1, padding[2 * i]);
        obfuscation_make(&random, 1, padding[2 * i + 1]);
    }
    assert_string_equal(padding[0], padding[2]);
    assert_string_equal(padding[1], padding[3]);
    assert_string_not_equal(padding[0], padding[1]);
    obfuscation_begin(&random, 8);
    obfuscation_make(&random, 1, padding[1]);
    assert_string_not_equal(padding[0], padding[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_to_a_multiple_of_the_step),
        cmocka_unit_test(the_same_answer_has_the_same_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
