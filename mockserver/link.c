#include "mockserver/answer.h"
#include "mockserver/openai_error.h"
#include "mockserver/request_target.h"
#include "mockserver/server_parts.h"
#include "mockserver/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <uthash.h>

/* Of those that have connections open. */
struct address_count {
    struct in6_addr address; /* IPv4 ones mapped */
    unsigned int open;
    UT_hash_handle hh;
};

/* How many connections above the limit of an address are told so by 503; more are closed unheard.
 */
enum { LINKS_TOLD_MAX = 64 };

static struct in6_addr key_of(const struct sockaddr *address)
{
    struct in6_addr key;
    memset(&key, 0, sizeof key);
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return v6.sin6_addr;
    }
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    key.s6_addr[10] = key.s6_addr[11] = 0xff;
    memcpy(&key.s6_addr[12], &v4.sin_addr, sizeof v4.sin_addr);
    return key;
}

static struct address_count *find_count(const struct server *server, const struct sockaddr *address)
{
    struct address_count *count = NULL;
    const struct in6_addr key = key_of(address);
    HASH_FIND(hh, server->shared->addresses, &key, sizeof key, count);
    return count;
}

bool links_have_room(const struct server *server, const struct sockaddr *address)
{
    if (server->bounds.connections_per_address == 0)
        return true;
    server_lock(server);
    const struct address_count *count = find_count(server, address);
    bool have_room =
        count == NULL || count->open < server->bounds.connections_per_address + LINKS_TOLD_MAX;
    server_unlock(server);
    return have_room;
}

/* Where memory is out the connection is not counted. */
static void count_in(struct link *link, const struct sockaddr *address)
{
    struct server *server = link->server;
    if (server->bounds.connections_per_address == 0)
        return;
    struct address_count *count = find_count(server, address);
    if (count == NULL && (count = calloc(1, sizeof *count)) != NULL) {
        count->address = key_of(address);
        HASH_ADD(hh, server->shared->addresses, address, sizeof count->address, count);
    }
    if (count == NULL)
        return;
    link->address = count;
    link->is_over_limit = ++count->open > server->bounds.connections_per_address;
}

static void count_out(struct link *link)
{
    struct server *server = link->server;
    if (link->address == NULL || --link->address->open > 0)
        return;
    HASH_DEL(server->shared->addresses, link->address);
    free(link->address);
}

ssize_t link_send(const struct link *link, const void *data, size_t size)
{
    if (link->tls_session != NULL)
        return tls_send(link->tls_session, data, size);
    return send(link->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void link_end_sending(const struct link *link)
{
    if (link->tls_session != NULL)
        tls_end(link->tls_session);
    shutdown(link->fd, SHUT_WR);
}

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
        link_send(link, text, (size_t)length);
    if (length >= 0)
        free(text);
    answer_free(&answer);
}

/* To set a deadline anew at each step of a request is work; so one that is early stays, and looks
 * again when it comes. */
static void look_for(struct link *link)
{
    bool is_set = link->patience.position != 0;
    if (link->patient_until_ns == INT64_MAX ||
        (is_set && link->patience.at_ns <= link->patient_until_ns))
        return;
    loop_at(link->server->loop, &link->patience, link->patient_until_ns);
}

static void look_at_link(void *owner, int64_t now_ns)
{
    struct link *link = owner;
    if (now_ns < link->patient_until_ns) {
        look_for(link);
        return;
    }
    if (link->is_receiving) {
        send_timeout_answer(link);
        if (link->exchange == NULL)
            entry_note_refused(link, MHD_HTTP_REQUEST_TIMEOUT, "request_timeout");
    }
    if (link->exchange != NULL)
        exchange_time_out(link->exchange, now_ns);
    shutdown(link->fd, SHUT_RDWR);
}

void link_wait(struct link *link, int64_t from_ns, int64_t patience_ns)
{
    link->patient_until_ns = from_ns + patience_ns;
    look_for(link);
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
    server_run(server);
    if (server->ending == link)
        shutdown(link->fd, SHUT_RD);
    server->ending = NULL;
}

/* libmicrohttpd refuses some requests itself, and tells of it only that it did. Such a connection
 * ends in the same pass, with a request that has not become an exchange. */
static void note_refused_by_library(struct link *link)
{
    struct server *server = link->server;
    if (server->refusal_count == 0 || link->exchange != NULL)
        return;
    int status = server->refusals[--server->refusal_count];
    entry_note_refused(link, status, status == 431 ? "headers_too_large" : "malformed_request");
}

static void link_free(struct link *link)
{
    struct server *server = link->server;
    note_refused_by_library(link);
    if (server->ending == link)
        server->ending = NULL;
    loop_unwatch(server->loop, &link->end);
    loop_cancel(server->loop, &link->patience);
    *(link->previous != NULL ? &link->previous->next : &server->links) = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
    server_lock(server);
    count_out(link);
    server_unlock(server);
    free(link->target);
    free(link);
}

static void link_new(struct server *server, struct MHD_Connection *connection,
                     void **socket_context)
{
    struct link *link = calloc(1, sizeof *link);
    *socket_context = link;
    if (link == NULL)
        return;
    link->server = server;
    link->next = server->links;
    if (link->next != NULL)
        link->next->previous = link;
    server->links = link;
    link->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    server_lock(server);
    link->number = ++server->shared->connection_count;
    count_in(link,
             MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    server_unlock(server);
    link->patience = (struct deadline){.fire = look_at_link, .owner = link};
    link->end =
        (struct watch){.fd = link->fd, .ready = pass_end_on, .owner = link, .when_quiet = true};
    loop_watch(server->loop, &link->end, EPOLLRDHUP, NULL);
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    link->tls_session = tls != NULL ? tls->tls_session : NULL;
    /* Who shakes hands for TLS is to be quick, too. */
    bool is_hurried = link->is_over_limit || link->tls_session != NULL;
    link_wait(link, loop_now(server->loop),
              is_hurried ? server->bounds.request_ns : server->bounds.idle_ns);
}

void on_connection(void *owner, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode code)
{
    struct server *server = owner;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        server->connections_open--;
        if (*socket_context != NULL)
            link_free(*socket_context);
        return;
    }
    server->connections_open++;
    link_new(server, connection, socket_context);
}

struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* libmicrohttpd has read the first line of a request. What is returned becomes the context of
 * on_request, which is to be NULL at first. */
void *on_first_line(void *owner, const char *uri, struct MHD_Connection *connection)
{
    struct link *link = link_of(connection);
    const struct server *server = owner;
    if (link == NULL)
        return NULL;
    link->is_receiving = true;
    link->first_line_ns = server->run_started_ns;
    uri = request_target_path(uri);
    size_t length = strcspn(uri, "?");
    length = length < sizeof link->path ? length : sizeof link->path - 1;
    memcpy(link->path, uri, length);
    link->path[length] = '\0';
    if (server->backend != NULL) {
        free(link->target);
        link->target = strdup(uri);
    }
    link_wait(link, link->first_line_ns, server->bounds.request_ns);
    return NULL;
}
