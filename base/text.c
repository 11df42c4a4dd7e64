#include "base/text.h"

#include "base/json_text.h"

#include <endian.h>
#include <stdlib.h>

bool text_grow(struct text *text, size_t length)
{
    if (text->bytes == NULL)
        return false;
    size_t capacity = 2 * (text->length + length + 1);
    char *larger = realloc(text->bytes, capacity);
    if (larger == NULL)
        free(text->bytes);
    text->bytes = larger;
    text->capacity = larger != NULL ? capacity : 0;
    text->length = larger != NULL ? text->length : 0;
    return larger != NULL;
}

static char *room(struct text *text, size_t length)
{
    if (text->length + length >= text->capacity && !text_grow(text, length))
        return NULL;
    return text->bytes + text->length;
}

void text_begin(struct text *text, size_t capacity)
{
    *text = (struct text){.bytes = malloc(capacity + 1)};
    text->capacity = text->bytes != NULL ? capacity + 1 : 0;
}

char *text_end(struct text *text, size_t *length)
{
    if (text->bytes == NULL)
        return NULL;
    text->bytes[text->length] = '\0';
    *length = text->length;
    return text->bytes;
}

/* Two digits a division. */
static const char pairs[] = "0001020304050607080910111213141516171819"
                            "2021222324252627282930313233343536373839"
                            "4041424344454647484950515253545556575859"
                            "6061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

static size_t digit_count(uint64_t value)
{
    size_t count = 1;
    for (; value >= 10000; value /= 10000)
        count += 4;
    return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

size_t text_whole(char buffer[TEXT_WHOLE_SIZE], int64_t value)
{
    if ((uint64_t)value < 10) { /* as many are */
        buffer[0] = (char)('0' + value);
        buffer[1] = '\0';
        return 1;
    }
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t length = digit_count(rest) + (value < 0);
    char *at = buffer + length;
    *at = '\0';
    for (; rest >= 100; rest /= 100) {
        at -= 2;
        memcpy(at, &pairs[2 * (rest % 100)], 2);
    }
    if (rest >= 10)
        memcpy(at - 2, &pairs[2 * rest], 2);
    else
        at[-1] = (char)('0' + rest);
    if (value < 0)
        buffer[0] = '-';
    return length;
}

/* Eight digits at once: a byte for each, and letters for those above 9. */
static void put_hex(char digits[8], uint64_t value)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    value = (value | value << 16) & UINT64_C(0x0000ffff0000ffff);
    value = (value | value << 8) & UINT64_C(0x00ff00ff00ff00ff);
    value = (value | value << 4) & (ones * 0x0f);
    uint64_t letters = ((value + ones * 6) >> 4) & ones;
    value = htobe64(value + ones * '0' + letters * ('a' - '0' - 10));
    memcpy(digits, &value, sizeof value);
}

size_t text_hex(char buffer[TEXT_HEX_SIZE], uint64_t value)
{
    put_hex(buffer, value >> 32);
    put_hex(buffer + 8, value & UINT32_MAX);
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

void text_add_escaped(struct text *text, const char *string)
{
    size_t length = strlen(string);
    size_t start = text->length;
    bool has_wide = false;
    for (;;) {
        size_t plain = json_plain_length(string, length);
        text_add_bytes(text, string, plain);
        string += plain;
        length -= plain;
        if (length == 0)
            break;
        char buffer[8];
        if ((unsigned char)*string >= 0x80)
            text_add_bytes(text, string, 1);
        else
            text_add(text, escape_of((unsigned char)*string, buffer));
        has_wide |= (unsigned char)*string >= 0x80;
        string++;
        length--;
    }
    if (has_wide && text->bytes != NULL) {
        text->bytes[text->length] = '\0'; /* there is always room for it */
        json_make_utf8(text->bytes + start);
    }
}

void text_add_json(struct text *text, const char *string)
{
    text_add(text, "\"");
    text_add_escaped(text, string);
    text_add(text, "\"");
}

size_t text_copy(char *target, size_t size, const char *source)
{
    size_t length = strnlen(source, size - 1);
    memcpy(target, source, length);
    target[length] = '\0';
    return length;
}

void text_copy_utf8(char *target, size_t size, const char *source)
{
    size_t length = text_copy(target, size, source);
    if (!json_is_utf8(source, length)) /* what has just been written is slower to read */
        json_make_utf8(target);
}
