#include "upstream/upstream.h"

#include "base/duration.h"
#include "client/curl_loop.h"
#include "client/retry_after.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEADERS_MAX = 100 };

struct upstream {
    struct loop *loop;
    struct backend backend;
    struct curl_loop curl;
    char *base_url;      /* without the / at its end */
    char *authorization; /* header line with the key: never to be shown; NULL: the client's */
    int64_t silence_ns;
    bool wants_plain;
};

struct transfer {
    struct upstream *upstream;
    struct backend_sink sink;
    CURL *easy;
    struct curl_slist *request_headers;
    char *url;
    char *body;
    struct backend_header headers[HEADERS_MAX];
    char *lines[HEADERS_MAX]; /* what they point into */
    size_t header_count;
    struct deadline silence;
    bool has_headers; /* all of them, up to the blank line */
    bool is_told;     /* the head */
    bool is_paused;
    bool has_timed_out;
};

/* --- what comes back -------------------------------------------------------------------------- */

static void drop_headers(struct transfer *transfer)
{
    for (size_t i = 0; i < transfer->header_count; i++)
        free(transfer->lines[i]);
    transfer->header_count = 0;
}

static void free_transfer(struct transfer *transfer)
{
    loop_cancel(transfer->upstream->loop, &transfer->silence);
    if (transfer->easy != NULL) {
        curl_multi_remove_handle(transfer->upstream->curl.multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->request_headers);
    drop_headers(transfer);
    free(transfer->url);
    free(transfer->body);
    free(transfer);
}

static void listen_again(struct transfer *transfer)
{
    loop_after(transfer->upstream->loop, &transfer->silence, transfer->upstream->silence_ns);
}

static const char *find_header(const struct transfer *transfer, const char *name)
{
    for (size_t i = 0; i < transfer->header_count; i++) {
        if (strcasecmp(transfer->headers[i].name, name) == 0)
            return transfer->headers[i].value;
    }
    return NULL;
}

static void tell_head(struct transfer *transfer)
{
    long status = 0;
    curl_off_t length = -1;
    if (transfer->is_told)
        return;
    transfer->is_told = true;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    const char *said = find_header(transfer, "content-length");
    /* Chunks override it (RFC 9112, 6.3). */
    if (said != NULL && find_header(transfer, "transfer-encoding") == NULL)
        length = strtoll(said, NULL, 10);
    struct backend_head head = {.status = (int)status,
                                .headers = transfer->headers,
                                .header_count = transfer->header_count,
                                .length = length,
                                .retry_after_ns = -1};
    const struct loop *loop = transfer->upstream->loop;
    retry_after_read(find_header(transfer, "retry-after-ms"), find_header(transfer, "retry-after"),
                     clock_wall_s(&loop->clock, loop_now(loop)), &head.retry_after_ns);
    transfer->sink.head(transfer->sink.owner, &head);
}

static void keep_header(struct transfer *transfer, const char *line, size_t length)
{
    char *copy = strndup(line, length);
    char *colon = copy != NULL ? strchr(copy, ':') : NULL;
    if (colon == NULL || transfer->header_count == HEADERS_MAX) {
        free(copy);
        return;
    }
    *colon = '\0';
    transfer->lines[transfer->header_count] = copy;
    transfer->headers[transfer->header_count++] =
        (struct backend_header){copy, colon + 1 + strspn(colon + 1, " \t")};
}

static size_t on_header(char *line, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    size_t length = size * count;
    size_t kept = length;
    while (kept > 0 && strchr("\r\n \t", line[kept - 1]) != NULL)
        kept--;
    listen_again(transfer);
    if (strncmp(line, "HTTP/", 5) == 0) {
        drop_headers(transfer); /* of an interim answer */
        transfer->has_headers = false;
    } else if (kept == 0) {
        transfer->has_headers = true;
    } else if (!transfer->has_headers) { /* else it is a trailer */
        keep_header(transfer, line, kept);
    }
    return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct transfer *transfer = owner;
    if (transfer->is_paused)
        return CURL_WRITEFUNC_PAUSE;
    listen_again(transfer);
    tell_head(transfer);
    if (!transfer->sink.data(transfer->sink.owner, bytes, size * count)) {
        transfer->is_paused = true;
        loop_cancel(transfer->upstream->loop, &transfer->silence);
    }
    return size * count;
}

static const char *message_of(const struct transfer *transfer, CURLcode result)
{
    if (transfer->has_timed_out)
        return "it was silent for too long";
    return curl_easy_strerror(result);
}

static void finish(struct transfer *transfer, CURLcode result)
{
    const struct backend_sink sink = transfer->sink;
    if (result == CURLE_OK && !transfer->has_headers)
        result = CURLE_PARTIAL_FILE; /* for libcurl, an answer without a body */
    const struct backend_failure failure = {
        .is_timeout = transfer->has_timed_out || result == CURLE_OPERATION_TIMEDOUT,
        .message = message_of(transfer, result),
    };
    if (result == CURLE_OK)
        tell_head(transfer);
    free_transfer(transfer);
    sink.end(sink.owner, result == CURLE_OK ? NULL : &failure);
}

static void ended(void *owner, CURL *easy, CURLcode result)
{
    char *private_data = NULL;
    (void)owner;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private_data);
    finish((struct transfer *)(void *)private_data, result);
}

static void was_silent(void *owner, int64_t now_ns)
{
    struct transfer *transfer = owner;
    (void)now_ns;
    transfer->has_timed_out = true;
    finish(transfer, CURLE_OPERATION_TIMEDOUT);
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool add_line(struct transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->request_headers, line);
    if (longer != NULL)
        transfer->request_headers = longer;
    return longer != NULL;
}

/* An empty value wants another form of libcurl. */
static bool add_header(struct transfer *transfer, const struct backend_header *header)
{
    const struct upstream *upstream = transfer->upstream;
    if (upstream->authorization != NULL && (strcasecmp(header->name, "authorization") == 0 ||
                                            strcasecmp(header->name, "api-key") == 0))
        return true;
    if (upstream->wants_plain && strcasecmp(header->name, "accept-encoding") == 0)
        return true;
    char *line = NULL;
    bool is_empty = header->value[0] == '\0';
    if (asprintf(&line, is_empty ? "%s;" : "%s: %s", header->name, header->value) < 0)
        return false;
    bool is_added = add_line(transfer, line);
    free(line);
    return is_added;
}

static bool add_headers(struct transfer *transfer, const struct backend_request *request)
{
    /* What libcurl would add by itself. */
    static const char *const unwanted[] = {"Accept:", "Content-Type:", "Expect:", "User-Agent:"};
    for (size_t i = 0; i < request->header_count; i++) {
        if (!add_header(transfer, &request->headers[i]))
            return false;
    }
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        bool is_sent = false;
        size_t length = strlen(unwanted[i]) - 1;
        for (size_t j = 0; j < request->header_count; j++)
            is_sent |= strlen(request->headers[j].name) == length &&
                       strncasecmp(request->headers[j].name, unwanted[i], length) == 0;
        if (!is_sent && !add_line(transfer, unwanted[i]))
            return false;
    }
    return transfer->upstream->authorization == NULL ||
           add_line(transfer, transfer->upstream->authorization);
}

static bool set_body(struct transfer *transfer, const struct backend_request *request)
{
    CURL *easy = transfer->easy;
    if (strcmp(request->method, "HEAD") == 0) {
        /* Whatever comes with it: libcurl would wait for the body of the answer. */
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return true;
    }
    if (request->body_length == 0 && strcmp(request->method, "POST") != 0) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
        return true;
    }
    transfer->body = malloc(request->body_length + 1);
    if (transfer->body == NULL)
        return false;
    if (request->body_length > 0)
        memcpy(transfer->body, request->body, request->body_length);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
    return true;
}

/* What a client names is a path behind the base URL and nothing else: "http://host" with
 * "@elsewhere/" at its end would ask elsewhere, with our key. */
static bool set_target(struct transfer *transfer, const char *target)
{
    static const char prefix[] = "/v1";
    size_t length = sizeof prefix - 1;
    if (strncmp(target, prefix, length) == 0 &&
        (target[length] == '/' || target[length] == '?' || target[length] == '\0'))
        target += length;
    const char *between = target[0] == '/' || target[0] == '?' || target[0] == '\0' ? "" : "/";
    return asprintf(&transfer->url, "%s%s%s", transfer->upstream->base_url, between, target) >= 0;
}

static void set_options(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->request_headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)UPSTREAM_CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* Bytes go on as they came. */
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
}

static void *start(void *owner, const struct backend_request *request,
                   const struct backend_sink *sink)
{
    struct upstream *upstream = owner;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return NULL;
    transfer->upstream = upstream;
    transfer->sink = *sink;
    transfer->silence = (struct deadline){.fire = was_silent, .owner = transfer};
    transfer->easy = curl_easy_init();
    if (transfer->easy != NULL && set_target(transfer, request->target) &&
        add_headers(transfer, request) && set_body(transfer, request)) {
        set_options(transfer);
        listen_again(transfer);
        if (curl_multi_add_handle(upstream->curl.multi, transfer->easy) == CURLM_OK)
            return transfer;
    }
    free_transfer(transfer);
    return NULL;
}

static void resume(void *owner, void *which)
{
    struct transfer *transfer = which;
    (void)owner;
    transfer->is_paused = false;
    listen_again(transfer);
    curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
}

static void cancel(void *owner, void *transfer)
{
    (void)owner;
    free_transfer(transfer);
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool check_url(const char *url, struct error *error)
{
    CURLU *parts = curl_url();
    char *user = NULL;
    bool is_good = parts != NULL &&
                   (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0) &&
                   curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK;
    bool has_user = is_good && curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK;
    curl_free(user);
    curl_url_cleanup(parts);
    if (has_user)
        return error_set(error, "--upstream", "wanted a URL without user and password in it");
    return is_good ||
           error_set(error, "--upstream",
                     "found \"%s\", wanted a base URL such as http://127.0.0.1:8000/v1", url);
}

struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options,
                              struct error *error)
{
    if (!check_url(options->base_url, error))
        return NULL;
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL) {
        error_set_run(error, "--upstream", "out of memory");
        return NULL;
    }
    upstream->loop = loop;
    upstream->backend = (struct backend){upstream, start, resume, cancel};
    upstream->wants_plain = options->wants_plain;
    upstream->silence_ns =
        options->silence_ns != 0 ? options->silence_ns : UPSTREAM_SILENCE_SECONDS * NS_PER_S;
    upstream->curl.ended = ended;
    upstream->base_url = strdup(options->base_url);
    bool is_made =
        upstream->base_url != NULL &&
        (options->api_key == NULL ||
         asprintf(&upstream->authorization, "Authorization: Bearer %s", options->api_key) >= 0) &&
        curl_loop_init(&upstream->curl, loop, error);
    if (!is_made) {
        upstream_free(upstream);
        error_set_run(error, "--upstream", "out of memory");
        return NULL;
    }
    size_t length = strlen(upstream->base_url);
    while (length > 0 && upstream->base_url[length - 1] == '/')
        upstream->base_url[--length] = '\0';
    return upstream;
}

void upstream_free(struct upstream *upstream)
{
    if (upstream == NULL)
        return;
    curl_loop_free(&upstream->curl);
    if (upstream->authorization != NULL)
        explicit_bzero(upstream->authorization, strlen(upstream->authorization));
    free(upstream->authorization);
    free(upstream->base_url);
    free(upstream);
}

const struct backend *upstream_backend(const struct upstream *upstream)
{
    return &upstream->backend;
}
