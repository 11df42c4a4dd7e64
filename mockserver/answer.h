/* answer: what goes back to a client: status, headers, body. Made by the deciding code, sent by
 * the server; knows nothing of sockets.
 */
#ifndef TOOMANY_MOCKSERVER_ANSWER_H
#define TOOMANY_MOCKSERVER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ANSWER_HEADERS_MAX = 32, /* OpenAI sends about twenty; a script may add some */
    ANSWER_HEADER_NAME_SIZE = 64,
    ANSWER_HEADER_VALUE_SIZE = 256,
};

struct answer_header {
    char name[ANSWER_HEADER_NAME_SIZE];
    char value[ANSWER_HEADER_VALUE_SIZE];
};

struct answer {
    int status;
    char code[48];          /* error code in the body, "" when none: for the journal */
    int64_t retry_after_ns; /* what it asks for; -1 nothing */
    char *body;             /* owned; allocated with malloc */
    size_t body_length;
    struct answer_header headers[ANSWER_HEADERS_MAX];
    size_t header_count;
};

void answer_init(struct answer *answer, int status);
void answer_free(struct answer *answer);

/* Adds a header (printf form), or replaces the one of this name. More than ANSWER_HEADERS_MAX are
 * a programmer's mistake; what scripts add is bounded when they are read. */
void answer_header(struct answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes over `body` (may be NULL: out of memory, an empty body is sent). */
void answer_body(struct answer *answer, char *body);

/* Sets retry_after_ns and the headers retry-after (whole seconds, rounded up) and, when `ms`,
 * retry-after-ms, so that a client that waits what it reads is never early. */
void answer_retry_after(struct answer *answer, int64_t wait_ns, bool ms);

#endif
