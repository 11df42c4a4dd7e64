/* sample_journal: journals written by hand, for the tests of what reads them.
 *
 *     struct journal *journal = sample_journal(
 *         2, (const struct sample_request[]){{.at_ms = 0, .status = 429},
 *                                            {.at_ms = 1001, .status = 200}});
 */
#ifndef TOOMANY_TESTS_SAMPLE_JOURNAL_H
#define TOOMANY_TESTS_SAMPLE_JOURNAL_H

#include "base/duration.h"
#include "harness/calls.h"
#include "tests/journal_once.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is left out is as with the most usual request: a POST on connection 1 without headers. */
struct sample_request {
    double at_ms;
    double takes_ms; /* until the end of its answer; 0: 1 ms; below 0: it never ends */
    int status;      /* 0: no answer was sent */
    uint64_t body;
    uint64_t connection;
    int counter; /* the x-stainless-retry-count plus one; 0: none was sent */
    const char *key;
    const char *marker;
    const char *model;
    const char *method;
    const char *code;
    int64_t retry_after_ms; /* 0: none */
    bool abandoned;
    bool by_script;
    uint64_t pass;
};

static inline void sample_request(struct journal *journal, struct sample_request request)
{
    struct journal_entry *entry = journal_begin(journal);
    int64_t takes_ns =
        request.takes_ms == 0 ? NS_PER_MS : (int64_t)(request.takes_ms * (double)NS_PER_MS);
    entry->connection = request.connection != 0 ? request.connection : 1;
    entry->pass = request.pass;
    entry->arrived_ns = (int64_t)(request.at_ms * (double)NS_PER_MS);
    entry->answered_ns = takes_ns < 0 ? -1 : entry->arrived_ns + takes_ns;
    entry->first_byte_ns = request.status == 0 ? -1 : entry->arrived_ns;
    entry->status = request.status;
    entry->body_digest = request.body;
    entry->retry_count = request.counter - 1;
    entry->abandoned = request.abandoned;
    entry->decision = request.status != 429 ? JOURNAL_SERVED
                      : request.by_script   ? JOURNAL_SCRIPTED
                                            : JOURNAL_THROTTLED;
    entry->retry_after_ns = request.retry_after_ms == 0 ? -1 : request.retry_after_ms * NS_PER_MS;
    const char *code = request.status == 429 ? "rate_limit_exceeded" : "";
    snprintf(entry->code, sizeof entry->code, "%s", request.code != NULL ? request.code : code);
    snprintf(entry->method, sizeof entry->method, "%s",
             request.method != NULL ? request.method : "POST");
    snprintf(entry->path, sizeof entry->path, "/v1/chat/completions");
    snprintf(entry->model, sizeof entry->model, "%s",
             request.model != NULL ? request.model : "gpt-4o-mini");
    snprintf(entry->key_tail, sizeof entry->key_tail, "0000");
    snprintf(entry->idempotency_key, sizeof entry->idempotency_key, "%s",
             request.key != NULL ? request.key : "");
    snprintf(entry->call_marker, sizeof entry->call_marker, "%s",
             request.marker != NULL ? request.marker : "");
    /* What a server would have counted when it came; the last few are enough for the tests. */
    enum { LOOK_BACK = 32 };
    size_t count = journal_count(journal) - 1;
    entry->in_flight = 1;
    for (size_t i = count > LOOK_BACK ? count - LOOK_BACK : 0; i < count; i++) {
        const struct journal_entry *other = journal_at(journal, i);
        bool is_post = strcmp(other->method, "POST") == 0;
        entry->in_flight +=
            is_post && (other->answered_ns < 0 || other->answered_ns > entry->arrived_ns);
    }
    journal_finish(journal, entry);
}

static inline struct journal *sample_journal(size_t count, const struct sample_request requests[])
{
    struct journal *journal = journal_new(count + 1, JOURNAL_REFUSE);
    for (size_t i = 0; i < count; i++)
        sample_request(journal, requests[i]);
    return journal;
}

#endif
