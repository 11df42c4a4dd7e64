#include "base/duration.h"
#include "base/text.h"
#include "mockserver/openai_error.h"
#include "mockserver/server_parts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    FORWARD_BYTES_WAITING = 1024 * 1024, /* of an answer that the client is slower to read */
    FORWARD_ERROR_BYTES = 64 * 1024,     /* looked at for the error's code */
    FORWARD_HEADERS_MAX = 100,
};

/* An answer that comes from the backend. */
struct forwarding {
    struct exchange *exchange;
    void *transfer; /* NULL: it has ended */
    char *target;
    bool has_head;
    bool has_ended;
    bool has_failed;
    bool is_paused;
    int64_t length;
    struct backend_header *headers; /* name and value are owned */
    size_t header_count;
    char *waiting; /* bytes that the client has not got yet */
    size_t begin, end, capacity;
    char *error; /* the beginning of an error's body */
    size_t error_length;
    bool error_is_long; /* and not kept */
};

/* Whether `list` (of a Connection header) names it. */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    while (*list != '\0') {
        list += strspn(list, ", \t");
        size_t token = strcspn(list, ", \t");
        if (token == length && strncasecmp(list, name, length) == 0)
            return true;
        list += token;
    }
    return false;
}

/* RFC 9110, 7.6.1, and what each side says for itself. `headers` are all that came:
 * Connection among them names more. */
static bool is_for_one_hop(const char *name, const struct backend_header *headers, size_t count)
{
    static const char *const names[] = {"connection",
                                        "keep-alive",
                                        "proxy-connection",
                                        "te",
                                        "trailer",
                                        "transfer-encoding",
                                        "upgrade",
                                        "proxy-authorization",
                                        "proxy-authenticate",
                                        "host",
                                        "content-length",
                                        "expect",
                                        NULL};
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(headers[i].name, "connection") == 0 && is_listed(headers[i].value, name))
            return true;
    }
    return false;
}

static void free_text(const char *text)
{
    union {
        const char *text;
        void *memory;
    } owned = {.text = text};
    free(owned.memory);
}

static void free_headers(struct backend_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free_text(headers[i].name);
        free_text(headers[i].value);
    }
    free(headers);
}

void forward_free(struct exchange *exchange)
{
    struct forwarding *forwarding = exchange->forwarding;
    if (forwarding == NULL)
        return;
    const struct backend *backend = exchange->server->backend;
    if (forwarding->transfer != NULL)
        backend->cancel(backend->owner, forwarding->transfer);
    free_headers(forwarding->headers, forwarding->header_count);
    free(forwarding->target);
    free(forwarding->waiting);
    free(forwarding->error);
    free(forwarding);
    exchange->forwarding = NULL;
}

/* --- what the backend says -------------------------------------------------------------------- */

static void wake(struct exchange *exchange)
{
    if (exchange->is_parked)
        exchange_resume(exchange);
}

static void keep_head(struct forwarding *forwarding, const struct backend_head *head)
{
    size_t most =
        head->header_count < FORWARD_HEADERS_MAX ? head->header_count : (size_t)FORWARD_HEADERS_MAX;
    forwarding->headers = calloc(most + 1, sizeof *forwarding->headers);
    if (forwarding->headers == NULL)
        return;
    for (size_t i = 0; i < most; i++) {
        if (is_for_one_hop(head->headers[i].name, head->headers, head->header_count))
            continue;
        char *name = strdup(head->headers[i].name);
        char *value = strdup(head->headers[i].value);
        if (name == NULL || value == NULL) {
            free(name);
            free(value);
            return;
        }
        forwarding->headers[forwarding->header_count++] = (struct backend_header){name, value};
    }
}

static void on_head(void *owner, const struct backend_head *head)
{
    struct exchange *exchange = owner;
    struct forwarding *forwarding = exchange->forwarding;
    struct journal_entry *entry = exchange->entry;
    forwarding->has_head = true;
    forwarding->length = head->length;
    keep_head(forwarding, head);
    exchange->outcome.answer.status = head->status;
    entry->status = head->status;
    entry->retry_after_ns = head->retry_after_ns;
    const char *request_id = forward_header(exchange, "x-request-id");
    if (request_id != NULL)
        text_copy_utf8(entry->request_id, sizeof entry->request_id, request_id);
    wake(exchange);
}

static bool keep_bytes(struct forwarding *forwarding, const char *data, size_t length)
{
    if (forwarding->begin == forwarding->end)
        forwarding->begin = forwarding->end = 0;
    size_t needed = forwarding->end + length;
    if (needed > forwarding->capacity) {
        size_t capacity = forwarding->capacity == 0 ? 4096 : forwarding->capacity;
        while (capacity < needed)
            capacity *= 2;
        char *larger = realloc(forwarding->waiting, capacity);
        if (larger == NULL)
            return false;
        forwarding->waiting = larger;
        forwarding->capacity = capacity;
    }
    memcpy(forwarding->waiting + forwarding->end, data, length);
    forwarding->end = needed;
    return true;
}

/* Of an error: its code is for the journal. */
static void keep_error(struct exchange *exchange, const char *data, size_t length)
{
    struct forwarding *forwarding = exchange->forwarding;
    if (exchange->entry->status < 400 || forwarding->error_is_long)
        return;
    if (forwarding->error_length + length > FORWARD_ERROR_BYTES) {
        forwarding->error_is_long = true;
        free(forwarding->error);
        forwarding->error = NULL;
        return;
    }
    char *larger = realloc(forwarding->error, forwarding->error_length + length);
    if (larger == NULL)
        return;
    memcpy(larger + forwarding->error_length, data, length);
    forwarding->error = larger;
    forwarding->error_length += length;
}

static bool on_data(void *owner, const char *data, size_t length)
{
    struct exchange *exchange = owner;
    struct forwarding *forwarding = exchange->forwarding;
    keep_error(exchange, data, length);
    if (!keep_bytes(forwarding, data, length))
        forwarding->has_failed = true;
    recording_data(exchange->server->recorder, exchange->recording, data, length,
                   loop_now(exchange->server->loop));
    wake(exchange);
    forwarding->is_paused = forwarding->end - forwarding->begin > FORWARD_BYTES_WAITING;
    return !forwarding->is_paused;
}

static void read_error_code(struct exchange *exchange)
{
    struct forwarding *forwarding = exchange->forwarding;
    cJSON *root = cJSON_ParseWithLength(forwarding->error, forwarding->error_length);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
    if (cJSON_IsString(code))
        text_copy_utf8(exchange->entry->code, sizeof exchange->entry->code, code->valuestring);
    cJSON_Delete(root);
}

/* Nothing of an answer has come: OpenAI's shape, with the words of a gateway. */
static void answer_failure(struct exchange *exchange, const struct backend_failure *failure)
{
    struct answer *answer = &exchange->outcome.answer;
    char message[256];
    snprintf(message, sizeof message, "The upstream server %s: %.180s.",
             failure->is_timeout ? "did not answer in time" : "could not be asked",
             failure->message);
    const struct openai_error error = {
        .status = failure->is_timeout ? MHD_HTTP_GATEWAY_TIMEOUT : MHD_HTTP_BAD_GATEWAY,
        .message = message,
        .type = "server_error",
        .code = failure->is_timeout ? "upstream_timeout" : "upstream_failed",
    };
    struct server *server = exchange->server;
    answer_free(answer);
    openai_error_answer(answer, &error);
    struct api *api = &server->shared->api;
    server_lock(server);
    const struct api_request_id id = api_draw_request_id(api);
    server_unlock(server);
    int64_t now_ns = loop_now(server->loop);
    api_add_headers(api, answer, server->loop->clock.wall_start_ns + now_ns, &id, exchange->entry);
    recording_answer(server->recorder, exchange->recording, answer);
    exchange->entry->status = error.status;
    snprintf(exchange->entry->code, sizeof exchange->entry->code, "%s", error.code);
}

static void on_end(void *owner, const struct backend_failure *failure)
{
    struct exchange *exchange = owner;
    struct forwarding *forwarding = exchange->forwarding;
    struct server *server = exchange->server;
    forwarding->transfer = NULL;
    forwarding->has_ended = true;
    if (failure != NULL) {
        const struct log_field fields[] = {
            log_text("path", exchange->path),
            log_number("sequence", (int64_t)exchange->entry->sequence),
            {0}};
        log_event(server->log, server->loop->clock.wall_start_ns + loop_now(server->loop),
                  LOG_WARNING, "upstream_failed", fields, "%s: upstream: %s", exchange->path,
                  failure->message);
        forwarding->has_failed = true;
        if (!forwarding->has_head)
            answer_failure(exchange, failure);
    } else if (forwarding->error != NULL) {
        read_error_code(exchange);
    }
    wake(exchange);
}

/* --- what the client gets --------------------------------------------------------------------- */

const char *forward_header(const struct exchange *exchange, const char *name)
{
    const struct forwarding *forwarding = exchange->forwarding;
    for (size_t i = 0; forwarding != NULL && i < forwarding->header_count; i++) {
        const struct backend_header *header = &forwarding->headers[i];
        if (header->name != NULL && strcasecmp(header->name, name) == 0)
            return header->value;
    }
    return NULL;
}

static ssize_t read_waiting(void *owner, uint64_t position, char *buffer, size_t size)
{
    struct exchange *exchange = owner;
    struct forwarding *forwarding = exchange->forwarding;
    const struct backend *backend = exchange->server->backend;
    (void)position;
    if (exchange->is_abandoned)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = forwarding->end - forwarding->begin;
    if (length > 0) {
        length = length < size ? length : size;
        memcpy(buffer, forwarding->waiting + forwarding->begin, length);
        forwarding->begin += length;
        if (forwarding->is_paused && forwarding->transfer != NULL &&
            forwarding->end - forwarding->begin <= FORWARD_BYTES_WAITING / 2) {
            forwarding->is_paused = false;
            backend->resume(backend->owner, forwarding->transfer);
        }
        return (ssize_t)length;
    }
    if (forwarding->has_failed || exchange->server->stopping)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (forwarding->has_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    exchange_park_open(exchange);
    return 0;
}

struct MHD_Response *forward_response(struct exchange *exchange)
{
    enum { BLOCK_SIZE = 16 * 1024 };
    struct forwarding *forwarding = exchange->forwarding;
    struct MHD_Response *response = MHD_create_response_from_callback(
        forwarding->length >= 0 ? (uint64_t)forwarding->length : MHD_SIZE_UNKNOWN, BLOCK_SIZE,
        read_waiting, exchange, NULL);
    const struct answer *own = &exchange->outcome.answer;
    for (size_t i = 0; response != NULL && i < own->header_count; i++) {
        recording_header(exchange->recording, answer_name(own, i), answer_value(own, i));
        MHD_add_response_header(response, answer_name(own, i), answer_value(own, i));
    }
    for (size_t i = 0; response != NULL && i < forwarding->header_count; i++) {
        const struct backend_header *header = &forwarding->headers[i];
        recording_header(exchange->recording, header->name, header->value);
        /* What our limits say goes before what the other server's do. */
        if (answer_find_header(own, header->name) == NULL)
            MHD_add_response_header(response, header->name, header->value);
    }
    return response;
}

bool forward_has_answer(const struct exchange *exchange)
{
    return exchange->forwarding != NULL && exchange->forwarding->has_head;
}

/* --- asking ----------------------------------------------------------------------------------- */

struct header_list {
    struct backend_header *headers;
    size_t count;
};

static enum MHD_Result add_header(void *owner, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct header_list *list = owner;
    (void)kind;
    if (list->count < FORWARD_HEADERS_MAX && value != NULL)
        list->headers[list->count++] = (struct backend_header){name, value};
    return MHD_YES;
}

static void drop_those_for_one_hop(struct header_list *list)
{
    struct backend_header kept[FORWARD_HEADERS_MAX] = {{0}};
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_for_one_hop(list->headers[i].name, list->headers, list->count))
            kept[count++] = list->headers[i];
    }
    memcpy(list->headers, kept, count * sizeof *kept);
    list->count = count;
}

/* After the latency that is set. */
static void ask_backend(void *owner, int64_t now_ns)
{
    struct exchange *exchange = owner;
    struct forwarding *forwarding = exchange->forwarding;
    const struct backend *backend = exchange->server->backend;
    struct backend_header headers[FORWARD_HEADERS_MAX];
    struct header_list list = {headers, 0};
    (void)now_ns;
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, add_header, &list);
    drop_those_for_one_hop(&list);
    const struct backend_request request = {
        .method = exchange->method,
        .target = forwarding->target,
        .headers = headers,
        .header_count = list.count,
        .body = exchange->body,
        .body_length = exchange->body_length,
    };
    const struct backend_sink sink = {exchange, on_head, on_data, on_end};
    forwarding->transfer = backend->start(backend->owner, &request, &sink);
    if (forwarding->transfer == NULL)
        on_end(exchange, &(struct backend_failure){.message = "out of memory"});
}

bool forward_start(struct exchange *exchange)
{
    struct forwarding *forwarding = calloc(1, sizeof *forwarding);
    if (forwarding == NULL)
        return false;
    forwarding->exchange = exchange;
    forwarding->length = -1;
    forwarding->target = exchange->link->target;
    exchange->link->target = NULL;
    exchange->forwarding = forwarding;
    if (forwarding->target == NULL)
        return false;
    exchange_park(exchange, loop_now(exchange->server->loop) + exchange->outcome.latency_ns);
    exchange->due.fire = ask_backend;
    return true;
}
