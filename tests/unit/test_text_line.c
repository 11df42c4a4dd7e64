#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/escape.h"
#include "base/random.h"
#include "base/text_line.h"

#include <stdlib.h>
#include <string.h>

static const struct report_style plain = {.unicode = true, .width = 60};

static char *ended(const struct text_line *line)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    text_line_end(line, stream);
    fclose(stream);
    return text;
}

static void assert_line(const struct text_line *line, const char *expected)
{
    char *text = ended(line);
    assert_string_equal(text, expected);
    free(text);
}

static void text_stands_where_it_is_put(void **state)
{
    (void)state;
    struct text_line line;
    text_line_start(&line, &plain);
    assert_int_equal(text_line_put(&line, 0, INK_GREEN, "pass"), 4);
    assert_int_equal(text_line_put(&line, 6, INK_PLAIN, "recovers"), 14);
    text_line_put_right(&line, 20, INK_PLAIN, "3s");
    assert_line(&line, "pass  recovers    3s\n");
}

static void trailing_spaces_are_not_written(void **state)
{
    (void)state;
    struct text_line line;
    text_line_start(&line, &plain);
    assert_line(&line, "\n");
    text_line_put(&line, 3, INK_RED, "a   ");
    assert_line(&line, "   a\n");
}

static void later_text_covers_earlier(void **state)
{
    (void)state;
    struct text_line line;
    text_line_start(&line, &plain);
    text_line_put(&line, 0, INK_PLAIN, "aaaaaa");
    text_line_put(&line, 2, INK_PLAIN, "b");
    assert_line(&line, "aabaaa\n");
}

static void what_is_beyond_the_width_is_cut(void **state)
{
    (void)state;
    struct text_line line;
    text_line_start(&line, &plain);
    assert_int_equal(text_line_put(&line, 58, INK_PLAIN, "abc"), 60);
    text_line_put(&line, 70, INK_PLAIN, "d");
    char *text = ended(&line);
    assert_int_equal(strlen(text), 61);
    assert_string_equal(text + 58, "ab\n");
    free(text);
    /* Half of a wide character is not shown. */
    text_line_start(&line, &plain);
    text_line_put(&line, 59, INK_PLAIN, "漢");
    assert_line(&line, "\n");
    text_line_put_right(&line, 3, INK_PLAIN, "abcdef");
    assert_line(&line, "abcdef\n");
}

static void the_width_is_bounded(void **state)
{
    (void)state;
    static const struct {
        int asked;
        int given;
    } rows[] = {{-5, 60}, {0, 60},    {59, 60},   {60, 60},
                {61, 61}, {200, 200}, {201, 200}, {1 << 30, 200}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report_style style = {.width = rows[i].asked};
        struct text_line line;
        text_line_start(&line, &style);
        assert_int_equal(line.width, rows[i].given);
    }
}

static void wide_characters_take_two_columns_and_accents_none(void **state)
{
    (void)state;
    assert_int_equal(text_columns(""), 0);
    assert_int_equal(text_columns("abc"), 3);
    assert_int_equal(text_columns("漢字"), 4);
    assert_int_equal(text_columns("e\u0301"), 1);
    assert_int_equal(text_columns("●─┼"), 3);
    struct text_line line;
    text_line_start(&line, &plain);
    assert_int_equal(text_line_put(&line, 0, INK_PLAIN, "漢字"), 4);
    text_line_put(&line, 5, INK_PLAIN, "e\u0301x");
    assert_line(&line, "漢字 e\u0301x\n");
}

static void a_half_covered_wide_character_leaves_no_half(void **state)
{
    (void)state;
    struct text_line line;
    text_line_start(&line, &plain);
    text_line_put(&line, 0, INK_PLAIN, "漢漢");
    text_line_put(&line, 1, INK_PLAIN, "x"); /* over its second half */
    assert_line(&line, " x漢\n");
    text_line_start(&line, &plain);
    text_line_put(&line, 0, INK_PLAIN, "漢漢");
    text_line_put(&line, 2, INK_PLAIN, "x"); /* over its first half */
    text_line_put(&line, 4, INK_PLAIN, "y");
    assert_line(&line, "漢x y\n");
}

static void an_accent_without_a_letter_is_left_out(void **state)
{
    (void)state;
    struct text_line line;
    text_line_start(&line, &plain);
    text_line_put(&line, 0, INK_PLAIN, "\u0301\u0301x");
    assert_line(&line, "x\n");
}

static void a_pile_of_accents_stays_in_its_cell(void **state)
{
    (void)state;
    char text[400] = "e";
    for (int i = 0; i < 100; i++)
        strcat(text, "\u0301");
    struct text_line line;
    text_line_start(&line, &plain);
    assert_int_equal(text_line_put(&line, 0, INK_PLAIN, text), 1);
    char *written = ended(&line);
    assert_true(strlen(written) <= TEXT_LINE_CELL_SIZE);
    free(written);
    /* On the second half of a wide character it goes with the first. */
    text_line_start(&line, &plain);
    text_line_put(&line, 0, INK_PLAIN, "漢\u0301x");
    assert_line(&line, "漢\u0301x\n");
}

static void colours_are_written_once_and_closed(void **state)
{
    (void)state;
    struct report_style style = {.colour = true, .width = 60};
    struct text_line line;
    text_line_start(&line, &style);
    text_line_put(&line, 0, INK_GREEN, "ok ok");
    text_line_put(&line, 6, INK_BOLD_RED, "bad");
    text_line_put(&line, 10, INK_PLAIN, "end");
    assert_line(&line, "\033[32mok ok \033[0m\033[1;31mbad \033[0mend\n");
    text_line_start(&line, &style);
    text_line_put(&line, 0, INK_DIM, "a");
    assert_line(&line, "\033[2ma\033[0m\n");
    style.colour = false;
    assert_line(&line, "a\n");
}

static char *paragraph(const char *text, int width)
{
    char *written = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&written, &length);
    struct report_style style = {.unicode = true, .width = width};
    struct text_paragraph shape = {.indent = 2, .column = 10, .label = "hint"};
    text_write_paragraph(&shape, text, &style, stream);
    fclose(stream);
    return written;
}

static void a_paragraph_is_broken_between_words(void **state)
{
    (void)state;
    char *text = paragraph("The client tries too often: one attempt more than asked is usually `<=`"
                           " for `<`.",
                           60);
    assert_string_equal(text, "  hint    The client tries too often: one attempt more than\n"
                              "          asked is usually `<=` for `<`.\n");
    free(text);
}

static void a_long_word_is_broken_where_the_line_ends(void **state)
{
    (void)state;
    char word[121];
    memset(word, 'w', 120);
    word[120] = '\0';
    char *text = paragraph(word, 60);
    assert_int_equal(strlen(text), 3 * 11 + 120);
    assert_int_equal(strcspn(text, "\n"), 60);
    free(text);
    text = paragraph("", 60);
    assert_string_equal(text, "  hint\n");
    free(text);
}

static void a_bar_stands_on_each_line(void **state)
{
    (void)state;
    char *written = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&written, &length);
    struct report_style style = {.unicode = true, .width = 60};
    struct text_paragraph shape = {.column = 50, .bar = "│"};
    text_write_paragraph(&shape, "aaaa bbbb cccc", &style, stream);
    fclose(stream);
    assert_string_equal(written, "                                                │ aaaa bbbb\n"
                                 "                                                │ cccc\n");
    free(written);
}

/* Whatever a stranger writes, at every width: no line is wider, none is lost. */
static void hostile_text_keeps_to_every_width(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 11, 0);
    static const char *const parts[] = {"word ",   "漢字",
                                        "e\u0301", "\x1b[31m",
                                        "\xff",    "\u202e",
                                        " ",       "a-very-long-word-without-a-place-to-break-it",
                                        "\n",      "\xf0\x9f\x98\x80",
                                        "\u0301",  "\t"};
    for (int width = 60; width <= 200; width++) {
        for (int round = 0; round < 20; round++) {
            char raw[2000] = "";
            for (int i = 0; i < 40; i++)
                strcat(raw, parts[random_below(&random, sizeof parts / sizeof parts[0])]);
            char *escaped = escape_terminal(raw, strlen(raw), round % 2 == 0);
            char *text = paragraph(escaped, width);
            for (char *line = text; *line != '\0';) {
                char *end = strchr(line, '\n');
                assert_non_null(end);
                *end = '\0';
                assert_true(text_columns(line) <= width);
                assert_true(end == line || end[-1] != ' ');
                line = end + 1;
            }
            free(text);
            free(escaped);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stands_where_it_is_put),
        cmocka_unit_test(trailing_spaces_are_not_written),
        cmocka_unit_test(later_text_covers_earlier),
        cmocka_unit_test(what_is_beyond_the_width_is_cut),
        cmocka_unit_test(the_width_is_bounded),
        cmocka_unit_test(wide_characters_take_two_columns_and_accents_none),
        cmocka_unit_test(a_half_covered_wide_character_leaves_no_half),
        cmocka_unit_test(an_accent_without_a_letter_is_left_out),
        cmocka_unit_test(a_pile_of_accents_stays_in_its_cell),
        cmocka_unit_test(colours_are_written_once_and_closed),
        cmocka_unit_test(a_paragraph_is_broken_between_words),
        cmocka_unit_test(a_long_word_is_broken_where_the_line_ends),
        cmocka_unit_test(a_bar_stands_on_each_line),
        cmocka_unit_test(hostile_text_keeps_to_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
