#include "base/text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void pieces_come_together(void **state)
{
    (void)state;
    struct text text;
    size_t length = 0;
    text_begin(&text, 1);
    text_add(&text, "used ");
    text_add_whole(&text, -15);
    text_add(&text, " of ");
    text_add_hex(&text, UINT64_C(0xab));
    text_add_bytes(&text, "!?", 1);
    char *bytes = text_end(&text, &length);
    assert_string_equal(bytes, "used -15 of 00000000000000ab!");
    assert_int_equal(length, strlen(bytes));
    free(bytes);
}

/* From one byte of room on, through every size at which it grows. */
static void it_grows(void **state)
{
    (void)state;
    struct text text;
    size_t length = 0;
    text_begin(&text, 0);
    for (int i = 0; i < 5000; i++)
        text_add(&text, "abc");
    char *bytes = text_end(&text, &length);
    assert_int_equal(length, 15000);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(bytes[i], "abc"[i % 3]);
    free(bytes);
}

static void number_is_as_printf_writes_it(int64_t value)
{
    char wanted[32];
    char got[TEXT_WHOLE_SIZE];
    int length = snprintf(wanted, sizeof wanted, "%" PRId64, value);
    assert_int_equal(text_whole(got, value), length);
    assert_string_equal(got, wanted);
    char hex[TEXT_HEX_SIZE];
    snprintf(wanted, sizeof wanted, "%016" PRIx64, (uint64_t)value);
    assert_int_equal(text_hex(hex, (uint64_t)value), 16);
    assert_string_equal(hex, wanted);
}

/* Around every power of ten, where the number of digits changes. */
static void numbers_are_as_printf_writes_them(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 42, 1234567890, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        number_is_as_printf_writes_it(values[i]);
    for (int64_t power = 1;; power *= 10) {
        for (int64_t value = power - 1; value <= power + 1; value++) {
            number_is_as_printf_writes_it(value);
            number_is_as_printf_writes_it(-value);
        }
        if (power > INT64_MAX / 10)
            break;
    }
}

static char *as_json(const char *string)
{
    struct text text;
    size_t length = 0;
    text_begin(&text, 4);
    text_add_json(&text, string);
    return text_end(&text, &length);
}

/* Every byte, alone and between others. */
static void json_strings_are_as_cjson_writes_them(void **state)
{
    (void)state;
    for (int byte = 1; byte < 128; byte++) {
        char string[] = {'a', (char)byte, 'z', (char)byte, '\0'};
        cJSON *item = cJSON_CreateString(string);
        char *wanted = cJSON_PrintUnformatted(item);
        char *got = as_json(string);
        assert_string_equal(got, wanted);
        free(got);
        free(wanted);
        cJSON_Delete(item);
    }
}

static void what_is_no_utf_8_is_replaced(void **state)
{
    (void)state;
    char *got = as_json("caf\xc3\xa9 \xff \xc3");
    assert_string_equal(got, "\"caf\xc3\xa9 ? ?\"");
    free(got);
}

static void a_copy_is_cut_to_its_place(void **state)
{
    (void)state;
    char place[4] = "zzz";
    assert_int_equal(text_copy(place, sizeof place, "ab"), 2);
    assert_string_equal(place, "ab");
    assert_int_equal(text_copy(place, sizeof place, "abcdef"), 3);
    assert_string_equal(place, "abc");
}

/* A character that is cut is none. */
static void a_copy_of_any_bytes_is_utf_8(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *copy; /* in 8 bytes */
    } cases[] = {
        {"", ""},
        {"ab", "ab"},
        {"abcdefghij", "abcdefg"},
        {"\377b", "?b"},
        {"ab\303\244", "ab\303\244"},
        {"abcdef\303\244", "abcdef?"},
        {"abcdefg\377", "abcdefg"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char place[8] = "zzzzzzz";
        text_copy_utf8(place, sizeof place, cases[i].source);
        assert_string_equal(place, cases[i].copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_together),
        cmocka_unit_test(it_grows),
        cmocka_unit_test(numbers_are_as_printf_writes_them),
        cmocka_unit_test(json_strings_are_as_cjson_writes_them),
        cmocka_unit_test(what_is_no_utf_8_is_replaced),
        cmocka_unit_test(a_copy_is_cut_to_its_place),
        cmocka_unit_test(a_copy_of_any_bytes_is_utf_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
