/* text_line: one line of a text report, put together column by column.
 *
 * Everything that text reports print goes through it, so that alignment, cutting to the width
 * by what characters really take (CJK two columns, accents none), colours and the absence of
 * trailing spaces are cared for in one place.
 *
 *     struct text_line line;
 *     text_line_start(&line, style);
 *     text_line_put(&line, 0, INK_GREEN, "pass");
 *     text_line_put(&line, 6, INK_PLAIN, "recovers");
 *     text_line_end(&line, stream);
 *
 * Text must have gone through escape_terminal(); the program's own may hold line-drawing
 * characters.
 */
#ifndef TOOMANY_BASE_TEXT_LINE_H
#define TOOMANY_BASE_TEXT_LINE_H

#include "base/report_style.h"

enum ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GREEN, INK_YELLOW, INK_RED, INK_BOLD_RED };

enum {
    TEXT_LINE_COLUMNS_MIN = 60,
    TEXT_LINE_COLUMNS_MAX = 200,
    TEXT_LINE_CELL_SIZE = 16, /* a character and the accents on it */
};

struct text_line {
    const struct report_style *style;
    int width;
    struct text_cell {
        char bytes[TEXT_LINE_CELL_SIZE]; /* "" is blank, or the second half of a wide one */
        enum ink ink;
        bool is_second_half;
    } cells[TEXT_LINE_COLUMNS_MAX];
};

void text_line_start(struct text_line *line, const struct report_style *style);

/* Puts `text` at `column`; what is beyond the width is cut. Returns the column after it. */
int text_line_put(struct text_line *line, int column, enum ink ink, const char *text);
/* Puts it so that it ends before `column`. */
void text_line_put_right(struct text_line *line, int column, enum ink ink, const char *text);

/* Writes the line without its trailing spaces. */
void text_line_end(const struct text_line *line, FILE *stream);

/* The columns that `text` takes. */
int text_columns(const char *text);

/* A label at `indent`, and `text` at `column`, broken between words into as many lines as it
 * takes; a word that is too long for a line is broken where the line ends. */
struct text_paragraph {
    int indent;
    int column;
    const char *label; /* on the first line */
    enum ink label_ink;
    enum ink ink;
    const char *bar; /* two columns before the text, on each line; NULL: none */
};
void text_write_paragraph(const struct text_paragraph *paragraph, const char *text,
                          const struct report_style *style, FILE *stream);

#endif
