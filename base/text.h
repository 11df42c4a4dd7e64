/* text: a string that is put together piece by piece, without printf's reading of a format at each
 * request: what is written for every answer goes through here.
 *
 *     struct text text;
 *     text_begin(&text, 512);
 *     text_add(&text, "{\"model\":");
 *     text_add_json(&text, model);
 *     text_add(&text, ",\"used\":");
 *     text_add_whole(&text, used);
 *     text_add(&text, "}");
 *     char *body = text_end(&text, &length);   // NULL when memory was out
 */
#ifndef TOOMANY_BASE_TEXT_H
#define TOOMANY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *bytes; /* NULL: memory was out; what is added then is lost */
    size_t length;
    size_t capacity; /* 0 where memory was out */
};

/* An empty text with room for `capacity` bytes; it grows by itself. */
void text_begin(struct text *text, size_t capacity);

/* The text with a closing NUL, to be freed by the caller; NULL when memory was out. */
char *text_end(struct text *text, size_t *length);

/* Makes room for `length` more bytes and a NUL. False when memory is out. */
bool text_grow(struct text *text, size_t length);

/* Inline, so that a literal of a few bytes is a few moves. */
static inline void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    if (text->length + length >= text->capacity && !text_grow(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static inline void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

/* A decimal number; sixteen hexadecimal digits. */
void text_add_whole(struct text *text, int64_t value);
void text_add_hex(struct text *text, uint64_t value);

/* A JSON string in quotes, escaped as cJSON does; bytes that are not UTF-8 become '?'. */
void text_add_json(struct text *text, const char *string);
/* The same without the quotes. */
void text_add_escaped(struct text *text, const char *string);

enum { TEXT_WHOLE_SIZE = 21, TEXT_HEX_SIZE = 17 };

/* The same numbers into a buffer; return the length. */
size_t text_whole(char buffer[TEXT_WHOLE_SIZE], int64_t value);
size_t text_hex(char buffer[TEXT_HEX_SIZE], uint64_t value);

/* Copies a string, cut to size - 1 bytes; returns what was copied. snprintf("%s") without the
 * format. */
size_t text_copy(char *target, size_t size, const char *source);

/* The same of any bytes: those that are not UTF-8, and a character that is cut, become '?'. */
void text_copy_utf8(char *target, size_t size, const char *source);

#endif
