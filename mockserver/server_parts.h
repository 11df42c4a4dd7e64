/* server_parts: what the files of the server share; private to them.
 *
 *     server.c    the whole: libmicrohttpd's daemon, the listening socket, the parts below
 *     link.c      one TCP connection: its patience, its end, how many an address has
 *     exchange.c  one request and its answer: reading, deciding, waiting, sending
 *     entry.c     the request's entry in the journal
 *     forward.c   an answer that the backend gives
 *     raw.c       an answer that libmicrohttpd would not send
 *     threads.c   several threads that serve
 *
 * With several threads each has a struct server, with a loop, a daemon of libmicrohttpd and
 * connections of its own. The first has the listening socket and hands connections to the others.
 * What they share is guarded by two things:
 *
 *     the lock    held for the moment in which the journal gives or takes an entry, and in which it
 *                 is chosen what becomes of a request, which is long only where a file is stored
 *                 or a batch made; never while something is sent, read or written
 *     the turn    of each thread: it has it whenever it does not wait for events. Who takes the
 *                 turns of all finds nobody in the middle of anything: so whoever asks for the
 *                 journal finds each answer that it has seen before, and a fault that closes idle
 *                 connections closes those of all threads.
 */
#ifndef TOOMANY_MOCKSERVER_SERVER_PARTS_H
#define TOOMANY_MOCKSERVER_SERVER_PARTS_H

#include "base/cache_line.h"
#include "mockserver/admin.h"
#include "mockserver/admin_guard.h"
#include "mockserver/backend.h"
#include "mockserver/decision.h"
#include "mockserver/listener.h"
#include "mockserver/metrics.h"
#include "mockserver/recorder.h"
#include "mockserver/server.h"
#include "mockserver/spare_response.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct address_count; /* in link.c */

enum { SERVER_REFUSALS_MAX = 64 }; /* that libmicrohttpd has told of and whose end is awaited */

/* What all threads of a server see. */
struct shared {
    unsigned int thread_count; /* one: no lock is taken */
    struct server *servers[SERVER_THREADS_MAX];
    unsigned int taker;      /* of the last connection */
    pthread_mutex_t world;   /* who has it may take the turns of all */
    atomic_int turns_wanted; /* so many wait to do so */
    atomic_int stopper;      /* the id of the thread that has the turns of all; 0 */
    int stop_depth;
    /* What is above is read without the lock. Whoever takes it takes its line of the cache from
     * others, so most of what a request changes stands on that. */
    _Alignas(CACHE_LINE) pthread_spinlock_t lock; /* of what follows, and of the journal */
    int in_flight;
    int posts_in_flight;
    bool journal_overflowed;
    struct api api;
    char apart[CACHE_LINE]; /* all but the begin of the api is only read */
    uint64_t connection_count;
    struct address_count *addresses; /* that have connections open, where they are counted */
};

_Static_assert(offsetof(struct shared, api.share_random) <=
                   offsetof(struct shared, lock) + CACHE_LINE,
               "what each request changes is on the lock's line");

/* What one thread has for itself. */
struct server {
    struct shared *shared;
    struct loop *loop;
    struct loop_host host;
    struct loop_rest rest;
    pthread_mutex_t turn;
    struct arrivals *arrivals; /* what other threads have for this one; NULL: there are none */
    struct journal *journal;
    struct metrics *metrics;
    struct listener listener;
    struct server_bounds bounds;
    size_t connection_memory; /* that libmicrohttpd gives each */
    struct admin_guard guard;
    const struct backend *backend;                    /* or NULL: the built-in model answers */
    struct recorder *recorder;                        /* or NULL */
    const struct log *log;                            /* or NULL */
    bool (*reload)(void *owner, struct error *error); /* or NULL */
    void *reload_owner;
    struct MHD_Daemon *daemon;
    struct watch watch;               /* libmicrohttpd's epoll descriptor */
    struct deadline run_again;        /* it has work that its descriptor does not show */
    struct deadline next_change;      /* of the quotas, by time */
    struct deadline accept_again;     /* connections are refused until then */
    struct exchange *exchanges;       /* all that are under way */
    struct exchange *spare_exchanges; /* some that have ended, for those to come */
    size_t spare_exchange_count;
    struct spare_responses *spare_responses;
    struct link *links;                /* all that are open */
    struct link *ending;               /* whose end is being passed on, or NULL */
    int64_t run_started_ns;            /* the pass of libmicrohttpd that is under way, ... */
    uint64_t pass;                     /* ... and its number */
    int refusals[SERVER_REFUSALS_MAX]; /* statuses with which libmicrohttpd has refused requests */
    int refusal_count;
    char *marker_header;
    char *marker_body;
    char base_url[96];
    atomic_int connections_open;
    bool stopping;
};

/* One TCP connection: lives as long as libmicrohttpd says. */
struct link {
    struct server *server;
    struct link *next;
    struct link *previous;
    uint64_t number;
    int fd;
    void *tls_session;             /* GnuTLS's; NULL: no TLS */
    struct address_count *address; /* NULL where they are not counted */
    struct exchange *exchange;     /* that is under way, or NULL */
    char *target;                  /* of that, with the query; kept for a backend only */
    char path[64];                 /* of the request that is being received */
    int64_t first_line_ns;         /* its first line has come in the pass that began then */
    bool is_over_limit;            /* its address has too many: each request gets 503 */
    bool is_receiving;             /* a request's first line has come, but not yet all of it */
    int64_t patient_until_ns; /* then one is cut that sends nothing, or too slowly; never: MAX */
    struct deadline patience; /* looks whether it is then; may be set for earlier */
    struct watch end;         /* sees that the client sends no more; not while parked */
    bool has_ended;           /* it has */
};

/* Why a request is refused before the API is asked; its body is read and thrown away. */
enum exchange_refusal {
    EXCHANGE_NOT_REFUSED,
    EXCHANGE_BODY_TOO_LARGE,
    EXCHANGE_HEADERS_TOO_LARGE,
    EXCHANGE_TOO_MANY_CONNECTIONS,
};

/* Headers of a request that are asked for each time. */
enum exchange_header {
    EXCHANGE_AUTHORIZATION,
    EXCHANGE_EXPECT,
    EXCHANGE_IDEMPOTENCY_KEY,
    EXCHANGE_ORGANIZATION,
    EXCHANGE_ORIGIN,
    EXCHANGE_PROJECT,
    EXCHANGE_RETRY_COUNT,
    EXCHANGE_HEADERS,
};

/* One request and its answer. */
struct exchange {
    struct server *server;
    struct link *link;
    struct MHD_Connection *connection;
    struct journal_entry *entry; /* NULL for the admin endpoints */
    struct exchange *next;
    struct exchange *previous;
    const char *method; /* libmicrohttpd's; they last as long as the request */
    const char *path;
    const char *headers[EXCHANGE_HEADERS]; /* the same; NULL: it has none such */
    size_t memory_used;                    /* of the connection's, by the request's headers */
    uint64_t foreseen_pool;                /* by pools_foresee() */
    struct spare_response *spare;          /* of the answer that is being sent, or NULL */
    size_t body_length;
    size_t discarded;
    enum exchange_refusal refusal;
    struct forwarding *forwarding; /* the answer comes from the backend; or NULL */
    struct recording *recording;   /* or NULL */
    bool is_post;
    bool is_decided;
    bool ends_early;        /* exchange_end_early() has something to do ... */
    int64_t ended_early_ns; /* ... and has done it then; 0: it has not */
    int64_t began_ns;       /* the answer is on its way since then */
    size_t pieces_due;      /* of an answer that comes in pieces */
    size_t raw_sent;        /* bytes of a raw one */
    int64_t raw_end_ns;     /* it has ended: the client cannot have read the last of it before */
    bool is_raw_over;
    bool is_timed_out;
    bool is_refused_by_library;
    bool is_abandoned;
    bool is_parked; /* and its connection suspended */
    bool peer_watched;
    struct watch peer; /* while parked: sees a client that goes away */
    struct deadline due;
    /* From here on not zeroed for the next request. */
    char *body;
    size_t body_capacity;
    struct api_outcome outcome;
};

/* --- server.c --- */

void threads_lock(struct shared *shared); /* in threads.c */

static inline void server_lock(const struct server *server)
{
    if (server->shared->thread_count > 1)
        threads_lock(server->shared);
}

static inline void server_unlock(const struct server *server)
{
    if (server->shared->thread_count > 1)
        pthread_spin_unlock(&server->shared->lock);
}

/* What one more thread has for itself, on its loop. NULL with the reason. */
struct server *server_new_part(struct server *first, struct loop *loop,
                               const struct server_options *options, struct error *error);
/* Closes its connections, when its thread has ended. What it is in itself is the caller's. */
void server_free_part(struct server *server);

/* Lets libmicrohttpd do what there is to do, now or in the next turn of the loop. */
void server_run(struct server *server);
void server_run_soon(struct server *server);

/* The server is as one that is down: what waits for its answer gets it, what idles is closed. */
void server_refuse_connections(struct server *server, int64_t for_ns);

void server_make_changes(struct server *server, int64_t now_ns);

/* --- threads.c --- */

/* Makes the first, which has the turn from now on, ready for others and starts them. False with the
 * reason. */
bool threads_start(struct server *first, const struct server_options *options, struct error *error);
/* Ends them; then threads_free() frees what was theirs. */
void threads_end(struct shared *shared);
void threads_free(struct shared *shared);

/* How many connections all have. */
int threads_connections(const struct shared *shared);
/* Who takes the next one: who has the fewest. */
struct server *threads_next(struct shared *shared);
/* Hands it to another thread. */
void threads_hand_over(struct server *server, int fd, const struct sockaddr *address,
                       socklen_t length);
/* Closes what this thread has been handed and not yet seen. */
void threads_drop_arrivals(struct server *server);

/* Takes the turns of all threads and gives them back. Meanwhile others may come first, as if the
 * caller waited for an event; so it is to be called where that may be, and without the lock. Who
 * has them may do so again. */
void threads_stop_others(struct server *server);
void threads_let_go(struct server *server);

/* --- link.c --- */

/* False: the address has so many connections that not even 503 is said to one more. */
bool links_have_room(const struct server *server, const struct sockaddr *address);

/* Callbacks of libmicrohttpd. */
void on_connection(void *owner, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode code);
void *on_first_line(void *owner, const char *uri, struct MHD_Connection *connection);

struct link *link_of(struct MHD_Connection *connection);

/* How long it may take, from then on, until the connection is cut. */
void link_wait(struct link *link, int64_t from_ns, int64_t patience_ns);

/* As send() that does not block, through TLS where the connection has it. */
ssize_t link_send(const struct link *link, const void *data, size_t size);
/* No more will be sent. */
void link_end_sending(const struct link *link);

/* --- exchange.c --- */

/* Callbacks of libmicrohttpd. */
enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data,
                           size_t *data_size, void **context);
void on_completed(void *owner, struct MHD_Connection *connection, void **context,
                  enum MHD_RequestTerminationCode code);

/* Those that are kept for requests to come. */
void exchange_free_spare(struct server *server);

/* The request has not come whole in time. */
void exchange_time_out(struct exchange *exchange, int64_t now_ns);

/* Suspends the connection until due_ns; ends that early when the client goes away. */
void exchange_park(struct exchange *exchange, int64_t due_ns);
void exchange_unpark(struct exchange *exchange);
void exchange_resume(struct exchange *exchange);

/* How much of the body may be on its way by now. */
size_t exchange_length_due(struct exchange *exchange);

/* The client has closed at least its sending side while its answer waits. */
void exchange_peer_left(struct exchange *exchange, uint32_t events);

/* Suspends it for as long as nobody resumes it or the client stays. */
void exchange_park_open(struct exchange *exchange);

/* The last bytes of the answer, so many, are the next to be sent. Where another thread may decide
 * what the client asks for next, all that this request has of the quotas is given back before. */
void exchange_end_early(struct exchange *exchange, size_t length);

/* Of the request, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name);
bool exchange_is_admin_path(const char *path);

/* --- entry.c --- */

/* The request has arrived. False where the journal takes no more. */
bool entry_begin(struct exchange *exchange);
/* It has ended: frees its place among those in flight, and tells of it. */
void entry_end(struct exchange *exchange);
/* Its body is malformed: libmicrohttpd has refused it. */
void entry_note_library_refusal(struct exchange *exchange, int status);

/* Writes one into the journal that has not become an exchange: libmicrohttpd, or our patience,
 * refused it before its headers had come. */
void entry_note_refused(struct link *link, int status, const char *code);

/* --- forward.c --- */

/* Asks the backend when the latency is over. False when memory is out. */
bool forward_start(struct exchange *exchange);
/* Also ends what is under way. */
void forward_free(struct exchange *exchange);
/* Whether the backend's answer has begun; else that of the outcome says why not. */
bool forward_has_answer(const struct exchange *exchange);
/* What the client gets of it; NULL when memory is out. */
struct MHD_Response *forward_response(struct exchange *exchange);
/* Of the backend's answer, or NULL. */
const char *forward_header(const struct exchange *exchange, const char *name);

/* --- raw.c --- */

/* Nothing of it goes out before the caller has come back to the loop. */
void start_raw(struct exchange *exchange);

#endif
