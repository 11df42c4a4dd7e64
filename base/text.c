#include "base/text.h"

#include "base/json_text.h"

#include <stdlib.h>

static char *room(struct text *text, size_t length)
{
    if (text->bytes == NULL)
        return NULL;
    if (text->length + length >= text->capacity) {
        size_t capacity = 2 * (text->length + length + 1);
        char *larger = realloc(text->bytes, capacity);
        if (larger == NULL) {
            free(text->bytes);
            text->bytes = NULL;
            return NULL;
        }
        text->bytes = larger;
        text->capacity = capacity;
    }
    return text->bytes + text->length;
}

void text_begin(struct text *text, size_t capacity)
{
    *text = (struct text){.bytes = malloc(capacity + 1), .capacity = capacity + 1};
}

char *text_end(struct text *text, size_t *length)
{
    if (text->bytes == NULL)
        return NULL;
    text->bytes[text->length] = '\0';
    *length = text->length;
    return text->bytes;
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    char *place = room(text, length);
    if (place == NULL)
        return;
    memcpy(place, bytes, length);
    text->length += length;
}

size_t text_whole(char buffer[TEXT_WHOLE_SIZE], int64_t value)
{
    char digits[TEXT_WHOLE_SIZE];
    size_t count = 0;
    size_t length = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        buffer[length++] = '-';
    while (count > 0)
        buffer[length++] = digits[--count];
    buffer[length] = '\0';
    return length;
}

size_t text_hex(char buffer[TEXT_HEX_SIZE], uint64_t value)
{
    for (size_t i = 0; i < TEXT_HEX_SIZE - 1; i++)
        buffer[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    buffer[TEXT_HEX_SIZE - 1] = '\0';
    return TEXT_HEX_SIZE - 1;
}

void text_add_whole(struct text *text, int64_t value)
{
    char *place = room(text, TEXT_WHOLE_SIZE);
    if (place != NULL)
        text->length += text_whole(place, value);
}

void text_add_hex(struct text *text, uint64_t value)
{
    char *place = room(text, TEXT_HEX_SIZE);
    if (place != NULL)
        text->length += text_hex(place, value);
}

/* What stands for a byte that cannot stand in a JSON string, or NULL. */
static const char *escape_of(unsigned char byte, char buffer[8])
{
    static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; short_escapes[i] != '\0'; i += 2) {
        if (byte != (unsigned char)short_escapes[i])
            continue;
        buffer[0] = '\\';
        buffer[1] = short_escapes[i + 1];
        buffer[2] = '\0';
        return buffer;
    }
    memcpy(buffer, "\\u00", 4);
    buffer[4] = "0123456789abcdef"[byte >> 4];
    buffer[5] = "0123456789abcdef"[byte & 15];
    buffer[6] = '\0';
    return buffer;
}

void text_add_json(struct text *text, const char *string)
{
    text_add(text, "\"");
    size_t start = text->length;
    const char *plain = string;
    for (;; string++) {
        unsigned char byte = (unsigned char)*string;
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        text_add_bytes(text, plain, (size_t)(string - plain));
        if (byte == '\0')
            break;
        char buffer[8];
        text_add(text, escape_of(byte, buffer));
        plain = string + 1;
    }
    if (text->bytes != NULL) {
        text->bytes[text->length] = '\0'; /* there is always room for it */
        json_make_utf8(text->bytes + start);
    }
    text_add(text, "\"");
}

size_t text_copy(char *target, size_t size, const char *source)
{
    size_t length = strnlen(source, size - 1);
    memcpy(target, source, length);
    target[length] = '\0';
    return length;
}
