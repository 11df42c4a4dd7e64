/* json_text: whether bytes are JSON (RFC 8259), and if not, where and why not.
 *
 *     {"times": 2,}   ->  byte 12, "found \"}\", wanted a key in double quotes"
 *     {"times": 2     ->  byte 11, "the JSON text ends too early"
 *
 * cJSON parses, but says only about where it gave up, and takes more than JSON: leading zeros,
 * control characters as white space, a NUL in a string (which it cuts there). A byte order mark at
 * the start is let pass, as editors write it.
 */
#ifndef TOOMANY_BASE_JSON_TEXT_H
#define TOOMANY_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    JSON_DEPTH_MAX = 64,         /* recursion depth of the readers */
    JSON_NUMBER_LENGTH_MAX = 60, /* a double needs 24 */
    JSON_TEXT_MESSAGE_SIZE = 128,
};

struct json_text_fault {
    size_t offset; /* of the byte where it stops being JSON */
    char message[JSON_TEXT_MESSAGE_SIZE];
    const char *unread; /* what is there that JSON may have and readers here do not take ("a number
                         * of ..."), or NULL */
};

/* True for JSON nested at most JSON_DEPTH_MAX deep; else fills *fault. */
bool json_text_check(const char *text, size_t length, struct json_text_fault *fault);

/* How many bytes from `text` on stand in a JSON string for themselves, as ASCII: up to the first
 * quote, backslash, control character or byte beyond ASCII. Inline: most strings are short. */
static inline size_t json_plain_length(const char *text, size_t length);

/* True for valid UTF-8 (Unicode's definition: no overlong forms, no surrogates). */
bool json_is_utf8(const char *text, size_t length);

/* Puts '?' in the place of every byte that is not UTF-8: what clients send in headers and paths
 * may be anything, and what is cut to a size may end in the middle of a character. */
void json_make_utf8(char *text);

/* Eight bytes at once, wherever it is known which of them comes first. One that is not plain sets
 * the top bit of its place; the lowest is right, those above it may owe their bit to a borrow. */
static inline size_t json_plain_length(const char *text, size_t length)
{
    size_t plain = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (; length - plain >= 8; plain += 8) {
        uint64_t word;
        memcpy(&word, text + plain, sizeof word);
        uint64_t quotes = word ^ (ones * '"');
        uint64_t backslashes = word ^ (ones * '\\');
        uint64_t found = (word - ones * 0x20) | (quotes - ones) | (backslashes - ones) | word;
        found &= ones << 7;
        if (found != 0)
            return plain + (size_t)__builtin_ctzll(found) / 8;
    }
#endif
    for (; plain < length; plain++) {
        unsigned char byte = (unsigned char)text[plain];
        if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
            break;
    }
    return plain;
}

#endif
