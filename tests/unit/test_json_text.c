#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_json(const char *text, size_t length)
{
    struct json_text_fault fault = {.message = ""};
    if (!json_text_check(text, length, &fault))
        fail_msg("%s: byte %zu: %s", text, fault.offset, fault.message);
}

static void takes_json(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{}",
        "[]",
        " [ ] ",
        "{ }",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.5e-10",
        "1E+2",
        "12.50",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\\\u0000\"", /* a backslash, then u0000 */
        "[1, [2, {\"a\": [null]}], \"x\"]",
        "{\"a\": 1, \"b\": {\"c\": []}}",
        "\t\r\n{\"\": \"\"}\n",
        "\"\xc3\xa9 \xf0\x9f\x98\x80 \x7f\"",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_json(cases[i], strlen(cases[i]));
}

static void says_where_and_why_it_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
        const char *message;
    } cases[] = {
        {"", 0, "the JSON text ends too early"},
        {"  ", 2, "the JSON text ends too early"},
        {"\xef\xbb\xbf", 3, "the JSON text ends too early"},
        {"{", 1, "the JSON text ends too early"},
        {"{\"a\"", 4, "the JSON text ends too early"},
        {"{\"a\":", 5, "the JSON text ends too early"},
        {"{\"a\": 1", 7, "the JSON text ends too early"},
        {"{\"a\": 1,", 8, "the JSON text ends too early"},
        {"[1, 2", 5, "the JSON text ends too early"},
        {"tru", 3, "the JSON text ends too early"},
        {"-", 1, "the JSON text ends too early"},
        {"1.", 2, "the JSON text ends too early"},
        {"1e", 2, "the JSON text ends too early"},
        {"\"a", 2, "the JSON text ends too early: a string has no closing quote"},
        {"\"a\\", 3, "the JSON text ends too early"},
        {"\"\\u00", 5, "the JSON text ends too early"},
        {"{\"a\": 1,}", 8, "found \"}\", wanted a key in double quotes"},
        {"{a: 1}", 1, "found \"a\", wanted a key in double quotes"},
        {"{'a': 1}", 1, "found \"'\", wanted a key in double quotes"},
        {"{\"a\" 1}", 5, "found \"1\", wanted a colon after the key"},
        {"{\"a\": 1 \"b\": 2}", 8, "found \"\"\", wanted a comma or \"}\""},
        {"[1 2]", 3, "found \"2\", wanted a comma or \"]\""},
        {"[1}", 2, "found \"}\", wanted a comma or \"]\""},
        {"{\"a\": 1]", 7, "found \"]\", wanted a comma or \"}\""},
        {"[1,,2]", 3,
         "found \",\", wanted a value: a string, number, object, array, true, false or null"},
        {"[1,]", 3,
         "found \"]\", wanted a value: a string, number, object, array, true, false or null"},
        {"[True]", 1,
         "found \"T\", wanted a value: a string, number, object, array, true, false or null"},
        {"[+1]", 1,
         "found \"+\", wanted a value: a string, number, object, array, true, false or null"},
        {"[.5]", 1,
         "found \".\", wanted a value: a string, number, object, array, true, false or null"},
        {"[\xc3\xa9]", 1,
         "found \"\xc3\xa9\", wanted a value: a string, number, object, array, true, false or "
         "null"},
        {"[01]", 2, "a number with a leading zero"},
        {"[-01]", 3, "a number with a leading zero"},
        {"[1.]", 3, "found \"]\", wanted a digit"},
        {"[-]", 2, "found \"]\", wanted a digit"},
        {"[1e+]", 4, "found \"]\", wanted a digit"},
        {"1 2", 2, "text after the end of the JSON value"},
        {"{} // why", 3, "text after the end of the JSON value"},
        {"{\x01}", 1, "a control character, wanted a key in double quotes"},
        {"[1\x0b]", 2, "a control character, wanted a comma or \"]\""},
        {"[1\x7f]", 2, "a control character, wanted a comma or \"]\""},
        {"\"a\tb\"", 2, "a control character in a string; write it as an escape"},
        {"\"a\nb\"", 2, "a control character in a string; write it as an escape"},
        {"\"\\q\"", 2, "found \"q\", wanted one of \" \\ / b f n r t u after a backslash"},
        {"\"\\u00g0\"", 5, "found \"g\", wanted four hexadecimal digits after \\u"},
        {"\"x\\u0000\"", 2, "a NUL character in a string"},
        {"\"\\ud83d\"", 1, "half of a surrogate pair; write both halves, or the character itself"},
        {"\"\\ud83d\\u0041\"", 1,
         "half of a surrogate pair; write both halves, or the character itself"},
        {"\"\\ude00\"", 1, "half of a surrogate pair; write both halves, or the character itself"},
        {"\"\\ud83d\\uzzzz\"", 9, "found \"z\", wanted four hexadecimal digits after \\u"},
        {"{\"a\": \"\xff\"}", 7, "invalid UTF-8; save the file as UTF-8"},
        {"[1]\xc3", 3, "invalid UTF-8; save the file as UTF-8"},
        {"\"\xc0\xaf\"", 1, "invalid UTF-8; save the file as UTF-8"},     /* overlong */
        {"\"\xed\xa0\x80\"", 1, "invalid UTF-8; save the file as UTF-8"}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_text_fault fault = {.message = ""};
        if (json_text_check(cases[i].text, strlen(cases[i].text), &fault))
            fail_msg("%s was taken", cases[i].text);
        assert_string_equal(fault.message, cases[i].message);
        assert_int_equal(fault.offset, cases[i].offset);
    }
}

static void finds_nul_bytes(void **state)
{
    (void)state;
    struct json_text_fault fault;
    assert_false(json_text_check("[1\0]", 4, &fault));
    assert_int_equal(fault.offset, 2);
    assert_string_equal(fault.message, "a NUL byte, wanted a comma or \"]\"");
    assert_false(json_text_check("\"\0\"", 3, &fault));
    assert_int_equal(fault.offset, 1);
    assert_false(json_text_check("\"\\\0\"", 4, &fault));
    assert_int_equal(fault.offset, 2);
    assert_false(json_text_check("[1]\0", 4, &fault));
    assert_int_equal(fault.offset, 3);
}

/* Every beginning of a document ends too early, at its end; nothing behind it is read. */
static void every_truncation_is_seen(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\": [1.5e3, -2, true, null, {\"b\\n\": \"\\ud83d\\ude00\"}], \"c\": false}";
    for (size_t length = 0; length < sizeof text - 1; length++) {
        struct json_text_fault fault;
        char copy[sizeof text];
        memcpy(copy, text, length); /* exactly so long, for the sanitizers */
        if (json_text_check(copy, length, &fault))
            fail_msg("%.*s was taken", (int)length, text);
        bool is_half_pair = strncmp(fault.message, "half", 4) == 0;
        if (!is_half_pair && fault.offset != length)
            fail_msg("%.*s: byte %zu: %s", (int)length, text, fault.offset, fault.message);
    }
    assert_json(text, sizeof text - 1);
}

static void nests_to_sixty_four(void **state)
{
    (void)state;
    char text[400];
    struct json_text_fault fault;
    for (int objects = 0; objects < 2; objects++) {
        for (size_t depth = 63; depth <= 66; depth++) {
            size_t used = 0;
            for (size_t i = 0; i < depth; i++) {
                const char *open = objects ? "{\"\":" : "[";
                memcpy(text + used, open, strlen(open));
                used += strlen(open);
            }
            text[used++] = '0';
            memset(text + used, objects ? '}' : ']', depth);
            used += depth;
            assert_int_equal(json_text_check(text, used, &fault), depth <= JSON_DEPTH_MAX);
            if (depth > JSON_DEPTH_MAX)
                assert_string_equal(fault.message, "nested deeper than 64 levels");
        }
    }
    /* Brothers are not depth. */
    assert_json("[[],[],[[]],{},{\"a\":{}}]", 24);
}

static void a_hundred_thousand_brackets_do_not_exhaust_the_stack(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, '[', sizeof text);
    struct json_text_fault fault;
    assert_false(json_text_check(text, sizeof text, &fault));
    assert_int_equal(fault.offset, JSON_DEPTH_MAX);
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    char text[80];
    memset(text, '1', sizeof text);
    struct json_text_fault fault;
    assert_json(text, JSON_NUMBER_LENGTH_MAX);
    assert_false(json_text_check(text, JSON_NUMBER_LENGTH_MAX + 1, &fault));
    assert_int_equal(fault.offset, 0);
    assert_string_equal(fault.message, "a number of more than 60 characters");
}

static void knows_utf8(void **state)
{
    (void)state;
    assert_true(json_is_utf8("", 0));
    assert_true(json_is_utf8("\xf4\x8f\xbf\xbf", 4)); /* U+10FFFF, the last */
    assert_false(json_is_utf8("\xf4\x90\x80\x80", 4));
    assert_false(json_is_utf8("\xc3", 1));
    assert_false(json_is_utf8("\xed\xa0\x80", 3));
    assert_false(json_is_utf8("\xe0\x80\x80", 3));
    assert_false(json_is_utf8("\x80", 1));
}

static void puts_question_marks_where_bytes_are_not_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *after;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff\xfe", "??"},
        {"caf\xe9 au lait", "caf? au lait"},
        {"cut \xf0\x9f\x98", "cut ???"},
        {"a\xc3", "a?"},
        {"\x80ok\xc3\xa9\xc3", "?ok\xc3\xa9?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", cases[i].before);
        json_make_utf8(text);
        assert_string_equal(text, cases[i].after);
    }
}

static size_t plain_by_bytes(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
            return i;
    }
    return length;
}

/* Every byte at every place, among neighbours that are near what is looked for. */
static void plain_bytes_are_counted(void **state)
{
    (void)state;
    static const char neighbours[] = " !#[]~\x7f";
    for (int byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 20; place++) {
            char text[20];
            for (size_t i = 0; i < sizeof text; i++)
                text[i] = neighbours[i % (sizeof neighbours - 1)];
            text[place] = (char)byte;
            for (size_t length = 0; length <= sizeof text; length++)
                assert_int_equal(json_plain_length(text, length), plain_by_bytes(text, length));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_json),
        cmocka_unit_test(says_where_and_why_it_is_not),
        cmocka_unit_test(finds_nul_bytes),
        cmocka_unit_test(every_truncation_is_seen),
        cmocka_unit_test(nests_to_sixty_four),
        cmocka_unit_test(a_hundred_thousand_brackets_do_not_exhaust_the_stack),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(puts_question_marks_where_bytes_are_not_utf8),
        cmocka_unit_test(plain_bytes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
