/* answer: what goes back to a client: status, headers, body. Made by the deciding code, sent by
 * the server; knows nothing of sockets.
 */
#ifndef TOOMANY_MOCKSERVER_ANSWER_H
#define TOOMANY_MOCKSERVER_ANSWER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    ANSWER_HEADERS_MAX = 32, /* OpenAI sends about twenty; a script may add some */
    ANSWER_HEADER_NAME_SIZE = 64,
    ANSWER_HEADER_VALUE_SIZE = 256,
};

/* Where the texts of a header begin in the answer's lines, and their lengths. */
struct answer_place {
    uint16_t name;
    uint16_t value;
    uint8_t name_length;
    uint8_t value_length;
};

/* In bytes: "\0 " after a name and "\0\n" after a value, so that both are strings; in a message
 * they are ": " and "\r\n". */
enum {
    ANSWER_SEPARATOR = 2,
    ANSWER_LINE_MAX =
        ANSWER_HEADER_NAME_SIZE - 1 + ANSWER_HEADER_VALUE_SIZE - 1 + 2 * ANSWER_SEPARATOR,
};

/* A part of the body that goes out on its own: all up to `end`, no earlier than due_ns after the
 * answer has begun. */
struct answer_piece {
    size_t end;
    int64_t due_ns;
};

/* What kind of server-sent events the body holds: each piece is then one event. */
enum answer_stream {
    ANSWER_NOT_STREAMED,
    ANSWER_STREAM_DATA,   /* data: {...}, then data: [DONE] */
    ANSWER_STREAM_EVENTS, /* event: NAME with data: {"sequence_number": n, ...} */
};

/* What becomes of the connection after the last byte of a raw answer. */
enum answer_end {
    ANSWER_CLOSES, /* as one ends a connection: FIN */
    ANSWER_RESETS, /* RST */
    ANSWER_HANGS,  /* nothing more comes until the client goes */
};

struct answer {
    int status;
    char code[48];          /* error code in the body, "" when none: for the journal */
    int64_t retry_after_ns; /* what it asks for; -1 nothing */
    char *body;             /* owned; allocated with malloc */
    size_t body_length;
    struct answer_piece *pieces; /* owned; NULL: all of it at once */
    size_t piece_count;
    enum answer_stream stream;
    bool is_raw;         /* the body is all that goes over the wire, with status line and headers */
    enum answer_end end; /* of a raw one */
    size_t header_count;
    uint64_t name_bits; /* answer_name_bit() of each: most look-ups end here */
    size_t lines_length;
    /* Beyond header_count and lines_length not even zeroed. */
    struct answer_place places[ANSWER_HEADERS_MAX];
    char lines[ANSWER_HEADERS_MAX * ANSWER_LINE_MAX];
};

/* Good until another header is replaced. */
static inline const char *answer_name(const struct answer *answer, size_t index)
{
    return answer->lines + answer->places[index].name;
}

static inline const char *answer_value(const struct answer *answer, size_t index)
{
    return answer->lines + answer->places[index].value;
}

/* What stands in a message from the value of the first header to that of the last. 0 without. */
static inline size_t answer_tail_length(const struct answer *answer)
{
    return answer->header_count > 0
               ? answer->lines_length - answer->places[0].value - ANSWER_SEPARATOR
               : 0;
}

/* Writes that, without a NUL. */
void answer_write_tail(const struct answer *answer, char *target);

/* RFC 9110: a field name is a token; a value has no line breaks or other control characters. Also
 * that both fit. */
bool answer_is_header(const char *name, const char *value);

void answer_init(struct answer *answer, int status);
void answer_free(struct answer *answer);

/* Adds a header (printf form), or replaces the one of this name. One whose value has a line break,
 * which may have come from a request, is left out. More than ANSWER_HEADERS_MAX are a programmer's
 * mistake; what scripts add is bounded when they are read. */
void answer_header(struct answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a text, which is none of the answer's own. */
void answer_header_text(struct answer *answer, const char *name, const char *value);

/* One of 64 bits for a name: no two of those that a usual answer has or is asked for share theirs,
 * but for limit and reset of a unit. */
static inline uint64_t answer_name_bit(const char *name, size_t length)
{
    unsigned int ends =
        ((unsigned char)name[0] | 0x20U) + ((unsigned char)name[length - 1] | 0x20U);
    return UINT64_C(1) << ((length + ends) % 64);
}

/* Adds a header without looking for those of the same name: where it is known that there are none,
 * or where it is to stand beside them. Nothing is checked or cut: both must fit, and no line break
 * may be in the value. Inline, so that the length of a literal is known when it is compiled. */
__attribute__((always_inline)) static inline void
answer_header_add_bytes(struct answer *answer, const char *name, size_t name_length,
                        const char *value, size_t value_length)
{
    assert(answer->header_count < ANSWER_HEADERS_MAX);
    assert(name_length < ANSWER_HEADER_NAME_SIZE && value_length < ANSWER_HEADER_VALUE_SIZE);
    struct answer_place *place = &answer->places[answer->header_count++];
    char *at = answer->lines + answer->lines_length;
    size_t value_at = name_length + ANSWER_SEPARATOR;
    answer->name_bits |= answer_name_bit(name, name_length);
    *place = (struct answer_place){
        .name = (uint16_t)answer->lines_length,
        .value = (uint16_t)(answer->lines_length + value_at),
        .name_length = (uint8_t)name_length,
        .value_length = (uint8_t)value_length,
    };
    memcpy(at, name, name_length);
    memcpy(at + name_length, "\0 ", ANSWER_SEPARATOR);
    memcpy(at + value_at, value, value_length);
    memcpy(at + value_at + value_length, "\0\n", ANSWER_SEPARATOR);
    answer->lines_length += value_at + value_length + ANSWER_SEPARATOR;
}

__attribute__((always_inline)) static inline void
answer_header_add(struct answer *answer, const char *name, const char *value)
{
    answer_header_add_bytes(answer, name, strlen(name), value, strlen(value));
}

/* Takes over `body` (may be NULL: out of memory, an empty body is sent). */
void answer_body(struct answer *answer, char *body);

/* The same for bytes that are no text. */
void answer_body_bytes(struct answer *answer, void *body, size_t length);

/* Takes over `pieces`, whose ends are in order, the last one that of the body. */
void answer_pieces(struct answer *answer, struct answer_piece *pieces, size_t count);

/* The value of the header of this name, or NULL. Good until another one is replaced. */
const char *answer_find_header_bytes(const struct answer *answer, const char *name, size_t length);
static inline const char *answer_find_header(const struct answer *answer, const char *name)
{
    size_t length = strlen(name);
    bool may_be_there = (answer->name_bits & answer_name_bit(name, length)) != 0;
    return may_be_there ? answer_find_header_bytes(answer, name, length) : NULL;
}

/* Sets retry_after_ns and the headers retry-after (whole seconds, rounded up) and, when `ms`,
 * retry-after-ms, so that a client that waits what it reads is never early. */
void answer_retry_after(struct answer *answer, int64_t wait_ns, bool ms);

#endif
