#include "mockserver/journal.h"

#include "base/cache_line.h"
#include "base/json_text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Entries are allocated one by one, so that a pointer to one stays good while others are dropped.
 * The ring holds them in order of arrival. */
struct journal {
    struct journal_entry **ring;
    size_t capacity;
    size_t first;
    size_t count;
    uint64_t total;
    uint64_t lost;
    enum journal_when_full when_full;
    char apart[CACHE_LINE]; /* what follows is read while others change what is above */
    bool has_stream;
    pthread_mutex_t stream_lock; /* of what follows */
    FILE *stream;
    int64_t stream_bytes_max; /* 0: no bound */
    FILE *(*next_stream)(void *owner);
    void *next_stream_owner;
    atomic_bool stream_failed;
};

static const char *const decision_names[] = {"served", "throttled", "scripted", "fault",
                                             "rejected"};

const char *journal_decision_name(enum journal_decision decision)
{
    return decision_names[decision];
}

struct journal *journal_new(size_t capacity, enum journal_when_full when_full)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return NULL;
    journal->ring = calloc(capacity, sizeof(struct journal_entry *));
    journal->capacity = capacity;
    journal->when_full = when_full;
    pthread_mutex_init(&journal->stream_lock, NULL);
    if (journal->ring == NULL) {
        free(journal);
        return NULL;
    }
    return journal;
}

static struct journal_entry **slot(const struct journal *journal, size_t index)
{
    return &journal->ring[(journal->first + index) % journal->capacity];
}

void journal_free(struct journal *journal)
{
    if (journal == NULL)
        return;
    for (size_t i = 0; i < journal->count; i++)
        free(*slot(journal, i));
    pthread_mutex_destroy(&journal->stream_lock);
    free(journal->ring);
    free(journal);
}

void journal_stream_to(struct journal *journal, FILE *stream)
{
    journal->has_stream = stream != NULL;
    journal->stream = stream;
}

void journal_bound_stream(struct journal *journal, int64_t bytes_max, FILE *(*next)(void *owner),
                          void *owner)
{
    journal->stream_bytes_max = bytes_max;
    journal->next_stream = next;
    journal->next_stream_owner = owner;
}

static struct journal_entry *take(struct journal *journal, size_t index)
{
    struct journal_entry *entry = *slot(journal, index);
    for (; index > 0; index--)
        *slot(journal, index) = *slot(journal, index - 1);
    journal->first = (journal->first + 1) % journal->capacity;
    journal->count--;
    return entry;
}

/* NULL: all are of requests under way. */
static struct journal_entry *take_oldest_ended(struct journal *journal)
{
    for (size_t i = 0; i < journal->count; i++) {
        if ((*slot(journal, i))->is_ended)
            return take(journal, i);
    }
    return NULL;
}

/* Of a journal that is full the oldest is used again. */
struct journal_entry *journal_take(struct journal *journal)
{
    struct journal_entry *entry = NULL;
    journal->total++;
    bool has_room = journal->count < journal->capacity;
    if (!has_room) {
        journal->lost++;
        if (journal->when_full == JOURNAL_REFUSE)
            return NULL;
        entry = take_oldest_ended(journal);
        has_room = entry != NULL;
    }
    if (entry == NULL)
        entry = malloc(sizeof *entry);
    if (entry == NULL) {
        journal->lost++;
        return NULL;
    }
    entry->sequence = journal->total;
    entry->is_ended = false;
    entry->is_unkept = !has_room;
    if (has_room)
        *slot(journal, journal->count++) = entry;
    return entry;
}

void journal_start(struct journal_entry *entry)
{
    enum {
        BEGIN = offsetof(struct journal_entry, streamed),
        TEXTS = offsetof(struct journal_entry, method),
    };
    memset((char *)entry + BEGIN, 0, TEXTS - BEGIN);
    entry->method[0] = '\0';
    entry->key_tail[0] = '\0';
    entry->request_id[0] = '\0';
    entry->path[0] = '\0';
    entry->model[0] = '\0';
    entry->code[0] = '\0';
    entry->idempotency_key[0] = '\0';
    entry->call_marker[0] = '\0';
    entry->decision = JOURNAL_REJECTED; /* until it is complete and decided */
    entry->arrived_ns = -1;
    entry->decided_ns = -1;
    entry->first_byte_ns = -1;
    entry->answered_ns = -1;
    entry->retry_after_ns = -1;
    entry->retry_count = -1;
    entry->script_step = -1;
}

static void stream_entry(struct journal *journal, const struct journal_entry *entry)
{
    if (journal->stream == NULL)
        return; /* it has failed */
    if (!journal_write_entry(entry, journal->stream))
        journal->stream_failed = true;
    if (journal->stream_bytes_max == 0 || ftello(journal->stream) < journal->stream_bytes_max)
        return;
    journal->stream = journal->next_stream(journal->next_stream_owner);
    if (journal->stream == NULL)
        journal->stream_failed = true;
}

bool journal_has_stream(const struct journal *journal)
{
    return journal->has_stream;
}

void journal_stream(struct journal *journal, const struct journal_entry *entry)
{
    if (!journal->has_stream)
        return;
    pthread_mutex_lock(&journal->stream_lock);
    stream_entry(journal, entry);
    pthread_mutex_unlock(&journal->stream_lock);
}

/* The oldest entry has been out of the caches for long. It is what the next request asks for when
 * the journal is full, and until then the processor can fetch it. */
static void fetch_oldest(const struct journal *journal)
{
    if (journal->count < journal->capacity)
        return;
    const struct journal_entry *oldest = *slot(journal, 0);
    for (size_t offset = 0; offset < sizeof *oldest; offset += CACHE_LINE)
        __builtin_prefetch((const char *)oldest + offset, 1);
}

void journal_end(struct journal *journal, struct journal_entry *entry)
{
    if (entry->is_unkept)
        free(entry);
    else
        entry->is_ended = true;
    fetch_oldest(journal);
}

size_t journal_count(const struct journal *journal)
{
    return journal->count;
}

const struct journal_entry *journal_at(const struct journal *journal, size_t index)
{
    return *slot(journal, index);
}

uint64_t journal_total(const struct journal *journal)
{
    return journal->total;
}

uint64_t journal_lost(const struct journal *journal)
{
    return journal->lost;
}

bool journal_stream_failed(const struct journal *journal)
{
    return journal->stream_failed;
}

void journal_clear(struct journal *journal)
{
    size_t i = 0;
    while (i < journal->count) {
        if ((*slot(journal, i))->is_ended)
            free(take(journal, i));
        else
            i++;
    }
}

static void write_text(FILE *stream, const char *name, const char *value)
{
    cJSON *item = cJSON_CreateString(value);
    char *text = cJSON_PrintUnformatted(item);
    if (text != NULL)
        json_make_utf8(text);
    fprintf(stream, ",\"%s\":%s", name, text != NULL ? text : "\"\"");
    free(text);
    cJSON_Delete(item);
}

static void write_whole(FILE *stream, const char *name, int64_t value)
{
    fprintf(stream, ",\"%s\":%" PRId64, name, value);
}

/* -1 stands for "never" and is written as null. */
static void write_maybe(FILE *stream, const char *name, int64_t value)
{
    if (value >= 0)
        write_whole(stream, name, value);
    else
        fprintf(stream, ",\"%s\":null", name);
}

bool journal_write_entry(const struct journal_entry *entry, FILE *stream)
{
    fprintf(stream, "{\"sequence\":%" PRIu64 ",\"connection\":%" PRIu64, entry->sequence,
            entry->connection);
    write_text(stream, "method", entry->method);
    write_text(stream, "path", entry->path);
    write_text(stream, "model", entry->model);
    write_text(stream, "key_tail", entry->key_tail);
    fprintf(stream, ",\"body_digest\":\"%016" PRIx64 "\"", entry->body_digest);
    write_whole(stream, "tokens", entry->tokens);
    write_maybe(stream, "arrived_ns", entry->arrived_ns);
    write_maybe(stream, "decided_ns", entry->decided_ns);
    write_maybe(stream, "first_byte_ns", entry->first_byte_ns);
    write_maybe(stream, "answered_ns", entry->answered_ns);
    write_text(stream, "decision", journal_decision_name(entry->decision));
    if (entry->decision == JOURNAL_THROTTLED)
        write_text(stream, "limit", quota_dimension_name(entry->limit));
    write_whole(stream, "status", entry->status);
    write_text(stream, "code", entry->code);
    write_text(stream, "request_id", entry->request_id);
    write_maybe(stream, "retry_after_ns", entry->retry_after_ns);
    write_whole(stream, "in_flight", entry->in_flight);
    write_maybe(stream, "retry_count", entry->retry_count);
    if (entry->idempotency_key[0] != '\0')
        write_text(stream, "idempotency_key", entry->idempotency_key);
    if (entry->call_marker[0] != '\0')
        write_text(stream, "call_marker", entry->call_marker);
    write_maybe(stream, "script_step", entry->script_step);
    if (entry->fault != NULL)
        write_text(stream, "fault", entry->fault);
    fprintf(stream, ",\"abandoned\":%s}\n", entry->abandoned ? "true" : "false");
    return ferror(stream) == 0;
}
