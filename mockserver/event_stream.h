/* event_stream: the body of an answer that comes as server-sent events, each a piece of its own
 * with the time at which it is due.
 *
 *     struct event_stream stream;
 *     event_stream_begin(&stream, ANSWER_STREAM_DATA);
 *     event_stream_add(&stream, 0, NULL, object);     deletes the object
 *     event_stream_add_text(&stream, 0, "[DONE]");
 *     event_stream_end(&stream, answer);
 */
#ifndef TOOMANY_MOCKSERVER_EVENT_STREAM_H
#define TOOMANY_MOCKSERVER_EVENT_STREAM_H

#include "base/random.h"
#include "mockserver/answer.h"

#include <cjson/cJSON.h>
#include <stdio.h>

enum { EVENT_STREAM_DELTAS_MAX = 4096 }; /* a longer text has more tokens in each of them */

/* How fast a model speaks. */
struct pace {
    int64_t first_token_ns;
    double tokens_per_second; /* 0: all at once */
};

struct event_stream {
    enum answer_stream kind;
    FILE *file;
    char *text;
    size_t length;
    struct answer_piece *pieces;
    size_t count;
    size_t capacity;
    int64_t sequence_number; /* of the next event, from 0 */
    bool is_padded;          /* each event of JSON, see obfuscation.h */
    struct random random;    /* for that */
    bool has_failed;         /* memory is out */
};

void event_stream_begin(struct event_stream *stream, enum answer_stream kind);

/* Pads the events to come, of ANSWER_STREAM_DATA, with "obfuscation". */
void event_stream_pad(struct event_stream *stream, uint64_t id_bits);

/* Adds an event and deletes `data`. With ANSWER_STREAM_EVENTS `event` is its name, which is added
 * to `data` as "type", and a "sequence_number". */
void event_stream_add(struct event_stream *stream, int64_t due_ns, const char *event, cJSON *data);
void event_stream_add_text(struct event_stream *stream, int64_t due_ns, const char *data);
/* One that is written already. */
void event_stream_add_bytes(struct event_stream *stream, int64_t due_ns, const char *bytes,
                            size_t length);

/* Gives the body, its pieces and the Content-Type to `answer`, which has a status already. */
void event_stream_end(struct event_stream *stream, struct answer *answer);

/* When the token with this number (from 0) is due, since the answer has begun. */
int64_t pace_due_ns(const struct pace *pace, int64_t token);

/* How long it takes to say so many tokens. */
int64_t pace_whole_ns(const struct pace *pace, int64_t tokens);

/* How many tokens go into one event, so that there are not too many events. */
int64_t event_stream_step(int64_t tokens);

#endif
