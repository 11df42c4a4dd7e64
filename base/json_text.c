#include "base/json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

/* The first byte that is not UTF-8, or NULL. Most of what comes is ASCII, which is seen eight bytes
 * at a time. */
static const char *find_invalid(const char *text, size_t length)
{
    size_t ascii = 0;
    for (; length - ascii >= 8; ascii += 8) {
        uint64_t word;
        memcpy(&word, text + ascii, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (ascii < length && (unsigned char)text[ascii] < 0x80)
        ascii++;
    if (ascii == length)
        return NULL;
    return (const char *)u8_check((const uint8_t *)text + ascii, length - ascii);
}

struct scan {
    const char *text;
    size_t length;
    size_t at;
    size_t depth;
    struct json_text_fault *fault;
};

static bool fail(struct scan *scan, const char *message)
{
    scan->fault->offset = scan->at;
    scan->fault->unread = NULL;
    snprintf(scan->fault->message, sizeof scan->fault->message, "%s", message);
    return false;
}

/* What RFC 8259 has, and readers may leave out. */
static bool fail_unread(struct scan *scan, const char *message, const char *unread)
{
    fail(scan, message);
    scan->fault->unread = unread;
    return false;
}

static int peek(const struct scan *scan)
{
    return scan->at < scan->length ? (unsigned char)scan->text[scan->at] : -1;
}

static bool fail_found(struct scan *scan, const char *wanted)
{
    int c = peek(scan);
    char message[JSON_TEXT_MESSAGE_SIZE];
    if (c < 0)
        return fail(scan, "the JSON text ends too early");
    if (c == 0)
        snprintf(message, sizeof message, "a NUL byte, wanted %s", wanted);
    else if (c < 0x20 || c == 0x7f)
        snprintf(message, sizeof message, "a control character, wanted %s", wanted);
    else
        snprintf(message, sizeof message, "found \"%.*s\", wanted %s",
                 u8_mblen((const uint8_t *)scan->text + scan->at, scan->length - scan->at),
                 scan->text + scan->at, wanted);
    return fail(scan, message);
}

static void skip_space(struct scan *scan)
{
    while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\r' || peek(scan) == '\n')
        scan->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_digit(int c)
{
    if (is_digit(c))
        return c - '0';
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four digits after "\u". */
static bool scan_hex(struct scan *scan, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(peek(scan));
        if (digit < 0)
            return fail_found(scan, "four hexadecimal digits after \\u");
        *value = *value * 16 + (unsigned)digit;
        scan->at++;
    }
    return true;
}

/* A character above U+FFFF is written as two escapes, high half first. */
static bool scan_unicode_escape(struct scan *scan)
{
    size_t start = scan->at - 2;
    unsigned value = 0;
    if (!scan_hex(scan, &value))
        return false;
    unsigned low = 0;
    if (value == 0) {
        scan->at = start;
        return fail_unread(scan, "a NUL character in a string", "\\u0000 in a string");
    }
    bool is_high = value >= 0xd800 && value <= 0xdbff;
    bool is_low = value >= 0xdc00 && value <= 0xdfff;
    if (is_high && scan->length - scan->at >= 2 && memcmp(scan->text + scan->at, "\\u", 2) == 0) {
        scan->at += 2;
        if (!scan_hex(scan, &low))
            return false;
    }
    bool is_pair = is_high && low >= 0xdc00 && low <= 0xdfff;
    if ((is_high && !is_pair) || is_low) {
        scan->at = start;
        return fail_unread(scan,
                           "half of a surrogate pair; write both halves, or the character itself",
                           "half of a surrogate pair in a string");
    }
    return true;
}

static bool scan_escape(struct scan *scan)
{
    scan->at++;
    int c = peek(scan);
    if (c == 'u') {
        scan->at++;
        return scan_unicode_escape(scan);
    }
    if (c <= 0 || strchr("\"\\/bfnrt", c) == NULL)
        return fail_found(scan, "one of \" \\ / b f n r t u after a backslash");
    scan->at++;
    return true;
}

static bool scan_string(struct scan *scan)
{
    scan->at++;
    for (;;) {
        int c = peek(scan);
        if (c < 0)
            return fail(scan, "the JSON text ends too early: a string has no closing quote");
        if (c < 0x20)
            return fail(scan, "a control character in a string; write it as an escape");
        if (c == '\\') {
            if (!scan_escape(scan))
                return false;
            continue;
        }
        scan->at++;
        if (c == '"')
            return true;
    }
}

static bool scan_digits(struct scan *scan)
{
    if (!is_digit(peek(scan)))
        return fail_found(scan, "a digit");
    while (is_digit(peek(scan)))
        scan->at++;
    return true;
}

static bool scan_number_parts(struct scan *scan)
{
    if (peek(scan) == '-')
        scan->at++;
    if (peek(scan) == '0') {
        scan->at++;
        if (is_digit(peek(scan)))
            return fail(scan, "a number with a leading zero");
    } else if (!scan_digits(scan)) {
        return false;
    }
    if (peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan))
            return false;
    }
    if (peek(scan) != 'e' && peek(scan) != 'E')
        return true;
    scan->at++;
    if (peek(scan) == '+' || peek(scan) == '-')
        scan->at++;
    return scan_digits(scan);
}

/* cJSON reads at most 63 characters of a number and takes the rest for the next token. */
static bool scan_number(struct scan *scan)
{
    size_t start = scan->at;
    if (!scan_number_parts(scan))
        return false;
    if (scan->at - start <= JSON_NUMBER_LENGTH_MAX)
        return true;
    scan->at = start;
    static const char message[] = "a number of more than 60 characters";
    return fail_unread(scan, message, message);
}

static bool scan_word(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        size_t left = scan->length - scan->at;
        if (left >= length && memcmp(scan->text + scan->at, words[i], length) == 0) {
            scan->at += length;
            return true;
        }
        if (left > 0 && left < length && memcmp(scan->text + scan->at, words[i], left) == 0) {
            scan->at = scan->length;
            return fail(scan, "the JSON text ends too early");
        }
    }
    return fail_found(scan, "a value: a string, number, object, array, true, false or null");
}

static bool scan_value(struct scan *scan);

static bool scan_member(struct scan *scan)
{
    if (peek(scan) != '"')
        return fail_found(scan, "a key in double quotes");
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    if (peek(scan) != ':')
        return fail_found(scan, "a colon after the key");
    scan->at++;
    return scan_value(scan);
}

/* An object or an array: the parts between `close` and the bracket that opened. */
static bool scan_parts(struct scan *scan, char close)
{
    if (++scan->depth > JSON_DEPTH_MAX)
        return fail_unread(scan, "nested deeper than 64 levels",
                           "objects and arrays nested more than 64 deep");
    scan->at++;
    skip_space(scan);
    if (peek(scan) == close) {
        scan->at++;
        scan->depth--;
        return true;
    }
    for (;;) {
        if (!(close == '}' ? scan_member(scan) : scan_value(scan)))
            return false;
        skip_space(scan);
        int c = peek(scan);
        if (c != ',' && c != close)
            return fail_found(scan, close == '}' ? "a comma or \"}\"" : "a comma or \"]\"");
        scan->at++;
        if (c == close) {
            scan->depth--;
            return true;
        }
        skip_space(scan);
    }
}

static bool scan_value(struct scan *scan)
{
    skip_space(scan);
    int c = peek(scan);
    if (c == '{' || c == '[')
        return scan_parts(scan, c == '{' ? '}' : ']');
    if (c == '"')
        return scan_string(scan);
    if (c == '-' || is_digit(c))
        return scan_number(scan);
    return scan_word(scan);
}

bool json_text_check(const char *text, size_t length, struct json_text_fault *fault)
{
    struct scan scan = {.text = text, .length = length, .fault = fault};
    const char *invalid = find_invalid(text, length);
    if (invalid != NULL) {
        scan.at = (size_t)(invalid - text);
        return fail(&scan, "invalid UTF-8; save the file as UTF-8");
    }
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        scan.at = 3;
    if (!scan_value(&scan))
        return false;
    skip_space(&scan);
    return scan.at == length || fail(&scan, "text after the end of the JSON value");
}

bool json_is_utf8(const char *text, size_t length)
{
    return find_invalid(text, length) == NULL;
}

void json_make_utf8(char *text)
{
    size_t length = strlen(text);
    for (;;) {
        const char *invalid = find_invalid(text, length);
        if (invalid == NULL)
            return;
        size_t skipped = (size_t)(invalid - text);
        text += skipped;
        length -= skipped;
        *text = '?';
    }
}
