#include "mockserver/server.h"

#include "base/duration.h"
#include "base/json_text.h"
#include "mockserver/admin.h"
#include "mockserver/listener.h"
#include "mockserver/metrics.h"
#include "mockserver/openai_error.h"
#include "mockserver/peer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

struct server {
    struct loop *loop;
    struct loop_host host;
    struct api api;
    struct journal *journal;
    struct metrics *metrics;
    struct listener listener;
    struct MHD_Daemon *daemon;
    struct watch watch;           /* libmicrohttpd's epoll descriptor */
    struct deadline run_again;    /* it has work that its descriptor does not show */
    struct deadline next_change;  /* of the quotas, by time */
    struct deadline accept_again; /* connections are refused until then */
    struct exchange *exchanges;   /* all that are under way */
    struct link *links;           /* all that are open */
    struct link *ending;          /* whose end is being passed on, or NULL */
    int64_t run_started_ns;       /* the pass of libmicrohttpd that is under way */
    char *marker_header;
    char *marker_body;
    char base_url[96];
    uint64_t connection_count;
    int connections_open;
    int in_flight;
    int posts_in_flight;
    bool journal_overflowed;
    bool stopping;
};

/* One TCP connection: lives as long as libmicrohttpd says. */
struct link {
    struct server *server;
    struct link *next;
    struct link *previous;
    uint64_t number;
    int fd;
    struct exchange *exchange; /* that is under way, or NULL */
    bool is_receiving;         /* a request's first line has come, but not yet all of it */
    struct deadline patience;  /* cuts a connection that sends nothing, or too slowly */
    struct watch end;          /* sees that the client sends no more; not while parked */
    bool has_ended;            /* it has */
};

/* One request and its answer. */
struct exchange {
    struct server *server;
    struct link *link;
    struct MHD_Connection *connection;
    struct journal_entry *entry; /* NULL for the admin endpoints */
    struct exchange *next;
    struct exchange *previous;
    char *method;
    char *path;
    char *body;
    size_t body_length;
    size_t body_capacity;
    size_t discarded;
    bool is_too_large;
    struct api_outcome outcome;
    bool is_decided;
    int64_t began_ns;   /* the answer is on its way since then */
    size_t pieces_due;  /* of an answer that comes in pieces */
    size_t raw_sent;    /* bytes of a raw one */
    int64_t raw_end_ns; /* it has ended: the client cannot have read the last of it before */
    bool is_raw_over;
    bool is_timed_out;
    bool is_abandoned;
    bool is_parked; /* and its connection suspended */
    bool peer_watched;
    struct watch peer; /* while parked: sees a client that goes away */
    struct deadline due;
};

/* Past libmicrohttpd, which cannot answer a request that has not come whole. Nothing of an answer
 * is under way then, and a text this small fits into the socket's buffer, or the client is lost. */
static void send_timeout_answer(const struct link *link)
{
    const struct openai_error error = {
        .status = MHD_HTTP_REQUEST_TIMEOUT,
        .message = "The request did not come whole in time.",
        .type = "invalid_request_error",
        .code = "request_timeout",
    };
    struct answer answer;
    char *text = NULL;
    openai_error_answer(&answer, &error);
    int length = asprintf(&text,
                          "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          answer.body_length, answer.body != NULL ? answer.body : "");
    if (length > 0)
        send(link->fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (length >= 0)
        free(text);
    answer_free(&answer);
}

static void note_timeout(struct exchange *exchange, int64_t now_ns)
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

static void run_daemon(struct server *server);

static void cut_link(void *owner, int64_t now_ns)
{
    struct link *link = owner;
    if (link->is_receiving)
        send_timeout_answer(link);
    if (link->exchange != NULL)
        note_timeout(link->exchange, now_ns);
    shutdown(link->fd, SHUT_RDWR);
}

static void wait_for(struct link *link, int64_t seconds)
{
    loop_after(link->server->loop, &link->patience, seconds * NS_PER_S);
}

/* The client has closed its sending side. Edge-triggered, libmicrohttpd misses the end of a stream
 * that comes together with the last data, and would keep the connection open. What it has not read
 * yet it reads here; then shutdown makes a new edge, which it sees when it next wants to read. */
static void pass_end_on(void *owner, uint32_t events)
{
    struct link *link = owner;
    struct server *server = link->server;
    (void)events;
    loop_unwatch(server->loop, &link->end);
    link->has_ended = true;
    server->ending = link;
    run_daemon(server);
    if (server->ending == link)
        shutdown(link->fd, SHUT_RD);
    server->ending = NULL;
}

static void on_connection(void *owner, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = owner;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct link *link = *socket_context;
        server->connections_open--;
        if (link == NULL)
            return;
        if (server->ending == link)
            server->ending = NULL;
        loop_unwatch(server->loop, &link->end);
        loop_cancel(server->loop, &link->patience);
        *(link->previous != NULL ? &link->previous->next : &server->links) = link->next;
        if (link->next != NULL)
            link->next->previous = link->previous;
        free(link);
        return;
    }
    server->connections_open++;
    struct link *link = calloc(1, sizeof *link);
    *socket_context = link;
    if (link == NULL)
        return;
    link->server = server;
    link->next = server->links;
    if (link->next != NULL)
        link->next->previous = link;
    server->links = link;
    link->number = ++server->connection_count;
    link->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    link->patience = (struct deadline){.fire = cut_link, .owner = link};
    link->end =
        (struct watch){.fd = link->fd, .ready = pass_end_on, .owner = link, .when_quiet = true};
    loop_watch(server->loop, &link->end, EPOLLRDHUP, NULL);
    wait_for(link, SERVER_IDLE_SECONDS);
}

static struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* libmicrohttpd has read the first line of a request. What is returned becomes the context of
 * on_request, which is to be NULL at first. */
static void *on_first_line(void *owner, const char *uri, struct MHD_Connection *connection)
{
    struct link *link = link_of(connection);
    (void)owner;
    (void)uri;
    if (link != NULL) {
        link->is_receiving = true;
        wait_for(link, SERVER_REQUEST_SECONDS);
    }
    return NULL;
}

/* Many answers may be due at once: libmicrohttpd runs once for all of them. */
static void run_soon(struct server *server)
{
    if (server->run_again.position == 0)
        loop_after(server->loop, &server->run_again, 0);
}

static void unpark(struct exchange *exchange)
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

static void resume(void *owner, int64_t now_ns)
{
    struct exchange *exchange = owner;
    (void)now_ns;
    unpark(exchange);
    MHD_resume_connection(exchange->connection);
    run_soon(exchange->server);
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

/* The client has closed at least its sending side while its answer waits. */
static void peer_left(void *owner, uint32_t events)
{
    struct exchange *exchange = owner;
    struct loop *loop = exchange->server->loop;
    exchange->link->has_ended = true;
    if (!is_peer_gone(exchange, events)) {
        /* It is answered when that is due. From now on only a reset is news. */
        loop_watch(loop, &exchange->peer, 0, NULL);
        return;
    }
    exchange->is_abandoned = true;
    loop_cancel(loop, &exchange->due);
    resume(exchange, loop_now(loop));
}

static void park_until(struct exchange *exchange, int64_t due_ns)
{
    struct loop *loop = exchange->server->loop;
    exchange->due = (struct deadline){.fire = resume, .owner = exchange};
    loop_at(loop, &exchange->due, due_ns);
    exchange->due.is_at_once = false;
    loop_park(loop);
    exchange->is_parked = true;
    exchange->peer = (struct watch){
        .fd = exchange->link->fd, .ready = peer_left, .owner = exchange, .when_quiet = true};
    exchange->peer_watched = loop_watch(loop, &exchange->peer, EPOLLRDHUP, NULL);
    MHD_suspend_connection(exchange->connection);
}

/* How much of the body may be on its way by now. */
static size_t length_due(struct exchange *exchange)
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
    size_t end = length_due(exchange);
    if (end > position) {
        size_t length = end - (size_t)position;
        length = length < size ? length : size;
        memcpy(buffer, answer->body + position, length);
        return (ssize_t)length;
    }
    if (exchange->server->stopping)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    park_until(exchange, exchange->began_ns + answer->pieces[exchange->pieces_due].due_ns);
    return 0;
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
    enum { BLOCK_SIZE = 4096 };
    struct answer *answer = &exchange->outcome.answer;
    static char nothing[1];
    if (answer->pieces != NULL) {
        bool is_stream = answer->stream != ANSWER_NOT_STREAMED;
        return MHD_create_response_from_callback(is_stream ? MHD_SIZE_UNKNOWN : answer->body_length,
                                                 BLOCK_SIZE, read_pieces, exchange, NULL);
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body_length, answer->body != NULL ? answer->body : nothing,
        answer->body != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response != NULL)
        answer->body = NULL; /* the response frees it */
    return response;
}

static enum MHD_Result queue_answer(struct exchange *exchange)
{
    const struct answer *answer = &exchange->outcome.answer;
    struct MHD_Response *response = make_response(exchange);
    if (response == NULL)
        return MHD_NO;
    exchange->began_ns = loop_now(exchange->server->loop);
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (exchange->entry != NULL)
        exchange->entry->first_byte_ns = exchange->began_ns;
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned int)answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static const char *header_of(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static void copy_header(const struct exchange *exchange, const char *name, char *target,
                        size_t size)
{
    const char *value = header_of(exchange, name);
    snprintf(target, size, "%s", value != NULL ? value : "");
    json_make_utf8(target);
}

static void read_retry_count(const struct exchange *exchange, struct journal_entry *entry)
{
    const char *value = header_of(exchange, "x-stainless-retry-count");
    if (value == NULL)
        return;
    char *end = NULL;
    errno = 0;
    long count = strtol(value, &end, 10);
    if (end != value && *end == '\0' && errno == 0 && count >= 0 && count <= 1000000)
        entry->retry_count = (int)count;
}

static bool is_post(const struct exchange *exchange)
{
    return strcmp(exchange->method, "POST") == 0;
}

static bool begin_entry(struct exchange *exchange)
{
    struct server *server = exchange->server;
    struct journal_entry *entry = journal_begin(server->journal);
    if (entry == NULL) {
        server->journal_overflowed = true;
        return false;
    }
    exchange->entry = entry;
    server->in_flight++;
    entry->arrived_ns = loop_now(server->loop);
    entry->connection = exchange->link->number;
    snprintf(entry->method, sizeof entry->method, "%s", exchange->method);
    server->posts_in_flight += is_post(exchange);
    entry->in_flight = server->posts_in_flight;
    snprintf(entry->path, sizeof entry->path, "%s", exchange->path);
    json_make_utf8(entry->path); /* any bytes may come; reports and metrics are UTF-8 */
    copy_header(exchange, "idempotency-key", entry->idempotency_key, sizeof entry->idempotency_key);
    if (server->marker_header != NULL)
        copy_header(exchange, server->marker_header, entry->call_marker, sizeof entry->call_marker);
    read_retry_count(exchange, entry);
    return true;
}

static bool is_admin(const struct exchange *exchange)
{
    return strncmp(exchange->path, ADMIN_PREFIX, strlen(ADMIN_PREFIX)) == 0;
}

static struct exchange *exchange_new(struct server *server, struct MHD_Connection *connection,
                                     const char *method, const char *path)
{
    struct link *link = link_of(connection);
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL || link == NULL) {
        free(exchange);
        return NULL;
    }
    exchange->method = strdup(method);
    exchange->path = strdup(path);
    if (exchange->method == NULL || exchange->path == NULL) {
        free(exchange->method);
        free(exchange->path);
        free(exchange);
        return NULL;
    }
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
    unpark(exchange);
    loop_cancel(server->loop, &exchange->due);
    answer_free(&exchange->outcome.answer);
    free(exchange->method);
    free(exchange->path);
    free(exchange->body);
    free(exchange);
}

/* A client may have read the last byte before we come here, where other programs keep the processor
 * busy: its wait would then seem shorter than it was, and a right client too early. So the end is
 * what it cannot be before: the answer was there, and the pass that sent it had begun. */
static int64_t end_of_answer(const struct exchange *exchange)
{
    const struct journal_entry *entry = exchange->entry;
    int64_t end_ns = exchange->server->run_started_ns;
    end_ns = entry->arrived_ns > end_ns ? entry->arrived_ns : end_ns;
    end_ns = entry->decided_ns > end_ns ? entry->decided_ns : end_ns;
    return entry->first_byte_ns > end_ns ? entry->first_byte_ns : end_ns;
}

static void on_completed(void *owner, struct MHD_Connection *connection, void **context,
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
    wait_for(exchange->link, SERVER_IDLE_SECONDS);
    struct journal_entry *entry = exchange->entry;
    if (entry != NULL) {
        server->in_flight--;
        server->posts_in_flight -= is_post(exchange);
        entry->answered_ns = exchange->is_raw_over ? exchange->raw_end_ns : end_of_answer(exchange);
        entry->abandoned = code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !exchange->is_timed_out &&
                           !exchange->is_raw_over;
        api_settle(&server->api, &exchange->outcome, entry->answered_ns);
        api_finish(&exchange->outcome);
        metrics_count(server->metrics, entry);
        journal_finish(server->journal, entry);
    }
    exchange_free(exchange);
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *size)
{
    size_t needed = exchange->body_length + *size;
    if (needed > SERVER_BODY_BYTES_MAX) {
        exchange->is_too_large = true;
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
    if (cJSON_IsString(marker)) {
        snprintf(exchange->entry->call_marker, sizeof exchange->entry->call_marker, "%s",
                 marker->valuestring);
        json_make_utf8(exchange->entry->call_marker);
    }
    cJSON_Delete(root);
}

static void make_changes(void *owner, int64_t now_ns)
{
    struct server *server = owner;
    int64_t next_ns = api_make_timed_changes(&server->api, now_ns);
    if (next_ns >= 0)
        loop_at(server->loop, &server->next_change, next_ns);
    else
        loop_cancel(server->loop, &server->next_change);
}

static void decide_admin(struct exchange *exchange)
{
    struct server *server = exchange->server;
    struct admin admin = {
        .api = &server->api,
        .journal = server->journal,
        .metrics = server->metrics,
        .in_flight = server->in_flight,
        .now_ns = loop_now(server->loop),
    };
    const char *after =
        MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, "after");
    admin_answer(&admin, exchange->method, exchange->path, after,
                 exchange->body != NULL ? exchange->body : "", exchange->body_length,
                 &exchange->outcome.answer);
    make_changes(server, admin.now_ns); /* a reset starts the timed ones again */
}

static void decide_api(struct exchange *exchange)
{
    struct server *server = exchange->server;
    int64_t now_ns = loop_now(server->loop);
    int64_t wall_ns = server->loop->clock.wall_start_ns + now_ns;
    if (exchange->is_too_large) {
        api_refuse_too_large(&server->api, SERVER_BODY_BYTES_MAX, now_ns, wall_ns, exchange->entry,
                             &exchange->outcome);
        return;
    }
    read_body_marker(exchange);
    struct api_request request = {
        .method = exchange->method,
        .path = exchange->path,
        .authorization = header_of(exchange, MHD_HTTP_HEADER_AUTHORIZATION),
        .body = exchange->body != NULL ? exchange->body : "",
        .body_length = exchange->body_length,
    };
    api_decide(&server->api, &request, now_ns, wall_ns, exchange->entry, &exchange->outcome);
}

/* ---- raw answers: past libmicrohttpd, on the socket of a connection that it has suspended ---- */

static void send_raw(struct exchange *exchange);

static void send_more_raw(void *owner, int64_t now_ns)
{
    (void)now_ns;
    send_raw(owner);
}

static void raw_peer_ready(void *owner, uint32_t events)
{
    struct exchange *exchange = owner;
    if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0)
        peer_left(exchange, events);
    else
        send_raw(exchange);
}

/* A reset in place of libmicrohttpd's FIN: to dissolve the association sends one at once. */
static void reset_connection(const struct link *link)
{
    const struct linger linger = {.l_onoff = 1};
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (connect(link->fd, &nowhere, sizeof nowhere) != 0)
        shutdown(link->fd, SHUT_RDWR);
}

static void end_raw(struct exchange *exchange)
{
    struct loop *loop = exchange->server->loop;
    enum answer_end end = exchange->outcome.answer.end;
    if (end == ANSWER_HANGS) {
        if (exchange->peer_watched)
            loop_watch(loop, &exchange->peer, EPOLLRDHUP, NULL);
        return;
    }
    exchange->is_raw_over = true;
    if (end == ANSWER_RESETS)
        reset_connection(exchange->link);
    else
        shutdown(exchange->link->fd, SHUT_WR);
    resume(exchange, exchange->raw_end_ns);
}

/* Sends what is due; then waits for more to be due, or for room in the socket. */
static void send_raw(struct exchange *exchange)
{
    struct loop *loop = exchange->server->loop;
    const struct answer *answer = &exchange->outcome.answer;
    size_t end = length_due(exchange);
    exchange->raw_end_ns = loop_now(loop); /* before the client can read it */
    while (exchange->raw_sent < end) {
        ssize_t sent = send(exchange->link->fd, answer->body + exchange->raw_sent,
                            end - exchange->raw_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            exchange->peer_watched = loop_watch(loop, &exchange->peer, EPOLLRDHUP | EPOLLOUT, NULL);
            return;
        }
        if (sent < 0) {
            exchange->is_abandoned = true;
            resume(exchange, loop_now(loop));
            return;
        }
        if (exchange->entry != NULL && exchange->entry->first_byte_ns < 0)
            exchange->entry->first_byte_ns = exchange->raw_end_ns;
        exchange->raw_sent += (size_t)sent;
    }
    if (exchange->raw_sent == answer->body_length) {
        end_raw(exchange);
        return;
    }
    loop_at(loop, &exchange->due, exchange->began_ns + answer->pieces[exchange->pieces_due].due_ns);
    exchange->due.is_at_once = false;
    if (exchange->peer_watched)
        loop_watch(loop, &exchange->peer, EPOLLRDHUP, NULL);
}

/* Nothing of it goes out before the caller has come back to the loop. */
static void start_raw(struct exchange *exchange)
{
    struct server *server = exchange->server;
    int64_t due_ns = loop_now(server->loop) + exchange->outcome.latency_ns;
    park_until(exchange, due_ns);
    exchange->began_ns = due_ns;
    exchange->due.fire = send_more_raw;
    exchange->peer.ready = raw_peer_ready;
}

static void accept_again(void *owner, int64_t now_ns)
{
    struct server *server = owner;
    (void)now_ns;
    listener_accept(&server->listener);
}

/* The server is as one that is down: what waits for its answer gets it, what idles is closed. */
static void refuse_connections(struct server *server, int64_t for_ns)
{
    listener_refuse(&server->listener);
    for (struct link *link = server->links; link != NULL; link = link->next) {
        if (link->exchange == NULL && !link->is_receiving)
            shutdown(link->fd, SHUT_RDWR);
    }
    loop_after(server->loop, &server->accept_again, for_ns);
}

static enum MHD_Result finish_request(struct exchange *exchange)
{
    exchange->is_decided = true;
    loop_cancel(exchange->server->loop, &exchange->link->patience);
    if (exchange->entry == NULL)
        decide_admin(exchange);
    else
        decide_api(exchange);
    if (exchange->outcome.refuse_ns > 0)
        refuse_connections(exchange->server, exchange->outcome.refuse_ns);
    if (exchange->outcome.answer.is_raw && !exchange->server->stopping) {
        start_raw(exchange);
        return MHD_YES;
    }
    /* Guests that sent requests in the same moment find each other's under way: no answer goes out
     * before all that has arrived is read, and then one at a time, each when all wait again. */
    bool takes_turns = exchange->server->loop->guests != NULL && exchange->entry != NULL;
    if ((exchange->outcome.latency_ns == 0 && !takes_turns) || exchange->server->stopping)
        return queue_answer(exchange);
    park_until(exchange, loop_now(exchange->server->loop) + exchange->outcome.latency_ns);
    return MHD_YES;
}

/* A client that asks before it sends a body ("Expect: 100-continue") is told no at once. */
static bool asks_for_too_much(const struct exchange *exchange)
{
    const char *expected = header_of(exchange, MHD_HTTP_HEADER_EXPECT);
    const char *length = header_of(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return expected != NULL && strcasecmp(expected, "100-continue") == 0 && length != NULL &&
           strtoull(length, NULL, 10) > SERVER_BODY_BYTES_MAX;
}

static enum MHD_Result begin(struct server *server, struct MHD_Connection *connection,
                             const char *method, const char *path, void **context)
{
    struct exchange *exchange = exchange_new(server, connection, method, path);
    if (exchange == NULL)
        return MHD_NO;
    *context = exchange;
    if (!is_admin(exchange) && !begin_entry(exchange)) {
        exchange_free(exchange);
        *context = NULL;
        return MHD_NO; /* closes the connection: the run ends, and its report says why */
    }
    exchange->is_too_large = asks_for_too_much(exchange);
    return exchange->is_too_large ? finish_request(exchange) : MHD_YES;
}

/* libmicrohttpd calls this first with the headers, then with each part of the body, then without
 * data when the request is complete, and again when a suspended connection is resumed. */
static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
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
    return exchange->is_decided ? queue_answer(exchange) : finish_request(exchange);
}

/* libmicrohttpd may have more to do than its descriptor shows; it then says "time-out 0". */
static void run_daemon(struct server *server)
{
    enum { ROUNDS_MAX = 16 };
    for (int i = 0; i < ROUNDS_MAX; i++) {
        server->run_started_ns = loop_now(server->loop);
        MHD_run(server->daemon);
        MHD_UNSIGNED_LONG_LONG timeout_ms = 1;
        if (MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES || timeout_ms != 0)
            return;
    }
    loop_after(server->loop, &server->run_again, 0);
}

static void daemon_ready(void *owner, uint32_t events)
{
    (void)events;
    run_daemon(owner);
}

static void run_again(void *owner, int64_t now_ns)
{
    (void)now_ns;
    run_daemon(owner);
}

static void no_log(void *owner, const char *format, va_list arguments)
{
    (void)owner;
    (void)format;
    (void)arguments;
}

static bool has_room(void *owner)
{
    const struct server *server = owner;
    return server->connections_open < SERVER_CONNECTIONS_MAX;
}

static void take_connection(void *owner, int fd, const struct sockaddr *address, socklen_t length)
{
    struct server *server = owner;
    /* When it fails it has closed the descriptor. */
    MHD_add_connection(server->daemon, fd, address, length);
    run_daemon(server);
}

/* Every connection takes a descriptor; the soft limit of most systems is 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool start_daemon(struct server *server, struct error *error)
{
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_LIMIT, SERVER_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVER_CONNECTION_MEMORY, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_first_line, server},
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)no_log, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon == NULL)
        return error_set_run(error, "libmicrohttpd", "did not start (out of descriptors?)");
    server->watch = (struct watch){
        .fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
        .ready = daemon_ready,
        .owner = server,
        .when_quiet = true,
    };
    return loop_watch(server->loop, &server->watch, EPOLLIN, error);
}

/* A client that sends a request in several small writes may have the last of them held back in its
 * kernel (Nagle's algorithm) until we acknowledge the first, which our kernel puts off by up to
 * 40 ms. A clock that jumps must not jump over that: what is to be acknowledged is, now. */
static void acknowledge(void *owner)
{
    const struct server *server = owner;
    int on = 1;
    for (const struct link *link = server->links; link != NULL; link = link->next)
        setsockopt(link->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

struct server *server_new(struct loop *loop, const struct server_options *options,
                          struct error *error)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        error_set_run(error, "", "out of memory");
        return NULL;
    }
    server->loop = loop;
    server->watch.fd = -1;
    server->host = (struct loop_host){.owner = server, .flush = acknowledge};
    loop->host = &server->host;
    server->run_again = (struct deadline){.fire = run_again, .owner = server};
    server->next_change = (struct deadline){.fire = make_changes, .owner = server};
    server->accept_again = (struct deadline){.fire = accept_again, .owner = server};
    server->metrics = metrics_new();
    server->journal = journal_new(options->journal_capacity != 0 ? options->journal_capacity
                                                                 : JOURNAL_ENTRIES_MAX,
                                  options->journal_when_full);
    if (options->marker_header != NULL)
        server->marker_header = strdup(options->marker_header);
    if (options->marker_body != NULL)
        server->marker_body = strdup(options->marker_body);
    if (server->metrics == NULL || server->journal == NULL ||
        !api_init(&server->api, options->config, options->seed, loop_now(loop))) {
        error_set_run(error, "", "out of memory");
        server_free(server);
        return NULL;
    }
    if (options->journal_stream != NULL)
        journal_stream_to(server->journal, options->journal_stream);
    raise_descriptor_limit();
    const char *host = options->host != NULL ? options->host : "127.0.0.1";
    server->listener.has_room = has_room;
    server->listener.take = take_connection;
    server->listener.owner = server;
    if (!start_daemon(server, error) ||
        !listener_open(&server->listener, loop, host, options->port, error)) {
        server_free(server);
        return NULL;
    }
    snprintf(server->base_url, sizeof server->base_url,
             strchr(host, ':') != NULL ? "http://[%s]:%u/v1" : "http://%s:%u/v1", host,
             server->listener.port);
    make_changes(server, loop_now(loop));
    return server;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    server->stopping = true;
    if (server->loop->host == &server->host)
        server->loop->host = NULL;
    listener_close(&server->listener);
    /* libmicrohttpd demands that no connection is suspended when it stops. */
    for (struct exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        if (!exchange->is_parked)
            continue;
        loop_cancel(server->loop, &exchange->due);
        unpark(exchange);
        MHD_resume_connection(exchange->connection);
    }
    if (server->watch.fd >= 0)
        loop_unwatch(server->loop, &server->watch);
    server->run_started_ns = loop_now(server->loop);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    loop_cancel(server->loop, &server->run_again);
    loop_cancel(server->loop, &server->next_change);
    loop_cancel(server->loop, &server->accept_again);
    api_free(&server->api);
    journal_free(server->journal);
    metrics_free(server->metrics);
    free(server->marker_header);
    free(server->marker_body);
    free(server);
}

uint16_t server_port(const struct server *server)
{
    return server->listener.port;
}

const char *server_base_url(const struct server *server)
{
    return server->base_url;
}

const struct journal *server_journal(const struct server *server)
{
    return server->journal;
}

const struct api *server_api(const struct server *server)
{
    return &server->api;
}

int server_in_flight(const struct server *server)
{
    return server->in_flight;
}

bool server_journal_overflowed(const struct server *server)
{
    return server->journal_overflowed;
}
