/* An attempt's request and answer in libcurl. */
#include "client/client_parts.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char closed_too_early[] = "the connection was closed before the answer was complete";

/* --- how an attempt ended --------------------------------------------------------------------- */

/* The same failure must read the same in each run: libcurl's own texts say how many milliseconds it
 * took, and whether sending or receiving met a closed connection first. */
static const char *transport_error_of(const struct client_call *call, CURLcode result)
{
    if (call->body_too_large)
        return "the answer is larger than 16 MiB";
    if (call->requests_sent > 1)
        return closed_too_early;
    switch (result) {
    case CURLE_COULDNT_CONNECT:
        return "could not connect to the server";
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return closed_too_early;
    default:
        return call->curl_error[0] != '\0' ? call->curl_error : curl_easy_strerror(result);
    }
}

void transfer_ended(void *owner, CURL *easy, CURLcode result)
{
    char *private_data = NULL;
    (void)owner;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private_data);
    struct client_call *call = (struct client_call *)(void *)private_data;
    /* libcurl takes headers that break off for an answer without a body. */
    if (result == CURLE_OK && !call->headers_ended)
        result = CURLE_GOT_NOTHING;
    call_end_attempt(call, result == CURLE_OK ? NULL : transport_error_of(call, result));
}

/* --- what libcurl asks while a transfer runs -------------------------------------------------- */

#if LIBCURL_VERSION_NUM >= 0x075000
/* libcurl repeats a request by itself when a connection that it used again turns out to be closed.
 * That would be an attempt that no policy decided on. */
// NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's
static int before_request(void *owner, char *remote_ip, char *local_ip, int remote_port,
                          int local_port)
{
    struct client_call *call = owner;
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    return call->requests_sent++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}
#endif

static bool reserve_body(struct client_call *call, size_t bytes)
{
    if (bytes <= call->body_capacity)
        return true;
    size_t capacity = call->body_capacity == 0 ? 4096 : call->body_capacity;
    while (capacity < bytes)
        capacity *= 2;
    char *larger = realloc(call->body, capacity);
    if (larger == NULL)
        return false;
    call->body = larger;
    call->body_capacity = capacity;
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct client_call *call = owner;
    size_t length = size * count;
    call->body_too_large = length > CLIENT_BODY_BYTES_MAX - call->body_bytes;
    if (call->body_too_large || !reserve_body(call, call->body_bytes + length + 1))
        return 0;
    memcpy(call->body + call->body_bytes, bytes, length);
    call->body_bytes += length;
    call->body[call->body_bytes] = '\0';
    return length;
}

/* Copies the value of header line `line` to `value` if it is header `name`; the first one counts.
 */
static void take_header(const char *line, size_t length, const char *name,
                        char value[HEADER_VALUE_SIZE])
{
    size_t name_length = strlen(name);
    if (length <= name_length || line[name_length] != ':' ||
        strncasecmp(line, name, name_length) != 0 || value[0] != '\0')
        return;
    size_t start = name_length + 1;
    while (start < length && (line[start] == ' ' || line[start] == '\t'))
        start++;
    while (length > start && strchr(" \t\r\n", line[length - 1]) != NULL)
        length--;
    size_t value_length = length - start;
    if (value_length >= HEADER_VALUE_SIZE)
        return;
    memcpy(value, line + start, value_length);
    value[value_length] = '\0';
}

static void take_remaining(const char *line, size_t length, struct client_call *call)
{
    struct answer_headers *headers = &call->headers;
    take_header(line, length, "x-ratelimit-limit-requests", headers->requests.limit);
    take_header(line, length, "x-ratelimit-remaining-requests", headers->requests.remaining);
    take_header(line, length, "x-ratelimit-reset-requests", headers->requests.reset);
    take_header(line, length, "x-ratelimit-limit-tokens", headers->tokens.limit);
    take_header(line, length, "x-ratelimit-remaining-tokens", headers->tokens.remaining);
    take_header(line, length, "x-ratelimit-reset-tokens", headers->tokens.reset);
}

static size_t on_header(char *line, size_t size, size_t count, void *owner)
{
    struct client_call *call = owner;
    size_t length = size * count;
    /* What an interim answer (100, 103) says is not the answer's. */
    if (length > 5 && memcmp(line, "HTTP/", 5) == 0) {
        call->headers = (struct answer_headers){0};
        call->headers_ended = false;
    }
    call->headers_ended |= line[0] == '\r' || line[0] == '\n';
    take_header(line, length, "retry-after-ms", call->headers.retry_after_ms);
    take_header(line, length, "retry-after", call->headers.retry_after);
    take_header(line, length, "x-should-retry", call->headers.should_retry);
    take_header(line, length, "x-request-id", call->headers.request_id);
    if (call->client->gate.settings.kind == GATE_HEADERS)
        take_remaining(line, length, call);
    return length;
}

/* --- handles ---------------------------------------------------------------------------------- */

static void set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static CURL *new_handle(const struct client *client)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL || curl_easy_setopt(easy, CURLOPT_URL, client->url) != CURLE_OK) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    set_protocols(easy);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CLIENT_CONNECT_TIMEOUT_MS);
    /* One connection an attempt, as the official SDKs: nothing is hidden by multiplexing. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
#if LIBCURL_VERSION_NUM >= 0x075000
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
#else
    /* No way to refuse the repetition, so no connection that could be repeated on. */
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
#endif
    if (client->is_loopback)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return easy;
}

static CURL *take_handle(struct client *client)
{
    struct idle_handle *idle = client->idle;
    if (idle == NULL)
        return new_handle(client);
    CURL *easy = idle->easy;
    client->idle = idle->next;
    free(idle);
    return easy;
}

static void give_handle_back(struct client *client, CURL *easy)
{
    struct idle_handle *idle = malloc(sizeof *idle);
    if (idle == NULL) {
        curl_easy_cleanup(easy);
        return;
    }
    *idle = (struct idle_handle){.next = client->idle, .easy = easy};
    client->idle = idle;
}

static bool append_header(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);
    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

static bool make_headers(struct client_call *call)
{
    struct curl_slist **list = &call->request_headers;
    return append_header(list, call->client->authorization) &&
           append_header(list, call->client->user_agent) &&
           append_header(list, "Content-Type: application/json") &&
           append_header(list, "Accept: application/json") && append_header(list, "Expect:") &&
           append_header(list, call->idempotency_header) &&
           (call->marker_header == NULL || append_header(list, call->marker_header));
}

bool transfer_prepare(struct client_call *call)
{
    call->requests_sent = 0;
    call->headers_ended = false;
    call->body_too_large = false;
    call->body_bytes = 0;
    call->headers = (struct answer_headers){0};
    call->curl_error[0] = '\0';
    call->easy = take_handle(call->client);
    if (call->easy == NULL || !make_headers(call))
        return false;
    curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, call->curl_error);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
#if LIBCURL_VERSION_NUM >= 0x075000
    curl_easy_setopt(call->easy, CURLOPT_PREREQDATA, call);
#endif
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->request_headers);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->request_body);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)strlen(call->request_body));
    return true;
}

void transfer_put_down(struct client_call *call)
{
    struct client *client = call->client;
    if (call->easy != NULL) {
        curl_multi_remove_handle(client->curl.multi, call->easy);
        /* The handle must not point into a call that is gone. */
        curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, NULL);
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, NULL);
        give_handle_back(client, call->easy);
        call->easy = NULL;
    }
    curl_slist_free_all(call->request_headers);
    call->request_headers = NULL;
}

void transfer_free_idle(struct client *client)
{
    while (client->idle != NULL)
        curl_easy_cleanup(take_handle(client));
}
