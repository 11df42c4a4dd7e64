#include "base/text_line.h"

#include <assert.h>
#include <string.h>
#include <unistr.h>
#include <uniwidth.h>

static const char *const ink_codes[] = {
    [INK_PLAIN] = "",
    [INK_BOLD] = "\033[1m",
    [INK_DIM] = "\033[2m",
    [INK_GREEN] = "\033[32m",
    [INK_YELLOW] = "\033[33m",
    [INK_RED] = "\033[31m",
    [INK_BOLD_RED] = "\033[1;31m",
};

void text_line_start(struct text_line *line, const struct report_style *style)
{
    line->style = style;
    line->width = style->width < TEXT_LINE_COLUMNS_MIN   ? TEXT_LINE_COLUMNS_MIN
                  : style->width > TEXT_LINE_COLUMNS_MAX ? TEXT_LINE_COLUMNS_MAX
                                                         : style->width;
    memset(line->cells, 0, sizeof line->cells);
}

/* The next character of valid UTF-8: its bytes and its columns. */
static size_t next_character(const char *text, int *columns)
{
    ucs4_t character = 0;
    int length = u8_mbtouc(&character, (const uint8_t *)text, strlen(text));
    *columns = uc_width(character, "UTF-8");
    if (*columns < 0)
        *columns = 0;
    return (size_t)length;
}

/* Onto what ends before `column`. */
static void append_accent(struct text_line *line, int column, const char *bytes, size_t length)
{
    struct text_cell *cell = &line->cells[column - 1];
    if (cell->is_second_half)
        cell--;
    size_t used = strlen(cell->bytes);
    if (used + length < sizeof cell->bytes)
        memcpy(cell->bytes + used, bytes, length);
}

/* Of a wide character that is half covered, the other half becomes blank. */
static void make_room(struct text_line *line, int column, int columns)
{
    if (line->cells[column].is_second_half)
        memset(&line->cells[column - 1], 0, sizeof line->cells[0]);
    int after = column + columns;
    if (after < line->width && line->cells[after].is_second_half)
        memset(&line->cells[after], 0, sizeof line->cells[0]);
    memset(&line->cells[column], 0, (size_t)columns * sizeof line->cells[0]);
}

int text_line_put(struct text_line *line, int column, enum ink ink, const char *text)
{
    assert(column >= 0);
    while (*text != '\0') {
        int columns = 0;
        size_t length = next_character(text, &columns);
        if (columns == 0 && column > 0 && column <= line->width)
            append_accent(line, column, text, length);
        text += length;
        if (columns == 0)
            continue;
        if (column + columns > line->width)
            return line->width;
        struct text_cell *cell = &line->cells[column];
        make_room(line, column, columns);
        memcpy(cell->bytes, text - length, length);
        cell->ink = ink;
        if (columns == 2)
            cell[1].is_second_half = true;
        column += columns;
    }
    return column;
}

void text_line_put_right(struct text_line *line, int column, enum ink ink, const char *text)
{
    int start = column - text_columns(text);
    text_line_put(line, start > 0 ? start : 0, ink, text);
}

static bool is_blank(const struct text_cell *cell)
{
    return !cell->is_second_half && (cell->bytes[0] == '\0' || strcmp(cell->bytes, " ") == 0);
}

void text_line_end(const struct text_line *line, FILE *stream)
{
    int width = line->width;
    while (width > 0 && is_blank(&line->cells[width - 1]))
        width--;
    enum ink ink = INK_PLAIN;
    for (int i = 0; i < width; i++) {
        const struct text_cell *cell = &line->cells[i];
        if (cell->is_second_half)
            continue;
        /* Blanks keep the colour that is on, so that few escapes are written. */
        if (line->style->colour && !is_blank(cell) && cell->ink != ink) {
            fprintf(stream, "%s%s", ink != INK_PLAIN ? "\033[0m" : "", ink_codes[cell->ink]);
            ink = cell->ink;
        }
        fputs(cell->bytes[0] != '\0' ? cell->bytes : " ", stream);
    }
    fputs(ink != INK_PLAIN ? "\033[0m\n" : "\n", stream);
}

int text_columns(const char *text)
{
    int sum = 0;
    while (*text != '\0') {
        int columns = 0;
        text += next_character(text, &columns);
        sum += columns;
    }
    return sum;
}

/* How many bytes of `text` go on a line of `room` columns, and where the next line begins. */
static size_t break_line(const char *text, int room, size_t *next)
{
    size_t at = 0;
    size_t last_space = 0;
    int used = 0;
    while (text[at] != '\0') {
        int columns = 0;
        size_t length = next_character(text + at, &columns);
        if (text[at] == ' ' && at > 0)
            last_space = at;
        if (used + columns > room) {
            size_t end = last_space > 0 ? last_space : at;
            *next = end + (text[end] == ' ');
            return end;
        }
        used += columns;
        at += length;
    }
    *next = at;
    return at;
}

void text_write_paragraph(const struct text_paragraph *paragraph, const char *text,
                          const struct report_style *style, FILE *stream)
{
    struct text_line line;
    const char *label = paragraph->label;
    do {
        text_line_start(&line, style);
        if (label != NULL)
            text_line_put(&line, paragraph->indent, paragraph->label_ink, label);
        if (paragraph->bar != NULL)
            text_line_put(&line, paragraph->column - 2, INK_DIM, paragraph->bar);
        label = NULL;
        size_t next = 0;
        size_t length = break_line(text, line.width - paragraph->column, &next);
        int column = paragraph->column;
        for (size_t i = 0; i < length;) {
            char one[TEXT_LINE_CELL_SIZE];
            int columns = 0;
            size_t bytes = next_character(text + i, &columns);
            memcpy(one, text + i, bytes);
            one[bytes] = '\0';
            column = text_line_put(&line, column, paragraph->ink, one);
            i += bytes;
        }
        text_line_end(&line, stream);
        text += next;
    } while (*text != '\0');
}
