/* journal: what the server saw and answered, one entry a request. The one truth of a run: the
 * judge, the reports and the metrics read nothing else of the server.
 *
 * All times are on the run's clock. Entries stay in order of arrival. The journal is bounded;
 * what happens when it is full is chosen, and what is lost is counted, never silent. Threads use it
 * one at a time, but for journal_start(), journal_stream() and journal_stream_failed().
 */
#ifndef TOOMANY_MOCKSERVER_JOURNAL_H
#define TOOMANY_MOCKSERVER_JOURNAL_H

#include "base/error.h"
#include "mockserver/quota.h"

#include <stdint.h>
#include <stdio.h>

enum journal_decision {
    JOURNAL_SERVED,    /* admitted and answered by the model */
    JOURNAL_THROTTLED, /* refused by a limit, with 429 */
    JOURNAL_SCRIPTED,  /* answered by a step of the script */
    JOURNAL_FAULT,     /* a step of the script let the model answer, and played a fault on it */
    JOURNAL_REJECTED,  /* a bad request: 400, 401, 404, 405, 413; or never complete: status 0 */
};

/* Numbers first, texts then, those that most requests have before the others: so that few of its
 * cache lines are touched. journal_start() zeroes the numbers from `streamed` to `method`, and
 * empties each text; what is behind a text's end is of an older entry. */
struct journal_entry {
    uint64_t sequence;     /* from 1, in order of arrival */
    bool is_ended;         /* the journal's own: it may be dropped */
    bool is_unkept;        /* likewise: it goes when it has ended */
    bool streamed;         /* it asked for a stream */
    bool broken;           /* the fault left no answer that a client may take as good */
    bool abandoned;        /* the client went away before it had the whole answer */
    uint64_t connection;   /* from 1, in order of accepting */
    uint64_t body_digest;  /* equal bodies have equal digests */
    int64_t tokens;        /* estimated cost */
    uint64_t pass;         /* of the server over its connections: what arrives on two of them in one
                            * had been sent before either was answered; 0: not known */
    int64_t arrived_ns;    /* the request's headers had been read */
    int64_t decided_ns;    /* its body had been read and the answer was chosen; -1 not yet */
    int64_t first_byte_ns; /* the answer was handed to the connection; -1 not yet */
    int64_t answered_ns;   /* its last byte was sent, or the client was gone; -1 not yet. Never
                            * later than the client can have read that byte. */
    enum journal_decision decision;
    enum quota_dimension limit; /* where throttled */
    int status;
    int in_flight;          /* POST requests that are being answered, with this one if it is one */
    int retry_count;        /* the client's x-stainless-retry-count; -1 none */
    int script_step;        /* from 0; -1 none */
    int64_t retry_after_ns; /* what the answer asked for; -1 nothing */
    const char *fault;      /* its name, or NULL */
    char method[8];
    char key_tail[8]; /* the last four characters of the key, never more */
    char request_id[40];
    char path[64];
    char model[96];
    char code[48];            /* the error code in the answer's body, or "" */
    char idempotency_key[64]; /* or "" */
    char call_marker[64];     /* what the scenario asked the client to send, or "" */
};

/* Where all entries that are kept are of requests under way, one more is written when it has ended,
 * but not kept. */
enum journal_when_full { JOURNAL_DROP_OLDEST, JOURNAL_REFUSE };

enum { JOURNAL_ENTRIES_MAX = 100000 }; /* 53 MB; a retry test needs a few hundred */

struct journal; /* opaque */

/* `capacity` entries are kept. NULL when memory is out. */
struct journal *journal_new(size_t capacity, enum journal_when_full when_full);
void journal_free(struct journal *journal);

/* Every entry is also to be written to `stream` as one line of JSON when its answer has ended. The
 * journal does not own the stream. */
void journal_stream_to(struct journal *journal, FILE *stream);

/* A stream that has reached `bytes_max` is exchanged for what `next` returns; NULL: it failed. */
void journal_bound_stream(struct journal *journal, int64_t bytes_max, FILE *(*next)(void *owner),
                          void *owner);

/* A new entry, in two parts, for threads: it has its number and its place, but nothing else of it
 * is set before the second, which others need not wait for: then its times are -1. NULL when full
 * and refusing. The pointer is good until journal_end(). */
struct journal_entry *journal_take(struct journal *journal);
void journal_start(struct journal_entry *entry);

/* The entry is complete. It is written to the stream, which may take long, and may be done while
 * others use the journal; then it may be dropped. */
bool journal_has_stream(const struct journal *journal);
void journal_stream(struct journal *journal, const struct journal_entry *entry);
void journal_end(struct journal *journal, struct journal_entry *entry);

/* The entries that are kept, oldest first. */
size_t journal_count(const struct journal *journal);
const struct journal_entry *journal_at(const struct journal *journal, size_t index);

/* How many were begun, and how many of them were dropped or refused for lack of room. */
uint64_t journal_total(const struct journal *journal);
uint64_t journal_lost(const struct journal *journal);
/* True once writing a line to the stream has failed (disk full); the entries are still kept. */
bool journal_stream_failed(const struct journal *journal);

/* Forgets all entries that have ended. */
void journal_clear(struct journal *journal);

/* Writes one entry as a line of JSON. False when the stream fails. */
bool journal_write_entry(const struct journal_entry *entry, FILE *stream);

const char *journal_decision_name(enum journal_decision decision);

#endif
