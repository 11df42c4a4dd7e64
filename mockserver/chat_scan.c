#include "mockserver/chat_scan.h"

#include "base/json_text.h"
#include "mockserver/token_estimate.h"

#include <string.h>

/* A reader at a byte of the body. Bytes beyond its end are never looked at. */
struct reader {
    const char *at;
    const char *end;
    bool has_wide; /* bytes beyond ASCII, whose UTF-8 is to be checked in the end */
    struct chat_scan *scan;
};

struct span {
    const char *start;
    size_t length;
    int64_t characters; /* once escapes are resolved */
    bool is_plain;      /* ASCII without escapes: the bytes are the text */
};

static bool is_space(const struct reader *reader)
{
    return reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\t' || *reader->at == '\r');
}

static inline void skip_space(struct reader *reader)
{
    /* Most are written without. */
    if (reader->at < reader->end && (unsigned char)*reader->at > ' ')
        return;
    while (is_space(reader))
        reader->at++;
}

/* Takes `byte` and the white space around it. */
static inline bool take(struct reader *reader, char byte)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != byte)
        return false;
    reader->at++;
    skip_space(reader);
    return true;
}

/* What a byte is inside a string. */
enum byte_kind { PLAIN, QUOTE, BACKSLASH, CONTINUES, WIDE, FORBIDDEN };

static enum byte_kind kind_of(unsigned char byte)
{
    if (byte == '"')
        return QUOTE;
    if (byte == '\\')
        return BACKSLASH;
    if (byte < 0x20)
        return FORBIDDEN;
    if (byte < 0x80)
        return PLAIN;
    return (byte & 0xc0) == 0x80 ? CONTINUES : WIDE;
}

/* A string that begins at span->start, from its first byte `at` that is not plain. */
static bool scan_rest(struct reader *reader, const char *at, struct span *span)
{
    int64_t unseen = 0; /* bytes that are no characters of their own */
    span->is_plain = false;
    for (;; at += json_plain_length(at, (size_t)(reader->end - at))) {
        if (at == reader->end)
            return false;
        enum byte_kind kind = kind_of((unsigned char)*at);
        if (kind == QUOTE)
            break;
        if (kind == FORBIDDEN)
            return false;
        if (kind == BACKSLASH) {
            at++;
            if (at == reader->end || *at == '\0' || strchr("\"\\/bfnrt", *at) == NULL)
                return false;
            unseen++;
        }
        reader->has_wide |= kind == WIDE || kind == CONTINUES;
        unseen += kind == CONTINUES;
        at++;
    }
    span->length = (size_t)(at - span->start);
    span->characters = (int64_t)span->length - unseen;
    reader->at = at + 1;
    return true;
}

/* A string; the reader stands on its opening quote. */
static inline bool scan_string(struct reader *reader, struct span *span)
{
    if (reader->at == reader->end || *reader->at != '"')
        return false;
    const char *start = reader->at + 1;
    size_t plain = json_plain_length(start, (size_t)(reader->end - start));
    const char *at = start + plain;
    span->start = start;
    if (at == reader->end || *at != '"')
        return scan_rest(reader, at, span);
    span->length = plain;
    span->characters = (int64_t)plain;
    span->is_plain = true;
    reader->at = at + 1;
    return true;
}

static bool is_digit(const struct reader *reader)
{
    return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

static bool skip_digits(struct reader *reader)
{
    if (!is_digit(reader))
        return false;
    while (is_digit(reader))
        reader->at++;
    return true;
}

static bool take_byte(struct reader *reader, char byte)
{
    if (reader->at == reader->end || *reader->at != byte)
        return false;
    reader->at++;
    return true;
}

/* A number without an exponent, of the length that the tree takes. */
static bool scan_number(struct reader *reader)
{
    const char *start = reader->at;
    take_byte(reader, '-');
    if (take_byte(reader, '0')) {
        if (is_digit(reader))
            return false;
    } else if (!skip_digits(reader)) {
        return false;
    }
    if (take_byte(reader, '.') && !skip_digits(reader))
        return false;
    return reader->at - start <= JSON_NUMBER_LENGTH_MAX;
}

/* A whole number from 1 on, of at most nine digits. */
static bool scan_count(struct reader *reader, int64_t *count)
{
    enum { DIGITS_MAX = 9 };
    const char *start = reader->at;
    if (!is_digit(reader) || *start == '0')
        return false;
    *count = 0;
    for (; is_digit(reader) && reader->at - start < DIGITS_MAX; reader->at++)
        *count = *count * 10 + (*reader->at - '0');
    return true; /* what else belongs to the number is no comma, and ends the scan */
}

/* The members that are usual, and how each is read. */
struct member {
    const char *name;
    size_t length;
    bool (*read)(struct reader *reader);
};

#define MEMBER(name, read)                                                                         \
    {                                                                                              \
        (name), sizeof(name) - 1, (read)                                                           \
    }

/* The row of the table that a key names, or `count`. */
static size_t find_member(const struct span *key, const struct member *table, size_t count)
{
    size_t i = 0;
    while (i < count &&
           (table[i].length != key->length || memcmp(table[i].name, key->start, key->length) != 0))
        i++;
    return key->is_plain ? i : count;
}

/* ---- members ---- */

/* Whose messages are texts and nothing else. */
static const struct member roles[] = {
    MEMBER("user", NULL),
    MEMBER("assistant", NULL),
    MEMBER("system", NULL),
    MEMBER("developer", NULL),
};

enum { ROLES = sizeof roles / sizeof roles[0] };

static bool read_model(struct reader *reader)
{
    struct span span;
    if (!scan_string(reader, &span) || !span.is_plain || span.length == 0 ||
        span.length >= CHAT_SCAN_MODEL_SIZE)
        return false;
    memcpy(reader->scan->model, span.start, span.length);
    reader->scan->model[span.length] = '\0';
    return true;
}

static bool read_role(struct reader *reader)
{
    struct span span;
    return scan_string(reader, &span) && find_member(&span, roles, ROLES) < ROLES;
}

static bool read_content(struct reader *reader)
{
    struct span span;
    if (!scan_string(reader, &span))
        return false;
    reader->scan->text_tokens += span.characters / TOKEN_CHARACTERS;
    return true;
}

static bool read_max_tokens(struct reader *reader)
{
    return scan_count(reader, &reader->scan->max_tokens);
}

static bool read_max_completion_tokens(struct reader *reader)
{
    return scan_count(reader, &reader->scan->max_completion_tokens);
}

static bool read_messages(struct reader *reader);

static const struct member message_members[] = {
    MEMBER("role", read_role),
    MEMBER("content", read_content),
};

static const struct member members[] = {
    MEMBER("messages", read_messages),
    MEMBER("model", read_model),
    MEMBER("max_tokens", read_max_tokens),
    MEMBER("max_completion_tokens", read_max_completion_tokens),
    MEMBER("temperature", scan_number),
    MEMBER("top_p", scan_number),
    MEMBER("presence_penalty", scan_number),
    MEMBER("frequency_penalty", scan_number),
    MEMBER("seed", scan_number),
};

enum {
    MESSAGE_MEMBERS = sizeof message_members / sizeof message_members[0],
    MEMBERS = sizeof members / sizeof members[0],
    HAS_MESSAGES = 1 << 0, /* the places of these in `members` */
    HAS_MODEL = 1 << 1,
    IS_MESSAGE = (1 << MESSAGE_MEMBERS) - 1, /* all of them */
};

/* An object of such members, none of them twice; *seen says which by their places in the table. */
static bool scan_object(struct reader *reader, const struct member *table, size_t count,
                        unsigned int *seen)
{
    *seen = 0;
    if (!take(reader, '{'))
        return false;
    do {
        struct span key;
        if (!scan_string(reader, &key))
            return false;
        size_t i = find_member(&key, table, count);
        if (i == count || (*seen & 1U << i) != 0)
            return false;
        *seen |= 1U << i;
        if (!take(reader, ':') || !table[i].read(reader))
            return false;
    } while (take(reader, ','));
    return take(reader, '}');
}

static bool read_messages(struct reader *reader)
{
    if (!take(reader, '['))
        return false;
    do {
        unsigned int seen;
        if (!scan_object(reader, message_members, MESSAGE_MEMBERS, &seen) || seen != IS_MESSAGE)
            return false;
        reader->scan->message_count++;
    } while (take(reader, ','));
    return take(reader, ']');
}

bool chat_scan(const char *body, size_t length, struct chat_scan *scan)
{
    struct reader reader = {.at = body, .end = body + length, .scan = scan};
    unsigned int seen;
    scan->message_count = 0;
    scan->text_tokens = 0;
    scan->max_tokens = -1;
    scan->max_completion_tokens = -1;
    return scan_object(&reader, members, MEMBERS, &seen) &&
           (seen & (HAS_MESSAGES | HAS_MODEL)) == (HAS_MESSAGES | HAS_MODEL) &&
           reader.at == reader.end && (!reader.has_wide || json_is_utf8(body, length));
}
