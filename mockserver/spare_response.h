/* spare_response: libmicrohttpd's responses, used again.
 *
 * To make a response and its twelve headers anew for each answer costs 14,000 instructions: every
 * header is checked and copied. So a response whose answer has been sent is kept; the next answer
 * with the same names of headers and a body of the same length takes it and writes its body over
 * the old one. A value that is as long as the one before is written over, too; only where the
 * length differs is the header taken out and set anew, which costs 1,200 instructions.
 *
 *     struct spare_response *spare = spare_response_take(spares, &answer);
 *     MHD_queue_response(connection, status, spare->response);
 *     ... libmicrohttpd says that the request has completed ...
 *     spare_response_give(spares, spare);
 *
 * It must not be given back before, because it is written to. Not for answers in pieces.
 */
#ifndef TOOMANY_MOCKSERVER_SPARE_RESPONSE_H
#define TOOMANY_MOCKSERVER_SPARE_RESPONSE_H

#include "mockserver/answer.h"

#include <microhttpd.h>

enum {
    SPARE_RESPONSES_MAX = 256,     /* kept, of about 4 KB each */
    SPARE_RESPONSE_BODY_MAX = 4096 /* larger ones are not kept */
};

struct spare_responses; /* opaque */

/* A header that is set in a response. */
struct spare_header {
    char name[ANSWER_HEADER_NAME_SIZE];
    char *held; /* the value, where libmicrohttpd holds it */
};

struct spare_response {
    struct MHD_Response *response;
    struct spare_response *next;
    size_t body_length;
    char *body;
    bool is_kept; /* false: of no use for another answer */
    size_t header_count;
    uint8_t name_lengths[ANSWER_HEADERS_MAX];
    uint8_t value_lengths[ANSWER_HEADERS_MAX];
    struct spare_header headers[];
};

/* NULL when memory is out. */
struct spare_responses *spare_responses_new(void);
/* None may be in use. NULL is allowed. */
void spare_responses_free(struct spare_responses *spares);

/* The response for this answer; NULL when memory is out. */
struct spare_response *spare_response_take(struct spare_responses *spares,
                                           const struct answer *answer);
void spare_response_give(struct spare_responses *spares, struct spare_response *spare);

#endif
