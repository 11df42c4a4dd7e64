#include "mockserver/token_estimate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void cuts_what_is_sent_and_counts_what_is_said(void **state)
{
    (void)state;
    assert_int_equal(token_estimate_text(""), 0);
    assert_int_equal(token_estimate_text("xxx"), 0);
    assert_int_equal(token_estimate_text("xxxx"), 1);
    assert_int_equal(token_estimate_reply(""), 0);
    assert_int_equal(token_estimate_reply("x"), 1);
    assert_int_equal(token_estimate_reply("xxxxx"), 2);
}

static void no_character_is_cut(void **state)
{
    (void)state;
    const char *text = "abc\xc3\xa9xyz\xf0\x9f\x98\x80";
    assert_int_equal(token_estimate_bytes(text, 0), 0);
    assert_int_equal(token_estimate_bytes(text, 1), 5);
    assert_int_equal(token_estimate_bytes(text, 2), 8);
    assert_int_equal(token_estimate_bytes(text + 5, 1), 7);
    assert_int_equal(token_estimate_bytes(text, 3), strlen(text));
    assert_int_equal(token_estimate_bytes(text, INT64_MAX), strlen(text));
    assert_int_equal(token_estimate_bytes("", 1), 0);
}

static void a_text_that_is_cut_has_no_more_tokens_than_allowed(void **state)
{
    (void)state;
    const char *text = "abc\xc3\xa9xyz\xf0\x9f\x98\x80";
    assert_int_equal(token_estimate_bytes_within(text, 0), 0);
    assert_int_equal(token_estimate_bytes_within(text, 1), 3); /* the next takes two bytes */
    assert_int_equal(token_estimate_bytes_within(text, 2), 8);
    assert_int_equal(token_estimate_bytes_within(text + 8, 1), 4); /* the widest fits in a token */
    assert_int_equal(token_estimate_bytes_within(text, 3), strlen(text));
    assert_int_equal(token_estimate_bytes_within(text, INT64_MAX), strlen(text));
    assert_int_equal(token_estimate_bytes_within("", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_what_is_sent_and_counts_what_is_said),
        cmocka_unit_test(no_character_is_cut),
        cmocka_unit_test(a_text_that_is_cut_has_no_more_tokens_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
