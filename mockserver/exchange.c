#include "base/duration.h"
#include "base/text.h"
#include "mockserver/peer.h"
#include "mockserver/request_target.h"
#include "mockserver/server_parts.h"
#include "mockserver/wire.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

void exchange_time_out(struct exchange *exchange, int64_t now_ns)
{
    struct journal_entry *entry = exchange->entry;
    exchange->is_timed_out = true;
    if (entry == NULL)
        return;
    entry->decided_ns = now_ns;
    entry->first_byte_ns = now_ns;
    entry->decision = JOURNAL_REJECTED;
    entry->status = MHD_HTTP_REQUEST_TIMEOUT;
    snprintf(entry->code, sizeof entry->code, "request_timeout");
}

void exchange_unpark(struct exchange *exchange)
{
    struct link *link = exchange->link;
    if (exchange->peer_watched)
        loop_unwatch(exchange->server->loop, &exchange->peer);
    if (exchange->peer_watched && !link->has_ended)
        loop_watch(exchange->server->loop, &link->end, EPOLLRDHUP, NULL);
    exchange->peer_watched = false;
    if (exchange->is_parked)
        loop_unpark(exchange->server->loop);
    exchange->is_parked = false;
}

void exchange_resume(struct exchange *exchange)
{
    exchange_unpark(exchange);
    MHD_resume_connection(exchange->connection);
    server_run_soon(exchange->server);
}

static void is_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    exchange_resume(owner);
}

/* Where the kernel does not tell: whoever lives on a virtual clock and has closed its sending side
 * has closed for good. It has given back its hold on the clock, which would otherwise stand still
 * as long as the request is parked. */
static bool is_peer_gone(const struct exchange *exchange, uint32_t events)
{
    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        return true;
    enum peer_state state = peer_state_of(exchange->link->fd);
    bool is_virtual = exchange->server->loop->clock.kind == CLOCK_VIRTUAL;
    return state == PEER_CLOSED || (state == PEER_UNKNOWN && is_virtual);
}

void exchange_peer_left(struct exchange *exchange, uint32_t events)
{
    struct loop *loop = exchange->server->loop;
    exchange->link->has_ended = true;
    if (!is_peer_gone(exchange, events)) {
        /* It is answered when that is due. From now on only a reset is news. */
        loop_watch(loop, &exchange->peer, 0, NULL);
        return;
    }
    exchange->is_abandoned = true;
    loop_cancel(loop, &exchange->due);
    exchange_resume(exchange);
}

static void peer_ready(void *owner, uint32_t events)
{
    exchange_peer_left(owner, events);
}

void exchange_park_open(struct exchange *exchange)
{
    struct loop *loop = exchange->server->loop;
    loop_park(loop);
    exchange->is_parked = true;
    exchange->peer = (struct watch){
        .fd = exchange->link->fd, .ready = peer_ready, .owner = exchange, .when_quiet = true};
    exchange->peer_watched = loop_watch(loop, &exchange->peer, EPOLLRDHUP, NULL);
    MHD_suspend_connection(exchange->connection);
}

void exchange_park(struct exchange *exchange, int64_t due_ns)
{
    struct loop *loop = exchange->server->loop;
    exchange->due = (struct deadline){.fire = is_due, .owner = exchange};
    loop_at(loop, &exchange->due, due_ns);
    exchange->due.is_at_once = false;
    exchange_park_open(exchange);
}

size_t exchange_length_due(struct exchange *exchange)
{
    const struct answer *answer = &exchange->outcome.answer;
    int64_t passed_ns = loop_now(exchange->server->loop) - exchange->began_ns;
    while (exchange->pieces_due < answer->piece_count &&
           answer->pieces[exchange->pieces_due].due_ns <= passed_ns)
        exchange->pieces_due++;
    return exchange->pieces_due > 0 ? answer->pieces[exchange->pieces_due - 1].end : 0;
}

/* libmicrohttpd asks for more of an answer that comes in pieces. */
static ssize_t read_pieces(void *owner, uint64_t position, char *buffer, size_t size)
{
    struct exchange *exchange = owner;
    const struct answer *answer = &exchange->outcome.answer;
    if (exchange->is_abandoned)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (position >= answer->body_length)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t end = exchange_length_due(exchange);
    if (end > position) {
        size_t length = end - (size_t)position;
        length = length < size ? length : size;
        memcpy(buffer, answer->body + position, length);
        if (position + length == answer->body_length)
            exchange_end_early(exchange, length);
        return (ssize_t)length;
    }
    if (exchange->server->stopping)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    exchange_park(exchange, exchange->began_ns + answer->pieces[exchange->pieces_due].due_ns);
    return 0;
}

static struct MHD_Response *response_in_pieces(struct exchange *exchange)
{
    enum { BLOCK_SIZE = 4096 };
    const struct answer *answer = &exchange->outcome.answer;
    bool is_stream = answer->stream != ANSWER_NOT_STREAMED;
    struct MHD_Response *response =
        MHD_create_response_from_callback(is_stream ? MHD_SIZE_UNKNOWN : answer->body_length,
                                          BLOCK_SIZE, read_pieces, exchange, NULL);
    for (size_t i = 0; i < answer->header_count && response != NULL; i++)
        MHD_add_response_header(response, answer_name(answer, i), answer_value(answer, i));
    return response;
}

void exchange_end_early(struct exchange *exchange, size_t length)
{
    enum { LENGTH_MAX = 65536 }; /* a longer one may be on its way for long: it ends when it ends */
    struct server *server = exchange->server;
    if (!exchange->ends_early || length > LENGTH_MAX)
        return;
    server_lock(server);
    exchange->ended_early_ns = loop_now(server->loop);
    api_settle(&server->shared->api, &exchange->outcome, exchange->ended_early_ns);
    api_finish(&exchange->outcome);
    server_unlock(server);
    exchange->ends_early = false;
}

static enum MHD_Result queue_answer(struct exchange *exchange)
{
    struct answer *answer = &exchange->outcome.answer;
    struct server *server = exchange->server;
    struct MHD_Response *response = NULL;
    if (forward_has_answer(exchange)) {
        response = forward_response(exchange);
    } else if (answer->pieces != NULL) {
        response = response_in_pieces(exchange);
    } else {
        exchange->spare = spare_response_take(server->spare_responses, answer);
        response = exchange->spare != NULL ? exchange->spare->response : NULL;
    }
    if (response == NULL)
        return MHD_NO;
    exchange->began_ns = loop_now(server->loop);
    if (exchange->entry != NULL)
        exchange->entry->first_byte_ns = exchange->began_ns;
    if (exchange->spare != NULL) {
        exchange_end_early(exchange, answer->body_length);
        answer_free(answer); /* which was copied: the next answer gets the same memory */
    }
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned int)answer->status, response);
    if (exchange->spare == NULL)
        MHD_destroy_response(response);
    return result;
}

/* Where a name stands among those that are asked for at every request: no two of them share it. */
#define COMMON_PLACES 32
#define COMMON_PLACE(first, length) (((first) + (length)) % COMMON_PLACES)

static const struct common_header {
    const char *name;
    enum exchange_header header;
} common_headers[COMMON_PLACES] = {
    [COMMON_PLACE('a', 13)] = {"authorization", EXCHANGE_AUTHORIZATION},
    [COMMON_PLACE('e', 6)] = {"expect", EXCHANGE_EXPECT},
    [COMMON_PLACE('i', 15)] = {"idempotency-key", EXCHANGE_IDEMPOTENCY_KEY},
    [COMMON_PLACE('o', 6)] = {"origin", EXCHANGE_ORIGIN},
    [COMMON_PLACE('o', 14)] = {"openai-project", EXCHANGE_PROJECT},
    [COMMON_PLACE('o', 19)] = {"openai-organization", EXCHANGE_ORGANIZATION},
    [COMMON_PLACE('x', 23)] = {"x-stainless-retry-count", EXCHANGE_RETRY_COUNT},
};

/* NULL: it is none of them. */
static const struct common_header *find_common(const char *name, size_t length)
{
    const unsigned char first = (unsigned char)name[0] | 0x20U;
    const struct common_header *common = &common_headers[COMMON_PLACE(first, length)];
    return common->name != NULL && strcasecmp(name, common->name) == 0 ? common : NULL;
}

/* libmicrohttpd keeps all that it has read of the request in the connection's memory, with so much
 * more for each header, argument and cookie; of cookies also a copy. */
static enum MHD_Result note_header(void *owner, enum MHD_ValueKind kind, const char *name,
                                   size_t name_length, const char *value, size_t value_length)
{
    enum { HELD_FOR_EACH = 64 };
    struct exchange *exchange = owner;
    exchange->memory_used += HELD_FOR_EACH;
    if (kind == MHD_COOKIE_KIND)
        exchange->memory_used += name_length + value_length + 2;
    const struct common_header *common =
        kind == MHD_HEADER_KIND ? find_common(name, name_length) : NULL;
    if (common != NULL && exchange->headers[common->header] == NULL)
        exchange->headers[common->header] = value;
    return MHD_YES;
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    const struct common_header *common = find_common(name, strlen(name));
    if (common != NULL)
        return exchange->headers[common->header];
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

bool exchange_is_admin_path(const char *path)
{
    return strncmp(path, ADMIN_PREFIX, strlen(ADMIN_PREFIX)) == 0;
}

/* Exchanges are used again, with the memory for their bodies. */
static struct exchange *take_spare(struct server *server)
{
    struct exchange *exchange = server->spare_exchanges;
    if (exchange == NULL)
        return calloc(1, sizeof *exchange);
    server->spare_exchanges = exchange->next;
    server->spare_exchange_count--;
    memset(exchange, 0, offsetof(struct exchange, body));
    return exchange;
}

static void give_spare(struct server *server, struct exchange *exchange)
{
    enum { SPARE_MAX = 1024, SPARE_BODY_MAX = 16384 }; /* of 11 KB each, and the body */
    api_outcome_init(&exchange->outcome);
    if (exchange->body_capacity > SPARE_BODY_MAX || server->spare_exchange_count >= SPARE_MAX) {
        free(exchange->body);
        free(exchange);
        return;
    }
    exchange->next = server->spare_exchanges;
    server->spare_exchanges = exchange;
    server->spare_exchange_count++;
}

void exchange_free_spare(struct server *server)
{
    while (server->spare_exchanges != NULL) {
        struct exchange *exchange = server->spare_exchanges;
        server->spare_exchanges = exchange->next;
        free(exchange->body);
        free(exchange);
    }
}

static struct exchange *exchange_new(struct server *server, struct MHD_Connection *connection,
                                     const char *method, const char *path)
{
    struct link *link = link_of(connection);
    struct exchange *exchange = link != NULL ? take_spare(server) : NULL;
    if (exchange == NULL)
        return NULL;
    exchange->method = method;
    exchange->is_post = strcmp(method, "POST") == 0;
    exchange->path = request_target_path(path);
    exchange->server = server;
    exchange->link = link;
    exchange->connection = connection;
    link->exchange = exchange;
    exchange->next = server->exchanges;
    if (exchange->next != NULL)
        exchange->next->previous = exchange;
    server->exchanges = exchange;
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    struct server *server = exchange->server;
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        server->exchanges = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    exchange->link->exchange = NULL;
    exchange_unpark(exchange);
    loop_cancel(server->loop, &exchange->due);
    forward_free(exchange);
    recording_free(server->recorder, exchange->recording);
    answer_free(&exchange->outcome.answer);
    if (exchange->spare != NULL)
        spare_response_give(server->spare_responses, exchange->spare);
    give_spare(server, exchange);
}

void on_completed(void *owner, struct MHD_Connection *connection, void **context,
                  enum MHD_RequestTerminationCode code)
{
    struct server *server = owner;
    struct exchange *exchange = *context;
    (void)connection;
    if (exchange == NULL)
        return;
    *context = NULL;
    exchange->link->is_receiving = false;
    if (exchange->link->has_ended)
        shutdown(exchange->link->fd, SHUT_RD); /* see pass_end_on() */
    link_wait(exchange->link, server->run_started_ns, server->bounds.idle_ns);
    struct journal_entry *entry = exchange->entry;
    if (!exchange->is_decided && server->refusal_count > 0)
        entry_note_library_refusal(exchange, server->refusals[--server->refusal_count]);
    if (entry != NULL) {
        entry->abandoned = code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !exchange->is_timed_out &&
                           !exchange->is_refused_by_library && !exchange->is_raw_over;
        entry_end(exchange);
    }
    exchange_free(exchange);
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *size)
{
    size_t needed = exchange->body_length + *size;
    if (needed > exchange->server->bounds.body_bytes && exchange->refusal == EXCHANGE_NOT_REFUSED)
        exchange->refusal = EXCHANGE_BODY_TOO_LARGE;
    if (exchange->refusal != EXCHANGE_NOT_REFUSED) {
        exchange->discarded += *size;
        *size = 0;
        return exchange->discarded <= SERVER_DISCARD_BYTES_MAX ? MHD_YES : MHD_NO;
    }
    if (needed > exchange->body_capacity) {
        size_t capacity = exchange->body_capacity == 0 ? 4096 : exchange->body_capacity;
        while (capacity < needed)
            capacity *= 2;
        char *larger = realloc(exchange->body, capacity);
        if (larger == NULL)
            return MHD_NO;
        exchange->body = larger;
        exchange->body_capacity = capacity;
    }
    memcpy(exchange->body + exchange->body_length, data, *size);
    exchange->body_length = needed;
    *size = 0;
    return MHD_YES;
}

/* The value of the body's top-level member that the scenario uses as a marker. */
static void read_body_marker(struct exchange *exchange)
{
    const char *name = exchange->server->marker_body;
    if (name == NULL || exchange->body == NULL)
        return;
    cJSON *root = cJSON_ParseWithLength(exchange->body, exchange->body_length);
    const cJSON *marker = cJSON_GetObjectItemCaseSensitive(root, name);
    if (cJSON_IsString(marker))
        text_copy_utf8(exchange->entry->call_marker, sizeof exchange->entry->call_marker,
                       marker->valuestring);
    cJSON_Delete(root);
}

/* Or answers why not. */
static bool may_administer(struct exchange *exchange)
{
    const struct admin_visitor visitor = {
        .authorization = exchange->headers[EXCHANGE_AUTHORIZATION],
        .host = exchange_header(exchange, MHD_HTTP_HEADER_HOST),
        .origin = exchange_header(exchange, MHD_HTTP_HEADER_ORIGIN),
        .fetch_site = exchange_header(exchange, "Sec-Fetch-Site"),
    };
    const char *message = NULL;
    int status = admin_guard_status(&exchange->server->guard, &visitor, &message);
    if (status == 0)
        return true;
    admin_refuse(&exchange->outcome.answer, status, message);
    if (status == 401)
        answer_header(&exchange->outcome.answer, "www-authenticate", "Bearer");
    return false;
}

static void decide_admin(struct exchange *exchange)
{
    struct server *server = exchange->server;
    if (!may_administer(exchange))
        return;
    threads_stop_others(server);
    struct admin admin = {
        .reload = server->reload,
        .reload_owner = server->reload_owner,
        .api = &server->shared->api,
        .journal = server->journal,
        .metrics = server->shared->servers[0]->metrics,
        .in_flight = server->shared->in_flight,
        .connections_open = threads_connections(server->shared),
        .connections_total = server->shared->connection_count,
        .now_ns = loop_now(server->loop),
    };
    const char *after =
        MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, "after");
    admin_answer(&admin, exchange->method, exchange->path, after,
                 exchange->body != NULL ? exchange->body : "", exchange->body_length,
                 &exchange->outcome.answer);
    server_make_changes(server, admin.now_ns); /* a reset starts the timed ones again */
    threads_let_go(server);
}

/* Decisions are in the order of their times. */
static void choose(struct exchange *exchange, struct decision *decision)
{
    struct server *server = exchange->server;
    server_lock(server);
    int64_t now_ns = loop_now(server->loop);
    decision_choose(decision, now_ns, server->loop->clock.wall_start_ns + now_ns);
    exchange->ends_early = server->shared->thread_count > 1 && exchange->outcome.is_to_end;
    server_unlock(server);
}

static void refuse(struct exchange *exchange)
{
    struct server *server = exchange->server;
    const struct server_bounds *bounds = &server->bounds;
    struct decision_refusal refusal = {.status = 413, .code = "request_too_large"};
    char message[160];
    snprintf(message, sizeof message,
             "Request body too large: at most %zu bytes are read (`toomany serve --max-body-bytes` "
             "sets more).",
             bounds->body_bytes);
    if (exchange->refusal == EXCHANGE_HEADERS_TOO_LARGE) {
        refusal.status = 431;
        refusal.code = "headers_too_large";
        snprintf(message, sizeof message,
                 "Request headers too large: at most %zu bytes are read (`toomany serve "
                 "--max-header-bytes` sets more).",
                 bounds->header_bytes);
    } else if (exchange->refusal == EXCHANGE_TOO_MANY_CONNECTIONS) {
        refusal.status = MHD_HTTP_SERVICE_UNAVAILABLE;
        refusal.code = "too_many_connections";
        snprintf(message, sizeof message,
                 "Too many connections from your address: at most %u are served.",
                 bounds->connections_per_address);
    }
    refusal.message = message;
    struct decision decision;
    decision_refuse(&decision, &server->shared->api, &refusal, exchange->entry, &exchange->outcome);
    choose(exchange, &decision);
    decision_answer(&decision);
    decision_free(&decision);
    if (exchange->refusal != EXCHANGE_BODY_TOO_LARGE)
        answer_header(&exchange->outcome.answer, "connection", "close");
}

static const char *find_value(const void *owner, enum api_value kind, const char *name)
{
    const struct exchange *exchange = owner;
    if (kind == API_HEADER)
        return exchange_header(exchange, name);
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void decide_api(struct exchange *exchange)
{
    struct server *server = exchange->server;
    if (exchange->refusal != EXCHANGE_NOT_REFUSED) {
        refuse(exchange);
        return;
    }
    /* By now its place in the table is there. With threads the table may be another: so that has
     * been done while they could not change it. */
    if (server->shared->thread_count == 1)
        pools_fetch(server->shared->api.pools, exchange->foreseen_pool);
    read_body_marker(exchange);
    struct api_request request = {
        .method = exchange->method,
        .path = exchange->path,
        .authorization = exchange->headers[EXCHANGE_AUTHORIZATION],
        .organization = exchange->headers[EXCHANGE_ORGANIZATION],
        .project = exchange->headers[EXCHANGE_PROJECT],
        .origin = exchange->headers[EXCHANGE_ORIGIN],
        .body = exchange->body != NULL ? exchange->body : "",
        .body_length = exchange->body_length,
        .find = find_value,
        .owner = exchange,
    };
    struct decision decision;
    decision_read(&decision, &server->shared->api, &request, exchange->entry, &exchange->outcome);
    choose(exchange, &decision);
    decision_answer(&decision);
    decision_free(&decision);
}

/* ---- raw answers: past libmicrohttpd, on the socket of a connection that it has suspended ---- */
static void begin_recording(struct exchange *exchange)
{
    struct recorder *recorder = exchange->server->recorder;
    if (recorder == NULL || exchange->entry == NULL)
        return;
    exchange->recording = recorder_begin(recorder);
    if (!exchange->outcome.is_forwarded)
        recording_answer(recorder, exchange->recording, &exchange->outcome.answer);
}

/* Whether libmicrohttpd has room for the answer's headers beside those of the request; it would
 * else end the connection without an answer. */
static bool has_room_for_headers(const struct exchange *exchange)
{
    enum { OWN = 256 }; /* status line and its own headers */
    size_t used = exchange->memory_used + OWN + exchange->outcome.answer.lines_length;
    return used <= exchange->server->connection_memory;
}

/* Sends it past libmicrohttpd, which would leave out the body by itself where HEAD asks. */
static void leave_library(struct exchange *exchange)
{
    struct answer *answer = &exchange->outcome.answer;
    answer_header(answer, "connection", "close");
    if (wire_make(answer, WIRE_LENGTH, 0) && strcmp(exchange->method, MHD_HTTP_METHOD_HEAD) == 0)
        wire_cut(answer, wire_head_length(answer), ANSWER_CLOSES);
}

static enum MHD_Result finish_request(struct exchange *exchange)
{
    struct answer *answer = &exchange->outcome.answer;
    exchange->is_decided = true;
    exchange->link->patient_until_ns = INT64_MAX;
    if (exchange->entry == NULL)
        decide_admin(exchange);
    else
        decide_api(exchange);
    begin_recording(exchange);
    if (exchange->outcome.refuse_ns > 0)
        server_refuse_connections(exchange->server, exchange->outcome.refuse_ns);
    if (exchange->outcome.is_forwarded)
        return forward_start(exchange) ? MHD_YES : MHD_NO;
    if (!answer->is_raw && !exchange->server->stopping && !has_room_for_headers(exchange))
        leave_library(exchange);
    if (answer->is_raw && !exchange->server->stopping) {
        start_raw(exchange);
        return MHD_YES;
    }
    /* Guests that sent requests in the same moment find each other's under way: no answer goes out
     * before all that has arrived is read, and then one at a time, each when all wait again. */
    bool takes_turns = exchange->server->loop->guests != NULL && exchange->entry != NULL;
    if ((exchange->outcome.latency_ns == 0 && !takes_turns) || exchange->server->stopping)
        return queue_answer(exchange);
    exchange_park(exchange, loop_now(exchange->server->loop) + exchange->outcome.latency_ns);
    return MHD_YES;
}

/* A client that asks before it sends a body ("Expect: 100-continue") is told no at once. */
static bool asks_for_too_much(const struct exchange *exchange)
{
    const char *expected = exchange->headers[EXCHANGE_EXPECT];
    if (expected == NULL || strcasecmp(expected, "100-continue") != 0)
        return false;
    const char *length = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length != NULL && strtoull(length, NULL, 10) > exchange->server->bounds.body_bytes;
}

static size_t header_bytes_of(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

static enum MHD_Result begin(struct server *server, struct MHD_Connection *connection,
                             const char *method, const char *path, void **context)
{
    struct exchange *exchange = exchange_new(server, connection, method, path);
    if (exchange == NULL)
        return MHD_NO;
    *context = exchange;
    const size_t header_bytes = header_bytes_of(exchange);
    exchange->memory_used = header_bytes;
    MHD_get_connection_values_n(connection,
                                MHD_HEADER_KIND | MHD_GET_ARGUMENT_KIND | MHD_COOKIE_KIND,
                                note_header, exchange);
    if (!exchange_is_admin_path(exchange->path) && !entry_begin(exchange)) {
        exchange_free(exchange);
        *context = NULL;
        return MHD_NO; /* closes the connection: the run ends, and its report says why */
    }
    if (exchange->link->is_over_limit)
        exchange->refusal = EXCHANGE_TOO_MANY_CONNECTIONS;
    else if (header_bytes > server->bounds.header_bytes)
        exchange->refusal = EXCHANGE_HEADERS_TOO_LARGE;
    if (!asks_for_too_much(exchange))
        return MHD_YES;
    exchange->refusal = EXCHANGE_BODY_TOO_LARGE;
    return finish_request(exchange);
}

/* libmicrohttpd calls this first with the headers, then with each part of the body, then without
 * data when the request is complete, and again when a suspended connection is resumed. */
enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data,
                           size_t *data_size, void **context)
{
    struct server *server = owner;
    (void)version;
    if (*context == NULL)
        return begin(server, connection, method, url, context);
    struct exchange *exchange = *context;
    if (exchange->is_abandoned || (exchange->is_decided && exchange->outcome.answer.is_raw))
        return MHD_NO;
    if (*data_size > 0)
        return take_body(exchange, data, data_size);
    if (!exchange->is_decided)
        return finish_request(exchange);
    bool is_unanswered = exchange->forwarding != NULL && exchange->outcome.answer.status == 0;
    return is_unanswered ? MHD_NO : queue_answer(exchange);
}
