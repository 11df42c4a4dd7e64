#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/escape.h"
#include "base/json.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

static void assert_terminal(const char *text, size_t length, const char *unicode, const char *ascii)
{
    char *escaped = escape_terminal(text, length, true);
    assert_string_equal(escaped, unicode);
    free(escaped);
    escaped = escape_terminal(text, length, false);
    assert_string_equal(escaped, ascii);
    free(escaped);
}

#define TERMINAL(text, unicode, ascii) assert_terminal(text, sizeof(text) - 1, unicode, ascii)

static void nothing_moves_the_cursor_or_changes_colours(void **state)
{
    (void)state;
    TERMINAL("plain ~", "plain ~", "plain ~");
    TERMINAL("", "", "");
    TERMINAL("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07",
             "\\x1b[31mred\\x1b]0;title\\x07");
    TERMINAL("a\nb\rc\td\be", "a\\nb\\rc    d\\x08e", "a\\nb\\rc    d\\x08e");
    TERMINAL("a\0b", "a\\x00b", "a\\x00b");
    TERMINAL("\x7f", "\\x7f", "\\x7f");
    /* C1 controls: U+009B is an ESC [ of its own. */
    TERMINAL("\xc2\x9b"
             "31m",
             "\\x9b31m", "\\x9b31m");
    TERMINAL("\xc2\x85", "\\x85", "\\x85");
}

static void bytes_that_are_no_utf8_are_shown(void **state)
{
    (void)state;
    TERMINAL("\xff\xfe", "\\xff\\xfe", "\\xff\\xfe");
    TERMINAL("\xc3", "\\xc3", "\\xc3");                             /* cut off */
    TERMINAL("\xc0\xaf", "\\xc0\\xaf", "\\xc0\\xaf");               /* overlong */
    TERMINAL("\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"); /* surrogate */
    TERMINAL("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80");
    TERMINAL("\xe2\x82z", "\\xe2\\x82z", "\\xe2\\x82z");
}

static void letters_of_all_scripts_stay_where_they_can_be_shown(void **state)
{
    (void)state;
    TERMINAL("grün 漢字 é", "grün 漢字 é", "gr\\u{fc}n \\u{6f22}\\u{5b57} \\u{e9}");
    TERMINAL("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\\u{1f600}");
}

static void what_turns_the_direction_of_writing_is_shown(void **state)
{
    (void)state;
    static const char *const turners[] = {"\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
                                          "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff"};
    for (size_t i = 0; i < sizeof turners / sizeof turners[0]; i++) {
        char *escaped = escape_terminal(turners[i], strlen(turners[i]), true);
        assert_int_equal(strncmp(escaped, "\\u{", 3), 0);
        free(escaped);
    }
    TERMINAL("a\u202e", "a\\u{202e}", "a\\u{202e}");
}

static void utf8_is_made_valid_and_without_nul(void **state)
{
    (void)state;
    char *escaped = escape_utf8("a\0b\xff\x1b ä", 8);
    assert_string_equal(escaped, "a\ufffdb\ufffd\x1b ä");
    free(escaped);
    escaped = escape_utf8("\xe2\x82", 2);
    assert_string_equal(escaped, "\ufffd\ufffd");
    free(escaped);
}

static char *xml(const char *text, size_t length, bool is_attribute)
{
    char *escaped = NULL;
    size_t escaped_length = 0;
    FILE *stream = open_memstream(&escaped, &escaped_length);
    escape_xml(stream, text, length, is_attribute);
    fclose(stream);
    return escaped;
}

static void assert_xml(const char *text, size_t length, bool is_attribute, const char *expected)
{
    char *escaped = xml(text, length, is_attribute);
    assert_string_equal(escaped, expected);
    free(escaped);
}

#define XML(text, expected) assert_xml(text, sizeof(text) - 1, false, expected)
#define ATTRIBUTE(text, expected) assert_xml(text, sizeof(text) - 1, true, expected)

static void markup_is_escaped(void **state)
{
    (void)state;
    XML("<a href=\"x\" b='y'>&amp;]]>",
        "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;]]&gt;");
    XML("a\nb\tc", "a\nb\tc");
    ATTRIBUTE("a\nb\tc", "a&#10;b&#9;c");
    XML("a\r\nb\rc", "a\nb\u240dc");
}

static void what_xml_may_not_hold_becomes_a_picture_or_a_replacement(void **state)
{
    (void)state;
    XML("\x1b\0\x01\x1f\x7f", "\u241b\u2400\u2401\u241f\u2421");
    XML("\xff\xed\xa0\x80", "\ufffd\ufffd\ufffd\ufffd");
    XML("\xef\xbf\xbe\xef\xbf\xbf", "\ufffd\ufffd"); /* U+FFFE, U+FFFF */
    XML("\xc2\x85\u202e\ufeff", "\ufffd\ufffd\ufffd");
    XML("ü漢\xf0\x9f\x98\x80", "ü漢\xf0\x9f\x98\x80");
}

static char *quoted(const char *text, size_t length)
{
    char *escaped = NULL;
    size_t escaped_length = 0;
    FILE *stream = open_memstream(&escaped, &escaped_length);
    escape_quoted(stream, text, length);
    fclose(stream);
    return escaped;
}

static void quoted_text_is_json_and_yaml(void **state)
{
    (void)state;
    static const char text[] = "a\"b\\c\nd\te\x1b\0\xff\u2028\xc2\x85ü # : - %\r";
    char *escaped = quoted(text, sizeof text - 1);
    assert_string_equal(escaped, "\"a\\\"b\\\\c\\nd\\u0009e\\u001b\\u0000\ufffd\\u2028\\u0085ü # : "
                                 "- %\\u000d\"");
    free(escaped);
}

/* Whatever bytes come in: one line of ASCII or of valid UTF-8, and XML of allowed characters. */
static void random_bytes_never_break_out(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 7, 0);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t length = (size_t)random_below(&random, sizeof bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)random_below(&random, 256);
        char *text = escape_terminal(bytes, length, true);
        assert_true(json_is_utf8(text, strlen(text)));
        for (const char *character = text; *character != '\0'; character++)
            assert_true((unsigned char)*character >= 0x20 && *character != 0x7f);
        free(text);
        text = escape_terminal(bytes, length, false);
        for (const char *character = text; *character != '\0'; character++)
            assert_true(*character >= 0x20 && *character < 0x7f);
        free(text);
        text = escape_utf8(bytes, length);
        assert_true(json_is_utf8(text, strlen(text)));
        free(text);
        text = xml(bytes, length, true);
        assert_true(json_is_utf8(text, strlen(text)));
        assert_null(strpbrk(text, "<>\"'\n\r\t\x1b"));
        free(text);
        text = quoted(bytes, length);
        struct error error;
        cJSON *parsed = json_parse(text, strlen(text), "", &error);
        /* U+0000 is a character of JSON that our reader refuses. */
        assert_true(parsed != NULL || strstr(text, "\\u0000") != NULL);
        cJSON_Delete(parsed);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_the_cursor_or_changes_colours),
        cmocka_unit_test(bytes_that_are_no_utf8_are_shown),
        cmocka_unit_test(letters_of_all_scripts_stay_where_they_can_be_shown),
        cmocka_unit_test(what_turns_the_direction_of_writing_is_shown),
        cmocka_unit_test(utf8_is_made_valid_and_without_nul),
        cmocka_unit_test(markup_is_escaped),
        cmocka_unit_test(what_xml_may_not_hold_becomes_a_picture_or_a_replacement),
        cmocka_unit_test(quoted_text_is_json_and_yaml),
        cmocka_unit_test(random_bytes_never_break_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
