/* The entry of a request in the journal, from its arrival to its end. */
#include "base/duration.h"
#include "base/text.h"
#include "mockserver/server_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_header(const char *value, char *target, size_t size)
{
    if (value == NULL)
        return; /* the entry's are empty */
    text_copy_utf8(target, size, value);
}

static void read_retry_count(const struct exchange *exchange, struct journal_entry *entry)
{
    const char *value = exchange->headers[EXCHANGE_RETRY_COUNT];
    if (value == NULL)
        return;
    char *end = NULL;
    errno = 0;
    long count = strtol(value, &end, 10);
    if (end != value && *end == '\0' && errno == 0 && count >= 0 && count <= 1000000)
        entry->retry_count = (int)count;
}

/* Numbers are in the order of the times of arrival. */
static bool take_entry(struct exchange *exchange)
{
    struct server *server = exchange->server;
    struct shared *shared = server->shared;
    const char *key = api_key_of(exchange->headers[EXCHANGE_AUTHORIZATION], NULL);
    server_lock(server);
    exchange->foreseen_pool = pools_foresee(shared->api.pools, key);
    struct journal_entry *entry = journal_take(server->journal);
    const int64_t arrived_ns = loop_now(server->loop);
    if (entry != NULL) {
        shared->in_flight++;
        shared->posts_in_flight += exchange->is_post;
    } else {
        shared->journal_overflowed = true;
    }
    const int in_flight = shared->posts_in_flight;
    if (shared->thread_count > 1)
        pools_fetch(shared->api.pools, exchange->foreseen_pool);
    server_unlock(server);
    if (entry == NULL)
        return false;
    journal_start(entry);
    entry->in_flight = in_flight;
    entry->arrived_ns = arrived_ns;
    exchange->entry = entry;
    return true;
}

bool entry_begin(struct exchange *exchange)
{
    struct server *server = exchange->server;
    if (!take_entry(exchange))
        return false;
    struct journal_entry *entry = exchange->entry;
    entry->pass = server->shared->thread_count > 1 ? 0 : server->pass;
    entry->connection = exchange->link->number;
    text_copy(entry->method, sizeof entry->method, exchange->method);
    text_copy_utf8(entry->path, sizeof entry->path, exchange->path); /* reports are UTF-8 */
    copy_header(exchange->headers[EXCHANGE_IDEMPOTENCY_KEY], entry->idempotency_key,
                sizeof entry->idempotency_key);
    if (server->marker_header != NULL)
        copy_header(exchange_header(exchange, server->marker_header), entry->call_marker,
                    sizeof entry->call_marker);
    read_retry_count(exchange, entry);
    return true;
}

/* A client may have read the last byte before we come here, where other programs keep the processor
 * busy: its wait would then seem shorter than it was, and a right client too early. So the end is
 * what it cannot be before: the answer was there, and the pass that sent it had begun. */
static int64_t end_of_answer(const struct exchange *exchange)
{
    const struct journal_entry *entry = exchange->entry;
    if (exchange->ended_early_ns != 0)
        return exchange->ended_early_ns;
    int64_t end_ns = exchange->server->run_started_ns;
    end_ns = entry->arrived_ns > end_ns ? entry->arrived_ns : end_ns;
    end_ns = entry->decided_ns > end_ns ? entry->decided_ns : end_ns;
    return entry->first_byte_ns > end_ns ? entry->first_byte_ns : end_ns;
}

/* Of a request whose body is malformed. */
void entry_note_library_refusal(struct exchange *exchange, int status)
{
    struct journal_entry *entry = exchange->entry;
    exchange->is_refused_by_library = true;
    if (entry == NULL)
        return;
    entry->decided_ns = entry->first_byte_ns = loop_now(exchange->server->loop);
    entry->status = status;
    snprintf(entry->code, sizeof entry->code, "malformed_request");
}

static void log_request(const struct server *server, const struct journal_entry *entry)
{
    if (!log_writes(server->log, LOG_DEBUG))
        return;
    int64_t took_us = (entry->answered_ns - entry->arrived_ns) / NS_PER_US;
    const struct log_field fields[] = {
        log_number("sequence", (int64_t)entry->sequence),
        log_number("connection", (int64_t)entry->connection),
        log_text("method", entry->method),
        log_text("path", entry->path),
        log_text("model", entry->model),
        log_text("key_tail", entry->key_tail),
        log_number("status", entry->status),
        log_text("code", entry->code),
        log_text("decision", journal_decision_name(entry->decision)),
        log_text("request_id", entry->request_id),
        log_number("duration_us", took_us),
        {0},
    };
    log_event(server->log, server->loop->clock.wall_start_ns + loop_now(server->loop), LOG_DEBUG,
              "request", fields, "%s %s %d %s", entry->method, entry->path, entry->status,
              journal_decision_name(entry->decision));
}

/* The entry is complete. */
static void tell_entry(const struct server *server, const struct journal_entry *entry)
{
    log_request(server, entry);
    journal_stream(server->journal, entry);
}

static void end_recording(struct exchange *exchange)
{
    struct recorder *recorder = exchange->server->recorder;
    if (recorder == NULL)
        return;
    char basic[API_BASIC_KEY_SIZE];
    const char *keys[] = {api_key_of(exchange->headers[EXCHANGE_AUTHORIZATION], basic),
                          exchange_header(exchange, "api-key"),
                          NULL}; /* Azure's clients send that */
    recorder_end(recorder, exchange->recording, exchange->entry, keys);
    exchange->recording = NULL;
}

/* Its place is free, and it is in flight no longer; the entry may be dropped if nothing more is to
 * be told of it. */
static void end_request(struct exchange *exchange, bool is_told)
{
    struct server *server = exchange->server;
    struct shared *shared = server->shared;
    server_lock(server);
    shared->in_flight--;
    shared->posts_in_flight -= exchange->is_post;
    end_recording(exchange);
    api_settle(&shared->api, &exchange->outcome, exchange->entry->answered_ns);
    api_finish(&exchange->outcome);
    if (is_told)
        journal_end(server->journal, exchange->entry);
    server_unlock(server);
}

static void give_back(struct server *server, struct journal_entry *entry)
{
    server_lock(server);
    journal_end(server->journal, entry);
    server_unlock(server);
}

void entry_end(struct exchange *exchange)
{
    struct server *server = exchange->server;
    struct journal_entry *entry = exchange->entry;
    entry->answered_ns = exchange->is_raw_over ? exchange->raw_end_ns : end_of_answer(exchange);
    bool is_told = !journal_has_stream(server->journal) && !log_writes(server->log, LOG_DEBUG);
    metrics_count(server->metrics, entry);
    end_request(exchange, is_told);
    if (!is_told) {
        tell_entry(server, entry);
        give_back(server, entry);
    }
}

void entry_note_refused(struct link *link, int status, const char *code)
{
    struct server *server = link->server;
    if (link->is_receiving && exchange_is_admin_path(link->path))
        return;
    server_lock(server);
    int64_t now_ns = loop_now(server->loop);
    struct journal_entry *entry = journal_take(server->journal);
    server->shared->journal_overflowed |= entry == NULL;
    server_unlock(server);
    if (entry == NULL)
        return;
    journal_start(entry);
    entry->connection = link->number;
    entry->arrived_ns = link->is_receiving ? link->first_line_ns : now_ns;
    if (link->is_receiving)
        text_copy_utf8(entry->path, sizeof entry->path, link->path);
    entry->decided_ns = entry->first_byte_ns = entry->answered_ns = now_ns;
    entry->status = status;
    snprintf(entry->code, sizeof entry->code, "%s", code);
    metrics_count(server->metrics, entry);
    tell_entry(server, entry);
    give_back(server, entry);
}
