/* wire: an answer as the bytes that go over the connection, for what libmicrohttpd would not send.
 *
 * wire_make() turns an answer into a raw one, whose body begins with the status line; the other
 * functions then cut it, hold it up or slow it down. The connection ends with it.
 */
#ifndef TOOMANY_MOCKSERVER_WIRE_H
#define TOOMANY_MOCKSERVER_WIRE_H

#include "mockserver/answer.h"

enum wire_framing {
    WIRE_LENGTH,         /* Content-Length; chunks where the answer is streamed */
    WIRE_CHUNKS,         /* chunks, and the last one, which is empty */
    WIRE_ENDLESS_CHUNKS, /* chunks without the last one */
};

enum { WIRE_PIECES_MAX = 10000 };

/* `length_error` is added to the Content-Length. False when memory is out; the answer is as before.
 */
bool wire_make(struct answer *answer, enum wire_framing framing, int64_t length_error);

/* Where the headers end. */
size_t wire_head_length(const struct answer *answer);

/* Nothing after the first `length` bytes; then the connection ends as `end` says. */
void wire_cut(struct answer *answer, size_t length, enum answer_end end);

/* Makes everything after the first `length` bytes wait for so long. */
bool wire_hold(struct answer *answer, size_t length, int64_t wait_ns);

/* Sends the bytes after the headers no faster than this. */
bool wire_slow_down(struct answer *answer, double bytes_per_second);

#endif
