/* escape: text from outside, made safe for where it is shown.
 *
 * What a client prints and what a scenario is called comes from strangers: it may hold terminal
 * escapes, markup, bytes that are no UTF-8, a NUL. Each function below is for one kind of place:
 *
 *     place                     ESC          <          byte 0xff
 *     terminal, log             \x1b         <          \xff
 *     XML and HTML              U+241B       &lt;       U+FFFD
 *     JSON by cJSON             ESC (*)      <          U+FFFD
 *     YAML, double quotes       \u001b       <          U+FFFD
 *
 * (*) cJSON escapes it when it prints. `length` counts bytes; text need not end in NUL.
 */
#ifndef TOOMANY_BASE_ESCAPE_H
#define TOOMANY_BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One line of a terminal: line ends and all that could move the cursor, change colours or turn the
 * direction of writing become visible escapes; a tab becomes four spaces. Without `unicode` only
 * ASCII comes out. The caller frees the result; NULL when memory is out. */
char *escape_terminal(const char *text, size_t length, bool unicode);

/* Valid UTF-8 without NUL, as cJSON wants its strings. The caller frees the result; NULL when
 * memory is out. */
char *escape_utf8(const char *text, size_t length);

/* Text or an attribute's value of XML 1.0 and HTML; control characters become their pictures, so
 * that one sees them. Line ends stay, in attributes as references (`is_attribute`). */
void escape_xml(FILE *stream, const char *text, size_t length, bool is_attribute);

/* A string in double quotes, as JSON and YAML 1.2 read it. */
void escape_quoted(FILE *stream, const char *text, size_t length);

#endif
