#include "mockserver/server.h"

#include "base/duration.h"
#include "mockserver/server_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

void server_make_changes(struct server *server, int64_t now_ns)
{
    struct server *first = server->shared->servers[0];
    int64_t next_ns = api_make_timed_changes(&server->shared->api, now_ns);
    if (next_ns >= 0)
        loop_at(first->loop, &first->next_change, next_ns);
    else
        loop_cancel(first->loop, &first->next_change);
}

/* Another thread may have decided something since the loop read the clock. */
static void change_is_due(void *owner, int64_t now_ns)
{
    struct server *server = owner;
    threads_stop_others(server);
    server_make_changes(server, server->shared->thread_count > 1 ? loop_now(server->loop) : now_ns);
    threads_let_go(server);
}

/* Many answers may be due at once: libmicrohttpd runs once for all of them. */
void server_run_soon(struct server *server)
{
    if (server->run_again.position == 0)
        loop_after(server->loop, &server->run_again, 0);
}

static void accept_again(void *owner, int64_t now_ns)
{
    struct server *server = owner;
    (void)now_ns;
    listener_accept(&server->listener);
}

static void close_idle(const struct server *server)
{
    for (const struct link *link = server->links; link != NULL; link = link->next) {
        if (link->exchange == NULL && !link->is_receiving)
            shutdown(link->fd, SHUT_RDWR);
    }
}

void server_refuse_connections(struct server *server, int64_t for_ns)
{
    struct shared *shared = server->shared;
    struct server *first = shared->servers[0];
    threads_stop_others(server);
    listener_refuse(&first->listener);
    for (unsigned int i = 0; i < shared->thread_count; i++) {
        threads_drop_arrivals(shared->servers[i]);
        close_idle(shared->servers[i]);
    }
    loop_after(first->loop, &first->accept_again, for_ns);
    threads_let_go(server);
}

/* libmicrohttpd may have more to do than its descriptor shows; it then says "time-out 0". */
void server_run(struct server *server)
{
    enum { ROUNDS_MAX = 16 };
    for (int i = 0; i < ROUNDS_MAX; i++) {
        server->run_started_ns = loop_now(server->loop);
        server->pass++;
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
    server_run(owner);
}

static void run_again(void *owner, int64_t now_ns)
{
    (void)now_ns;
    server_run(owner);
}

/* What libmicrohttpd answers by itself (400, 414, 431, ...) it tells nobody but its log, with the
 * status as the first argument. */
static void on_library_log(void *owner, const char *format, va_list arguments)
{
    static const char refusal[] = "Error processing request (HTTP response code is %u";
    struct server *server = owner;
    if (strncmp(format, refusal, strlen(refusal)) == 0 &&
        server->refusal_count < SERVER_REFUSALS_MAX)
        server->refusals[server->refusal_count++] = (int)va_arg(arguments, unsigned int);
}

static bool has_room(void *owner)
{
    const struct server *server = owner;
    return threads_connections(server->shared) < (int)server->bounds.connections;
}

static void take_connection(void *owner, int fd, const struct sockaddr *address, socklen_t length)
{
    struct server *server = owner;
    if (!links_have_room(server, address)) {
        close(fd);
        return;
    }
    struct server *taker = threads_next(server->shared);
    if (taker != server)
        threads_hand_over(taker, fd, address, length);
    else /* When it fails it has closed the descriptor. */
        MHD_add_connection(server->daemon, fd, address, length);
}

static void connections_taken(void *owner)
{
    server_run(owner);
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

/* libmicrohttpd takes texts that it only reads as void *. */
static void *cast_away(const char *text)
{
    union {
        const char *from;
        void *to;
    } pointer = {.from = text};
    return pointer.to;
}

/* What libmicrohttpd gives a connection for the request's headers and the answer's. It zeroes all
 * of it after every request, and half of it once more, so that more of it is slower. What the
 * backend answers cannot be sent without it, as exchange.c sends what is ours. */
static size_t connection_memory(const struct server *server)
{
    enum { ANSWER_HEADERS = 2048, BACKEND_HEADERS = 16 * 1024 };
    size_t third = server->bounds.header_bytes / 3;
    size_t least = server->backend != NULL ? BACKEND_HEADERS : ANSWER_HEADERS;
    return server->bounds.header_bytes + (third > least ? third : least);
}

static bool start_daemon(struct server *server, const struct server_options *from,
                         struct error *error)
{
    bool is_tls = from->tls_certificate != NULL;
    struct MHD_OptionItem certificate[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, cast_away(from->tls_certificate)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, cast_away(from->tls_key)},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_ARRAY, 0, is_tls ? certificate : certificate + 2},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)server->bounds.connections, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)server->connection_memory, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_first_line, server},
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_library_log, server},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG |
            (is_tls ? (unsigned int)MHD_USE_TLS : 0),
        0, NULL, NULL, on_request, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon == NULL)
        return error_set_run(error, "libmicrohttpd",
                             "did not start: too many open files? raise `ulimit -n`");
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

static struct server_bounds bounds_of(const struct server_options *options)
{
    struct server_bounds bounds = options->bounds;
    if (bounds.body_bytes == 0)
        bounds.body_bytes = SERVER_BODY_BYTES_MAX;
    if (bounds.header_bytes == 0)
        bounds.header_bytes = SERVER_HEADER_BYTES_MAX;
    if (bounds.connections == 0)
        bounds.connections = SERVER_CONNECTIONS_MAX;
    if (bounds.idle_ns == 0)
        bounds.idle_ns = SERVER_IDLE_SECONDS * NS_PER_S;
    if (bounds.request_ns == 0)
        bounds.request_ns = SERVER_REQUEST_SECONDS * NS_PER_S;
    return bounds;
}

/* What each thread has for itself, but for the daemon. */
static bool init_part(struct server *server, struct shared *shared, struct loop *loop,
                      const struct server_options *options)
{
    server->shared = shared;
    server->loop = loop;
    server->bounds = bounds_of(options);
    server->log = options->log;
    server->backend = options->backend;
    server->connection_memory = connection_memory(server);
    server->recorder = options->recorder;
    server->reload = options->reload;
    server->reload_owner = options->reload_owner;
    server->watch.fd = -1;
    server->run_again = (struct deadline){.fire = run_again, .owner = server};
    pthread_mutex_init(&server->turn, NULL);
    server->spare_responses = spare_responses_new();
    return server->spare_responses != NULL;
}

struct server *server_new_part(struct server *first, struct loop *loop,
                               const struct server_options *options, struct error *error)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL || !init_part(server, first->shared, loop, options)) {
        error_set_run(error, "", "out of memory");
        free(server);
        return NULL;
    }
    server->journal = first->journal;
    server->metrics = metrics_new_part(first->metrics);
    server->guard = first->guard;
    server->marker_header = first->marker_header;
    server->marker_body = first->marker_body;
    if (server->metrics == NULL)
        error_set_run(error, "", "out of memory");
    else if (start_daemon(server, options, error))
        return server;
    server_free_part(server);
    free(server);
    return NULL;
}

void server_free_part(struct server *server)
{
    server->stopping = true;
    /* libmicrohttpd demands that no connection is suspended when it stops. */
    for (struct exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        if (!exchange->is_parked)
            continue;
        loop_cancel(server->loop, &exchange->due);
        exchange_unpark(exchange);
        MHD_resume_connection(exchange->connection);
    }
    if (server->watch.fd >= 0)
        loop_unwatch(server->loop, &server->watch);
    server->run_started_ns = loop_now(server->loop);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    loop_cancel(server->loop, &server->run_again);
    exchange_free_spare(server);
    spare_responses_free(server->spare_responses);
    pthread_mutex_destroy(&server->turn);
}

/* What is shared and what only the first has. */
static bool init_first(struct server *server, const struct server_options *options,
                       const char *host)
{
    struct shared *shared = server->shared;
    pthread_spin_init(&shared->lock, PTHREAD_PROCESS_PRIVATE);
    pthread_mutex_init(&shared->world, NULL);
    server->host = (struct loop_host){.owner = server, .flush = acknowledge};
    server->loop->host = &server->host;
    server->next_change = (struct deadline){.fire = change_is_due, .owner = server};
    server->accept_again = (struct deadline){.fire = accept_again, .owner = server};
    server->metrics = metrics_new();
    server->journal = journal_new(options->journal_capacity != 0 ? options->journal_capacity
                                                                 : JOURNAL_ENTRIES_MAX,
                                  options->journal_when_full);
    if (options->marker_header != NULL)
        server->marker_header = strdup(options->marker_header);
    if (options->marker_body != NULL)
        server->marker_body = strdup(options->marker_body);
    server->guard.is_loopback = admin_guard_is_loopback(host);
    if (options->admin_token != NULL)
        server->guard.token = strdup(options->admin_token);
    return (options->admin_token == NULL || server->guard.token != NULL) &&
           server->metrics != NULL && server->journal != NULL &&
           api_init(&shared->api, options->config, options->seed, loop_now(server->loop));
}

struct server *server_new(struct loop *loop, const struct server_options *options,
                          struct error *error)
{
    const char *host = options->host != NULL ? options->host : "127.0.0.1";
    struct server *server = calloc(1, sizeof *server);
    struct shared *shared = aligned_alloc(_Alignof(struct shared), sizeof *shared);
    if (server == NULL || shared == NULL) {
        error_set_run(error, "", "out of memory");
        free(server);
        free(shared);
        return NULL;
    }
    memset(shared, 0, sizeof *shared);
    shared->servers[shared->thread_count++] = server;
    bool is_complete = init_part(server, shared, loop, options);
    if (!init_first(server, options, host) || !is_complete) {
        error_set_run(error, "", "out of memory");
        server_free(server);
        return NULL;
    }
    shared->api.forwards = options->backend != NULL;
    if (options->journal_stream != NULL)
        journal_stream_to(server->journal, options->journal_stream);
    if (options->journal_stream_bytes_max > 0)
        journal_bound_stream(server->journal, options->journal_stream_bytes_max,
                             options->journal_stream_next, options->journal_stream_owner);
    raise_descriptor_limit();
    server->listener.has_room = has_room;
    server->listener.take = take_connection;
    server->listener.taken = connections_taken;
    server->listener.owner = server;
    if (!start_daemon(server, options, error) ||
        !listener_open(&server->listener, loop, host, options->port, error) ||
        !threads_start(server, options, error)) {
        server_free(server);
        return NULL;
    }
    snprintf(server->base_url, sizeof server->base_url,
             strchr(host, ':') != NULL ? "%s://[%s]:%u/v1" : "%s://%s:%u/v1",
             options->tls_certificate != NULL ? "https" : "http", host, server->listener.port);
    server_make_changes(server, loop_now(loop));
    return server;
}

void server_end_threads(struct server *server)
{
    threads_end(server->shared);
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    struct shared *shared = server->shared;
    threads_end(shared);
    if (server->loop->host == &server->host)
        server->loop->host = NULL;
    listener_close(&server->listener);
    threads_free(shared);
    loop_cancel(server->loop, &server->next_change);
    loop_cancel(server->loop, &server->accept_again);
    api_free(&shared->api);
    journal_free(server->journal);
    metrics_free(server->metrics);
    free(server->guard.token);
    free(server->marker_header);
    free(server->marker_body);
    pthread_spin_destroy(&shared->lock);
    pthread_mutex_destroy(&shared->world);
    free(shared);
    free(server);
}

bool server_change_config(struct server *server, const struct config *config, struct error *error)
{
    threads_stop_others(server);
    int64_t now_ns = loop_now(server->loop);
    bool is_changed = api_change_config(&server->shared->api, config, now_ns);
    if (is_changed)
        server_make_changes(server, now_ns);
    threads_let_go(server);
    return is_changed ||
           error_set_run(error, "", "out of memory; the set-up may be changed in part");
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
    return &server->shared->api;
}

int server_in_flight(const struct server *server)
{
    return server->shared->in_flight;
}

bool server_journal_overflowed(const struct server *server)
{
    return server->shared->journal_overflowed;
}

int server_accept_error(const struct server *server)
{
    return server->listener.accept_error;
}
