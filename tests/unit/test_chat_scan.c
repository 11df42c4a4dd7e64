#include "mockserver/chat_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]"

static bool scans(const char *body, struct chat_scan *scan)
{
    return chat_scan(body, strlen(body), scan);
}

static void reads_what_is_to_be_known(void **state)
{
    (void)state;
    struct chat_scan scan;
    assert_true(scans(" { \"model\" : \"gpt-4o\" , \"messages\" : [ "
                      "{\"role\":\"system\",\"content\":\"12345678\"} ,\n"
                      "{\"role\":\"user\",\"content\":\"1234567\"}], \"max_tokens\":64,\t"
                      "\"max_completion_tokens\": 999999999 , \"temperature\":-0.25}\r\n",
                      &scan));
    assert_string_equal(scan.model, "gpt-4o");
    assert_int_equal(scan.message_count, 2);
    assert_int_equal(scan.text_tokens, 3);
    assert_int_equal(scan.max_tokens, 64);
    assert_int_equal(scan.max_completion_tokens, 999999999);
    assert_true(scans("{\"model\":\"m\"," MESSAGES "}", &scan));
    assert_int_equal(scan.max_tokens, -1);
    assert_int_equal(scan.max_completion_tokens, -1);
}

/* Characters, not bytes: an escape is one, and so is a letter of three bytes. */
static void counts_characters(void **state)
{
    (void)state;
    struct chat_scan scan;
    assert_true(scans("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
                      "\"\\n\\\"\\\\\xe2\x82\xac\"}]}",
                      &scan));
    assert_int_equal(scan.text_tokens, 1);
    assert_true(scans(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\\n\\\"\xe2\x82\xac\"}]}",
        &scan));
    assert_int_equal(scan.text_tokens, 0);
}

/* A quote, a backslash or a control character at each place of a word of eight bytes. */
static void sees_every_place_of_a_word(void **state)
{
    (void)state;
    struct chat_scan scan;
    for (int length = 0; length <= 40; length++) {
        char body[200];
        snprintf(body, sizeof body,
                 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"%.*s\"}]}",
                 length, "~ abcdefghijklmnopqrstuvwxyz~ABCDEFGHIJKLMNOP");
        assert_true(scans(body, &scan));
        assert_int_equal(scan.text_tokens, length / 4);
        char *place = strstr(body, "content\":\"") + strlen("content\":\"");
        for (int i = 0; i < length; i++) {
            char kept = place[i];
            place[i] = '\x1f';
            assert_false(scans(body, &scan));
            place[i] = '"';
            assert_false(scans(body, &scan));
            place[i] = '\xff';
            assert_false(scans(body, &scan));
            place[i] = kept;
        }
    }
}

static void leaves_all_else_alone(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "{",
        "{}",
        "[]",
        "{\"model\":\"m\"}",
        "{" MESSAGES "}",
        "{\"model\":\"m\"," MESSAGES,
        "{\"model\":\"m\"," MESSAGES "}}",
        "{\"model\":\"m\"," MESSAGES ",}",
        "{\"model\":\"m\"," MESSAGES " \"seed\":1}",
        "{\"model\":\"m\",\"model\":\"m\"," MESSAGES "}",
        "{\"model\":\"\"," MESSAGES "}",
        "{\"model\":\"\\n\"," MESSAGES "}",
        "{\"model\":null," MESSAGES "}",
        "{\"model\":\"m\",\"messages\":[]}",
        "{\"model\":\"m\",\"messages\":{}}",
        "{\"model\":\"m\",\"messages\":[{}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"human\",\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"User\",\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"use\",\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"\",\"content\":\"a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":null}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\\x\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xc3\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"content\":\"b\"}]}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":0}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":-1}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":01}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":1.5}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":1e2}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":1234567890}",
        "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":null}",
        "{\"model\":\"m\"," MESSAGES ",\"seed\":01}",
        "{\"model\":\"m\"," MESSAGES ",\"seed\":1.}",
        "{\"model\":\"m\"," MESSAGES ",\"seed\":.5}",
        "{\"model\":\"m\"," MESSAGES ",\"seed\":-}",
        "{\"model\":\"m\"," MESSAGES ",\"tools\":[]}",
        "{\"model\":\"m\"," MESSAGES ",\"stream\":true}",
        "{\"model\":\"m\"," MESSAGES ",\"n\":2}",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct chat_scan scan;
        if (scans(others[i], &scan))
            fail_msg("taken: %s", others[i]);
    }
}

/* No byte beyond the length is looked at, wherever the body is cut. */
static void a_body_that_is_cut_is_left_alone(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"m\"," MESSAGES ",\"max_tokens\":64,\"seed\":1.5}";
    struct chat_scan scan;
    for (size_t length = 0; length < sizeof body - 1; length++) {
        char *copy = malloc(length > 0 ? length : 1);
        memcpy(copy, body, length);
        assert_false(chat_scan(copy, length, &scan));
        free(copy);
    }
    assert_true(chat_scan(body, sizeof body - 1, &scan));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_to_be_known),        cmocka_unit_test(counts_characters),
        cmocka_unit_test(sees_every_place_of_a_word),       cmocka_unit_test(leaves_all_else_alone),
        cmocka_unit_test(a_body_that_is_cut_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
