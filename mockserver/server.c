#include "mockserver/server.h"

#include "base/duration.h"
#include "mockserver/admin.h"
#include "mockserver/metrics.h"

#include <arpa/inet.h>
#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    struct loop *loop;
    struct api api;
    struct journal *journal;
    struct metrics *metrics;
    struct MHD_Daemon *daemon;
    struct watch watch;          /* libmicrohttpd's epoll descriptor */
    struct deadline run_again;   /* it has work that its descriptor does not show */
    struct deadline next_change; /* of the quotas, by time */
    struct exchange *exchanges;  /* all that are under way */
    char *marker_header;
    char *marker_body;
    char base_url[96];
    uint16_t port;
    uint64_t connection_count;
    int in_flight;
    bool journal_overflowed;
    bool stopping;
};

/* One TCP connection: lives as long as libmicrohttpd says. */
struct link {
    struct server *server;
    uint64_t number;
    int fd;
    struct deadline patience; /* cuts a connection that sends nothing, or too slowly */
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
    struct api_outcome outcome;
    bool is_decided;
    bool is_parked;
    bool peer_watched;
    struct watch peer; /* while parked: sees a client that goes away */
    struct deadline due;
};

static void run_daemon(struct server *server);

static void cut_link(void *owner, int64_t now_ns)
{
    struct link *link = owner;
    (void)now_ns;
    shutdown(link->fd, SHUT_RDWR);
}

static void wait_for(struct link *link, int64_t seconds)
{
    loop_after(link->server->loop, &link->patience, seconds * NS_PER_S);
}

static void on_connection(void *owner, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = owner;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct link *link = *socket_context;
        if (link == NULL)
            return;
        loop_cancel(server->loop, &link->patience);
        free(link);
        return;
    }
    struct link *link = calloc(1, sizeof *link);
    *socket_context = link;
    if (link == NULL)
        return;
    link->server = server;
    link->number = ++server->connection_count;
    link->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    link->patience = (struct deadline){.fire = cut_link, .owner = link};
    wait_for(link, SERVER_HEADER_SECONDS);
}

static void unpark(struct exchange *exchange)
{
    if (exchange->peer_watched)
        loop_unwatch(exchange->server->loop, &exchange->peer);
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
    run_daemon(exchange->server);
}

/* The client has closed (at least) its sending side while its answer waits. On a virtual clock the
 * in-process client has given up and released its hold, so the park that matched it must go too. */
static void peer_left(void *owner, uint32_t events)
{
    struct exchange *exchange = owner;
    (void)events;
    unpark(exchange);
}

static void park(struct exchange *exchange)
{
    struct loop *loop = exchange->server->loop;
    exchange->due = (struct deadline){.fire = resume, .owner = exchange};
    loop_after(loop, &exchange->due, exchange->outcome.latency_ns);
    loop_park(loop);
    exchange->is_parked = true;
    exchange->peer =
        (struct watch){.fd = exchange->link->fd, .ready = peer_left, .owner = exchange};
    exchange->peer_watched = loop_watch(loop, &exchange->peer, EPOLLRDHUP, NULL);
    MHD_suspend_connection(exchange->connection);
}

static enum MHD_Result queue_answer(struct exchange *exchange)
{
    struct answer *answer = &exchange->outcome.answer;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body_length, answer->body != NULL ? answer->body : (void *)(intptr_t) "",
        answer->body != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    answer->body = NULL; /* the response frees it */
    for (size_t i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (exchange->entry != NULL)
        exchange->entry->first_byte_ns = loop_now(exchange->server->loop);
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
    entry->in_flight = server->in_flight;
    entry->arrived_ns = loop_now(server->loop);
    entry->connection = exchange->link->number;
    snprintf(entry->method, sizeof entry->method, "%s", exchange->method);
    snprintf(entry->path, sizeof entry->path, "%s", exchange->path);
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
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL || info == NULL || info->socket_context == NULL) {
        free(exchange);
        return NULL;
    }
    exchange->server = server;
    exchange->link = info->socket_context;
    exchange->connection = connection;
    exchange->method = strdup(method);
    exchange->path = strdup(path);
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
    unpark(exchange);
    loop_cancel(server->loop, &exchange->due);
    answer_free(&exchange->outcome.answer);
    free(exchange->method);
    free(exchange->path);
    free(exchange->body);
    free(exchange);
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
    wait_for(exchange->link, SERVER_HEADER_SECONDS);
    struct journal_entry *entry = exchange->entry;
    if (entry != NULL) {
        server->in_flight--;
        entry->answered_ns = loop_now(server->loop);
        entry->abandoned = code != MHD_REQUEST_TERMINATED_COMPLETED_OK;
        api_finish(&exchange->outcome);
        metrics_count(server->metrics, entry);
        journal_finish(server->journal, entry);
    }
    exchange_free(exchange);
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
    wait_for(exchange->link, SERVER_BODY_SECONDS);
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *size)
{
    size_t needed = exchange->body_length + *size;
    if (needed > SERVER_BODY_BYTES_MAX) {
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
        snprintf(exchange->entry->call_marker, sizeof exchange->entry->call_marker, "%s",
                 marker->valuestring);
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
    if (exchange->discarded > 0) {
        api_refuse_too_large(&server->api, SERVER_BODY_BYTES_MAX, now_ns, wall_ns,
                             exchange->entry, &exchange->outcome);
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

static enum MHD_Result finish_request(struct exchange *exchange)
{
    exchange->is_decided = true;
    loop_cancel(exchange->server->loop, &exchange->link->patience);
    if (exchange->entry == NULL)
        decide_admin(exchange);
    else
        decide_api(exchange);
    if (exchange->outcome.latency_ns == 0 || exchange->server->stopping)
        return queue_answer(exchange);
    park(exchange);
    return MHD_YES;
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
    if (*data_size > 0)
        return take_body(exchange, data, data_size);
    return exchange->is_decided ? queue_answer(exchange) : finish_request(exchange);
}

/* libmicrohttpd may have more to do than its descriptor shows; it then says "time-out 0". */
static void run_daemon(struct server *server)
{
    enum { ROUNDS_MAX = 16 };
    for (int i = 0; i < ROUNDS_MAX; i++) {
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

/* What a socket address looks like for bind. */
static bool parse_address(const char *host, uint16_t port, struct sockaddr_storage *address,
                          struct error *error)
{
    *address = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return true;
    }
    return error_set(error, "--host", "\"%s\" is not an IPv4 or IPv6 address, such as 127.0.0.1",
                     host);
}

/* The listening socket is made here and not by libmicrohttpd, which does not say why it fails. */
static int listen_on(const char *host, uint16_t port, struct error *error)
{
    struct sockaddr_storage address;
    if (!parse_address(host, port, &address, error))
        return -1;
    char place[128];
    snprintf(place, sizeof place, "%s port %u", host, port);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_set_run(error, place, "%s", strerror(errno));
        return -1;
    }
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
        const char *remedy = errno == EADDRINUSE ? "; choose another --port, or 0 for a free one"
                             : errno == EACCES   ? "; ports below 1024 need root"
                                                 : "";
        error_set_run(error, place, "%s%s", strerror(errno), remedy);
        close(fd);
        return -1;
    }
    return fd;
}

static void note_address(struct server *server, int fd, const char *host)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &length);
    bool is_v6 = bound.ss_family == AF_INET6;
    server->port = ntohs(is_v6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                               : ((struct sockaddr_in *)&bound)->sin_port);
    snprintf(server->base_url, sizeof server->base_url,
             is_v6 ? "http://[%s]:%u/v1" : "http://%s:%u/v1", host, server->port);
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

static bool start_daemon(struct server *server, int listen_fd, struct error *error)
{
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, SERVER_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVER_CONNECTION_MEMORY, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)no_log, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                                          MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG,
                                      0, NULL, NULL, on_request, server, MHD_OPTION_ARRAY, options,
                                      MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(listen_fd);
        return error_set_run(error, "libmicrohttpd", "did not start (out of descriptors?)");
    }
    server->watch = (struct watch){
        .fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
        .ready = daemon_ready,
        .owner = server,
    };
    return loop_watch(server->loop, &server->watch, EPOLLIN, error);
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
    server->run_again = (struct deadline){.fire = run_again, .owner = server};
    server->next_change = (struct deadline){.fire = make_changes, .owner = server};
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
    int listen_fd = listen_on(host, options->port, error);
    if (listen_fd < 0) {
        server_free(server);
        return NULL;
    }
    note_address(server, listen_fd, host);
    if (!start_daemon(server, listen_fd, error)) {
        server_free(server);
        return NULL;
    }
    make_changes(server, loop_now(loop));
    return server;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    server->stopping = true;
    /* libmicrohttpd demands that no connection is suspended when it stops. */
    for (struct exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        if (exchange->due.position == 0)
            continue;
        loop_cancel(server->loop, &exchange->due);
        unpark(exchange);
        MHD_resume_connection(exchange->connection);
    }
    if (server->watch.fd >= 0)
        loop_unwatch(server->loop, &server->watch);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    loop_cancel(server->loop, &server->run_again);
    loop_cancel(server->loop, &server->next_change);
    api_free(&server->api);
    journal_free(server->journal);
    metrics_free(server->metrics);
    free(server->marker_header);
    free(server->marker_body);
    free(server);
}

uint16_t server_port(const struct server *server)
{
    return server->port;
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
