/* spare_response: libmicrohttpd's responses, used again.
 *
 * To make a response and its twelve headers anew for each answer costs 14,000 instructions: every
 * header is checked and copied, and looked at again when it is sent. libmicrohttpd checks a value
 * when it is added, and sends "name: value" as it finds it. So all headers are one to it: the value
 * of the first holds the lines of the others, too. It is added as a text of that length and written
 * over; and a response whose answer has been sent is kept for the next answer whose body and tail
 * are as long, and written over again.
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
    SPARE_RESPONSES_MAX = 256,     /* kept, of about 2 KB each */
    SPARE_RESPONSE_BODY_MAX = 4096 /* larger ones are not kept */
};

struct spare_responses; /* opaque */

struct spare_response {
    struct MHD_Response *response;
    struct spare_response *next;
    size_t body_length;
    char *body;
    size_t tail_length;
    char first_name[ANSWER_HEADER_NAME_SIZE];
    char *tail;   /* from the first header's value on, where libmicrohttpd holds it; NULL: none */
    bool is_kept; /* false: of no use for another answer */
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
