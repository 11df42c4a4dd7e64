/* recorder: keeps what was answered, and writes it as a scenario that answers the same again.
 *
 *     {"name": "...", "server": {"script": [
 *       {"when": {"path": "/v1/chat/completions", "model": "gpt-4o-mini"}, "latency": "412.037ms",
 *        "answer": {"status": 200, "headers": {"content-type": "application/json"}, "body":
 * "..."}},
 *       ...]}, "client": ..., "expect": {"requests": 12}}
 *
 * One step a request, in order of arrival, with the headers that matter to clients. A stream is a
 * list of pieces, each with the time since the answer began. No key is in it: requests are not
 * recorded, and where a step holds a key that the recorder knows, in its body, a header, the path,
 * the model or the error's code, only its last four characters stand there.
 *
 * What cannot be scripted is left out, and counted: answers that did not come whole, faults,
 * statuses beyond 599, and what is no UTF-8 text (speech).
 */
#ifndef TOOMANY_MOCKSERVER_RECORDER_H
#define TOOMANY_MOCKSERVER_RECORDER_H

#include "mockserver/answer.h"
#include "mockserver/backend.h"
#include "mockserver/journal.h"

enum { RECORDER_BYTES_MAX = 8 * 1024 * 1024 }; /* of bodies: the file is read up to 16 MiB */

struct recorder;  /* opaque */
struct recording; /* one answer; opaque */

struct recorder *recorder_new(void);
void recorder_free(struct recorder *recorder);

/* A key that must not be in what is written. */
void recorder_hide(struct recorder *recorder, const char *key);

/* NULL where there is no more room, or memory: it is left out then. */
struct recording *recorder_begin(struct recorder *recorder);
void recording_free(struct recorder *recorder, struct recording *recording);

/* An answer made here, whole. */
void recording_answer(struct recorder *recorder, struct recording *recording,
                      const struct answer *answer);
/* One that comes from elsewhere. */
void recording_header(struct recording *recording, const char *name, const char *value);
void recording_data(struct recorder *recorder, struct recording *recording, const char *data,
                    size_t length, int64_t now_ns);

/* Takes over `recording` (may be NULL). `keys` are the client's; NULL ends them. */
void recorder_end(struct recorder *recorder, struct recording *recording,
                  const struct journal_entry *entry, const char *const keys[]);

size_t recorder_count(const struct recorder *recorder);
size_t recorder_left_out(const struct recorder *recorder);
/* Whether something has come since it was last written. */
bool recorder_has_news(const struct recorder *recorder);

/* Writes all of it. False when the stream fails. */
bool recorder_write(struct recorder *recorder, FILE *stream);

#endif
