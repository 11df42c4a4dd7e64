#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* FNV's own test suite, 64-bit FNV-1a: http://www.isthe.com/chongo/src/fnv/test_fnv.c */
static void gives_the_published_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t digest;
    } vectors[] = {
        {"", UINT64_C(0xcbf29ce484222325)},       {"a", UINT64_C(0xaf63dc4c8601ec8c)},
        {"b", UINT64_C(0xaf63df4c8601f1a5)},      {"c", UINT64_C(0xaf63de4c8601eff2)},
        {"foo", UINT64_C(0xdcb27518fed9d577)},    {"foob", UINT64_C(0xdd120e790c2512af)},
        {"foobar", UINT64_C(0x85944171f73967e8)},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_true(digest_bytes(vectors[i].text, strlen(vectors[i].text)) == vectors[i].digest);
}

static void takes_every_byte_and_no_more(void **state)
{
    (void)state;
    assert_true(digest_bytes("a\0b", 3) != digest_bytes("a\0c", 3));
    assert_true(digest_bytes("\xff", 1) == UINT64_C(0xaf64724c8602eb6e));
    assert_true(digest_bytes("abc", 2) == digest_bytes("abd", 2));
    assert_true(digest_bytes("ab", 2) != digest_bytes("ba", 2));
}

/* Of every length around a step, each byte counts, and so does the length. */
static void a_quick_digest_depends_on_every_byte(void **state)
{
    (void)state;
    char bytes[50] = {0};
    uint64_t seen[sizeof bytes];
    for (size_t length = 0; length < sizeof bytes; length++) {
        seen[length] = digest_quick(bytes, length);
        for (size_t shorter = 0; shorter < length; shorter++)
            assert_true(seen[shorter] != seen[length]);
        for (size_t i = 0; i < length; i++) {
            bytes[i] = 1;
            assert_true(digest_quick(bytes, length) != seen[length]);
            bytes[i] = 0;
        }
        assert_true(digest_quick(bytes, length) == seen[length]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_values),
        cmocka_unit_test(takes_every_byte_and_no_more),
        cmocka_unit_test(a_quick_digest_depends_on_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
