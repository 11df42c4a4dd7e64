/* server: the mock server over HTTP, by libmicrohttpd on the caller's loop.
 *
 * libmicrohttpd runs without a thread of its own: the loop watches its epoll descriptor. An answer
 * that has to wait is a deadline on the loop and a suspended connection, not a sleeping thread. A
 * client that closes its connection meanwhile ends its request at once (peer.h), and gives back its
 * place among the concurrent ones; a client that only half-closes it is answered.
 * All times are on the loop's clock; libmicrohttpd's own time-outs and Date header are off.
 * With several threads what is said of the loop holds for that of each; the functions below are for
 * the caller's thread, and server_change_config() also for `reload`.
 *
 *     struct server_options options = {.config = &config, .port = 0};
 *     struct server *server = server_new(&loop, &options, &error);
 *     ... loop_turn(&loop, ...) ...
 *     server_free(server);
 */
#ifndef TOOMANY_MOCKSERVER_SERVER_H
#define TOOMANY_MOCKSERVER_SERVER_H

#include "base/log.h"
#include "clock/loop.h"
#include "mockserver/api.h"
#include "mockserver/backend.h"
#include "mockserver/config.h"
#include "mockserver/journal.h"
#include "mockserver/recorder.h"

#include <stdio.h>

/* Bounds on what comes from outside where nothing else is set, with their reasons. */
enum {
    SERVER_BODY_BYTES_MAX = 8 * 1024 * 1024,     /* chat requests with images in them */
    SERVER_DISCARD_BYTES_MAX = 64 * 1024 * 1024, /* read on to be able to answer 413; then cut */
    SERVER_HEADER_BYTES_MAX = 6 * 1024,          /* clients send about 1 KiB */
    SERVER_CONNECTIONS_MAX = 20000,
    SERVER_IDLE_SECONDS = 1800,  /* until a connection's next request; clients pool connections */
    SERVER_REQUEST_SECONDS = 60, /* from a request's first line to its end; later gets 408 */
    SERVER_THREADS_MAX = 32,
};

/* 0 is the default, for connections_per_address that they are not counted. */
struct server_bounds {
    size_t body_bytes;                    /* more gets 413 */
    size_t header_bytes;                  /* request line and headers; more gets 431 */
    unsigned int connections;             /* more wait to be accepted */
    unsigned int connections_per_address; /* requests on more get 503 */
    int64_t idle_ns;
    int64_t request_ns;
};

struct server_options {
    const struct config *config; /* must outlive the server */
    const char *host;            /* NULL: 127.0.0.1; an IPv4 or IPv6 address */
    uint16_t port;               /* 0: a free one */
    uint64_t seed;
    /* 0 or 1: the caller's alone. More: the caller's loop, which must have a real clock, and so
     * many less one beside it; without a backend and a recorder. */
    unsigned int threads;
    const char *marker_header; /* request header that tells calls apart, or NULL */
    const char *marker_body;   /* top-level body member (string) that does, or NULL */
    struct server_bounds bounds;
    const char *tls_certificate; /* PEM; NULL: no TLS (mockserver/tls.h) */
    const char *tls_key;
    const char *admin_token; /* wanted of who uses the admin endpoints; NULL: none, which only a
                              * loopback address allows (mockserver/admin_guard.h) */
    /* Reads the set-up again and hands it to server_change_config; called by the admin endpoint.
     * False with the reason, and nothing is changed. NULL: there is nothing to read again. */
    bool (*reload)(void *owner, struct error *error);
    void *reload_owner;
    const struct backend *backend; /* who answers what is admitted; NULL: the built-in model */
    struct recorder *recorder;     /* keeps what is answered; NULL: nobody. Not owned */
    const struct log *log;         /* what happens; must outlive the server; NULL: nobody listens */
    size_t journal_capacity;       /* 0: JOURNAL_ENTRIES_MAX */
    enum journal_when_full journal_when_full;
    FILE *journal_stream; /* every entry as a line of JSON; NULL none; not owned */
    /* 0: as much as comes. Else the stream is exchanged as journal_bound_stream() says. */
    int64_t journal_stream_bytes_max;
    FILE *(*journal_stream_next)(void *owner);
    void *journal_stream_owner;
};

struct server; /* opaque */

/* NULL with the reason (port in use, address not of this machine, out of descriptors). */
struct server *server_new(struct loop *loop, const struct server_options *options,
                          struct error *error);

/* Ends all threads but the caller's: from now on nothing changes without it. */
void server_end_threads(struct server *server);

/* Answers nothing more, closes all connections, frees. */
void server_free(struct server *server);

/* Takes another set-up, which must outlive the server; the one before may go then. Connections,
 * what is used of pools, the journal and the counts stay; script and changes start anew. False when
 * memory is out. */
bool server_change_config(struct server *server, const struct config *config, struct error *error);

uint16_t server_port(const struct server *server);
/* "http://127.0.0.1:PORT/v1" */
const char *server_base_url(const struct server *server);

const struct journal *server_journal(const struct server *server);
const struct api *server_api(const struct server *server);

/* Requests that are being answered. */
int server_in_flight(const struct server *server);

/* True once a request had to be refused because the journal was full. */
bool server_journal_overflowed(const struct server *server);

/* The errno for which a connection had to wait (EMFILE, ENFILE, ENOBUFS or ENOMEM); 0: none had to.
 * Such a one is accepted later, so times that were seen are not the client's. */
int server_accept_error(const struct server *server);

#endif
