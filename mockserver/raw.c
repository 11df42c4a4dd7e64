#include "mockserver/server_parts.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Past libmicrohttpd, on the socket of a connection that it has suspended. */

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
        exchange_peer_left(exchange, events);
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
        link_end_sending(exchange->link);
    exchange_resume(exchange);
}

/* Sends what is due; then waits for more to be due, or for room in the socket. */
static void send_raw(struct exchange *exchange)
{
    struct loop *loop = exchange->server->loop;
    const struct answer *answer = &exchange->outcome.answer;
    size_t end = exchange_length_due(exchange);
    exchange->raw_end_ns = loop_now(loop); /* before the client can read it */
    if (end == answer->body_length && answer->end != ANSWER_HANGS)
        exchange_end_early(exchange, end - exchange->raw_sent);
    while (exchange->raw_sent < end) {
        ssize_t sent =
            link_send(exchange->link, answer->body + exchange->raw_sent, end - exchange->raw_sent);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            exchange->peer_watched = loop_watch(loop, &exchange->peer, EPOLLRDHUP | EPOLLOUT, NULL);
            return;
        }
        if (sent < 0) {
            exchange->is_abandoned = true;
            exchange_resume(exchange);
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

void start_raw(struct exchange *exchange)
{
    struct server *server = exchange->server;
    int64_t due_ns = loop_now(server->loop) + exchange->outcome.latency_ns;
    exchange_park(exchange, due_ns);
    exchange->began_ns = due_ns;
    exchange->due.fire = send_more_raw;
    exchange->peer.ready = raw_peer_ready;
}
