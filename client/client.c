#include "client/client.h"

#include "base/duration.h"
#include "base/json.h"
#include "client/curl_loop.h"
#include "client/retry_after.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ATTEMPT_TIMEOUT_NS_DEFAULT (600 * NS_PER_S)

enum {
    HEADER_VALUE_SIZE = 128,  /* a longer Retry-After or x-request-id says nothing that we read */
    API_KEY_BYTES_MAX = 4096, /* project keys have under 200 */
    IDEMPOTENCY_HEADER_SIZE = 64,
};

enum call_phase {
    CALL_QUEUED,  /* at the gate */
    CALL_SENDING, /* an attempt is with libcurl, the clock is held */
    CALL_WAITING, /* for its next attempt */
};

/* What the x-ratelimit headers of one dimension say. */
struct remaining_headers {
    char limit[HEADER_VALUE_SIZE];
    char remaining[HEADER_VALUE_SIZE];
    char reset[HEADER_VALUE_SIZE];
};

/* The headers of an answer that matter for retrying and for the gate. */
struct answer_headers {
    char retry_after_ms[HEADER_VALUE_SIZE]; /* "" where it had none */
    char retry_after[HEADER_VALUE_SIZE];
    char should_retry[HEADER_VALUE_SIZE];
    char request_id[HEADER_VALUE_SIZE];
    struct remaining_headers requests; /* read for gates that want them */
    struct remaining_headers tokens;
};

struct client_call {
    struct client *client;
    struct client_call *previous; /* of all open calls, in the order in which they were made */
    struct client_call *next;
    struct client_call *next_in_line; /* at the gate */
    uint64_t number;
    enum call_phase phase;
    void (*on_done)(void *owner, const struct client_outcome *outcome);
    void *owner;

    char *request_body;
    char *marker_header;                              /* "Name: value", or NULL */
    char idempotency_header[IDEMPOTENCY_HEADER_SIZE]; /* the same in all attempts */

    struct strategy_state state;
    struct random random;
    int64_t tokens;
    int64_t wait_total_ns;
    bool is_inside; /* holds a place in the gate */
    struct gate_ticket ticket;
    struct deadline next_attempt;
    struct deadline attempt_timeout;

    /* Of the attempt under way. */
    CURL *easy;
    struct curl_slist *request_headers;
    int requests_sent;
    bool headers_ended;
    bool body_too_large;
    struct answer_headers headers;
    char *body;
    size_t body_bytes;
    size_t body_capacity;
    char curl_error[CURL_ERROR_SIZE];
};

/* libcurl's handles are made once and used again; the connections belong to the multi handle. */
struct idle_handle {
    struct idle_handle *next;
    CURL *easy;
};

/* First come, first served. */
struct line {
    struct client_call *first;
    struct client_call *last;
};

struct client {
    struct loop *loop;
    struct client_options options;
    char *url;
    char *authorization; /* header line with the key: never to be shown */
    char *user_agent;
    bool is_loopback;
    struct curl_loop curl;
    struct idle_handle *idle;
    struct gate gate;
    bool has_gate;
    struct deadline gate_due; /* when the head of the line may ask again */
    struct line line;         /* at the gate */
    struct line retries;      /* before it, where the gate lets retries go first */
    struct client_call *first;
    struct client_call *last;
    size_t open_count;
    uint64_t calls_made;
    struct random keys; /* a stream of its own: keys and jitter do not shift each other */
};

static const char closed_too_early[] = "the connection was closed before the answer was complete";

static void start_attempt(struct client_call *call);
static void move_line(struct client *client);
static void end_attempt(struct client_call *call, const char *transport_error);

/* --- how an attempt ended ----------------------------------------------------------------------
 */

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

static void transfer_ended(void *owner, CURL *easy, CURLcode result)
{
    char *private_data = NULL;
    (void)owner;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private_data);
    struct client_call *call = (struct client_call *)(void *)private_data;
    /* libcurl takes headers that break off for an answer without a body. */
    if (result == CURLE_OK && !call->headers_ended)
        result = CURLE_GOT_NOTHING;
    end_attempt(call, result == CURLE_OK ? NULL : transport_error_of(call, result));
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

static bool prepare(struct client_call *call)
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

/* Takes the transfer from libcurl, if there is one. One that is not complete is cut off. */
static void put_down(struct client_call *call)
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

/* --- a call ----------------------------------------------------------------------------------- */

static void link_call(struct client *client, struct client_call *call)
{
    call->previous = client->last;
    if (client->last != NULL)
        client->last->next = call;
    else
        client->first = call;
    client->last = call;
    client->open_count++;
}

static void unlink_call(struct client *client, struct client_call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        client->first = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    else
        client->last = call->previous;
    call->previous = NULL;
    call->next = NULL;
    client->open_count--;
}

static void free_call(struct client_call *call)
{
    free(call->request_body);
    free(call->marker_header);
    free(call->body);
    free(call);
}

static void tell_event(const struct client_call *call, const struct client_event *what)
{
    const struct client *client = call->client;
    if (client->options.on_event == NULL)
        return;
    struct client_event event = *what;
    event.call = call->number;
    event.owner = call->owner;
    client->options.on_event(client->options.on_event_owner, &event);
}

static void tell_waiting(const struct client_call *call)
{
    const struct client_event event = {.kind = CLIENT_CALL_WAITS,
                                       .at_ns = loop_now(call->client->loop),
                                       .attempt = call->state.attempts + 1,
                                       .retry_after_ns = -1};
    tell_event(call, &event);
}

/* --- the gate --------------------------------------------------------------------------------- */

static void enqueue(struct line *line, struct client_call *call)
{
    call->phase = CALL_QUEUED;
    call->next_in_line = NULL;
    if (line->first == NULL)
        line->first = call;
    else
        line->last->next_in_line = call;
    line->last = call;
}

static void approach_gate(struct client_call *call)
{
    struct client *client = call->client;
    bool goes_first = client->gate.settings.retries_first && call->state.attempts > 0;
    enqueue(goes_first ? &client->retries : &client->line, call);
}

static bool ask_gate(struct client *client, struct client_call *call)
{
    int64_t now_ns = loop_now(client->loop);
    const struct gate_answer answer = gate_ask(&client->gate, now_ns, call->tokens);
    if (answer.verdict == GATE_WAIT)
        loop_at(client->loop, &client->gate_due, answer.until_ns);
    if (answer.verdict != GATE_GO)
        return false;
    call->is_inside = true;
    call->ticket = answer.ticket;
    /* What the gate made it wait is not the policy's time. */
    if (call->state.attempts == 0)
        call->state.inner.started_ns = now_ns;
    return true;
}

/* Lets go whom the gate lets go. An attempt starts by a deadline that is due now, so that nothing
 * ends, and calls back, from within client_call. */
static void move_line(struct client *client)
{
    for (;;) {
        struct line *line = client->retries.first != NULL ? &client->retries : &client->line;
        struct client_call *call = line->first;
        if (call == NULL || !ask_gate(client, call))
            return;
        line->first = call->next_in_line;
        call->phase = CALL_WAITING;
        loop_after(client->loop, &call->next_attempt, 0);
    }
}

static void gate_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    move_line(owner);
}

static void leave_gate(struct client_call *call)
{
    if (!call->is_inside)
        return;
    call->is_inside = false;
    gate_leave(&call->client->gate);
}

static bool read_count(const char *text, int64_t *count)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *count = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static struct gate_remaining read_remaining(const struct remaining_headers *headers)
{
    struct gate_remaining told = {0};
    told.is_told = read_count(headers->limit, &told.limit) &&
                   read_count(headers->remaining, &told.remaining) &&
                   duration_parse(headers->reset, &told.reset_ns);
    return told;
}

static void tell_gate(struct client_call *call, int status, int64_t now_ns)
{
    struct client *client = call->client;
    if (!client->has_gate)
        return;
    struct gate_news news = {.status = status, .ticket = call->ticket};
    if (status != 0 && client->gate.settings.kind == GATE_HEADERS) {
        news.requests = read_remaining(&call->headers.requests);
        news.tokens = read_remaining(&call->headers.tokens);
    }
    gate_told(&client->gate, &news, now_ns);
    if (!client->gate.settings.holds_for_call)
        leave_gate(call);
}

static void next_attempt_due(void *owner, int64_t now_ns)
{
    struct client_call *call = owner;
    (void)now_ns;
    if (!call->client->has_gate || call->is_inside) {
        start_attempt(call);
        return;
    }
    approach_gate(call);
    move_line(call->client);
}

static void attempt_timed_out(void *owner, int64_t now_ns)
{
    struct client_call *call = owner;
    char after[DURATION_TEXT_SIZE];
    char text[80];
    (void)now_ns;
    snprintf(text, sizeof text, "no whole answer within %s",
             duration_text(call->client->options.attempt_timeout_ns, after));
    end_attempt(call, text);
}

static void start_attempt(struct client_call *call)
{
    struct client *client = call->client;
    call->phase = CALL_SENDING;
    loop_hold(client->loop);
    const struct client_event event = {.kind = CLIENT_ATTEMPT_SENT,
                                       .at_ns = loop_now(client->loop),
                                       .attempt = call->state.attempts + 1,
                                       .retry_after_ns = -1};
    tell_event(call, &event);
    if (!prepare(call)) {
        end_attempt(call, "out of memory");
        return;
    }
    if (curl_multi_add_handle(client->curl.multi, call->easy) != CURLM_OK) {
        end_attempt(call, "libcurl does not take the request");
        return;
    }
    loop_after(client->loop, &call->attempt_timeout, client->options.attempt_timeout_ns);
}

static const char *json_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* {"error": {...}}, and {"error": "slow down"} as OpenAI once wrote it. */
static void read_error(struct client_outcome *outcome, const cJSON *json)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
    outcome->error_message =
        cJSON_IsString(error) ? error->valuestring : json_text(error, "message");
    outcome->error_type = json_text(error, "type");
    outcome->error_code = json_text(error, "code");
    outcome->error_param = json_text(error, "param");
}

/* choices[0].message.content; a refusal, or tool calls without a text, are answers as well. */
static const char *read_content(const cJSON *json)
{
    const cJSON *choices = cJSON_GetObjectItemCaseSensitive(json, "choices");
    const cJSON *choice = cJSON_IsArray(choices) ? cJSON_GetArrayItem(choices, 0) : NULL;
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(choice, "message");
    if (!cJSON_IsObject(message))
        return NULL;
    const char *content = json_text(message, "content");
    if (content == NULL)
        content = json_text(message, "refusal");
    return content != NULL ? content : "";
}

static void read_answer(struct client_outcome *outcome, const struct client_call *call,
                        const cJSON *json)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    outcome->status = (int)status;
    outcome->body = call->body_bytes > 0 ? call->body : "";
    outcome->body_bytes = call->body_bytes;
    if (call->headers.request_id[0] != '\0')
        outcome->request_id = call->headers.request_id;
    read_error(outcome, json);
    if (status < 200 || status > 299)
        return;
    outcome->content = read_content(json);
    outcome->succeeded = outcome->content != NULL;
    if (!outcome->succeeded && outcome->error_message == NULL)
        outcome->error_message = "the answer is not a chat completion";
}

static struct retry_outcome retry_outcome_of(const struct client_call *call,
                                             const struct client_outcome *outcome, int64_t now_ns)
{
    const struct answer_headers *headers = &call->headers;
    struct retry_outcome failed = {
        .status = outcome->status,
        .error_type = outcome->error_type,
        .error_code = outcome->error_code,
    };
    if (outcome->status == 0)
        return failed; /* the headers of an answer that was cut off bind nobody */
    if (strcmp(headers->should_retry, "true") == 0)
        failed.wish = RETRY_WISH_YES;
    if (strcmp(headers->should_retry, "false") == 0)
        failed.wish = RETRY_WISH_NO;
    failed.has_retry_after =
        retry_after_read(headers->retry_after_ms, headers->retry_after,
                         clock_wall_s(&call->client->loop->clock, now_ns), &failed.retry_after_ns);
    return failed;
}

static void wait_and_retry(struct client_call *call, const struct client_outcome *outcome,
                           const struct retry_decision *decision, int64_t now_ns)
{
    struct client *client = call->client;
    call->phase = CALL_WAITING;
    call->wait_total_ns += decision->wait_ns;
    loop_at(client->loop, &call->next_attempt, now_ns + decision->wait_ns);
    loop_release(client->loop);
    tell_waiting(call);
    if (client->options.on_wait == NULL)
        return;
    const struct client_wait wait = {
        .call = call->number,
        .attempt = call->state.attempts,
        .status = outcome->status,
        .error_code = outcome->error_code,
        .transport_error = outcome->transport_error,
        .wait_ns = decision->wait_ns,
        .reason = decision->reason,
    };
    client->options.on_wait(client->options.on_wait_owner, &wait);
}

static void finish(struct client_call *call, struct client_outcome *outcome)
{
    struct client *client = call->client;
    outcome->call = call->number;
    outcome->attempts = call->state.attempts;
    outcome->wait_ns = call->wait_total_ns;
    unlink_call(client, call);
    leave_gate(call);
    loop_release(client->loop);
    call->on_done(call->owner, outcome);
}

static struct random *jitter_of(struct client_call *call)
{
    struct random *shared = call->client->options.jitter;
    return shared != NULL ? shared : &call->random;
}

static void tell_ended(const struct client_call *call, const struct retry_outcome *outcome,
                       int64_t now_ns)
{
    const struct client_event event = {
        .kind = CLIENT_ATTEMPT_ENDED,
        .at_ns = now_ns,
        .attempt = call->state.attempts + 1,
        .status = outcome->status,
        .retry_after_ns = outcome->has_retry_after ? outcome->retry_after_ns : -1,
    };
    tell_event(call, &event);
}

static void end_attempt(struct client_call *call, const char *transport_error)
{
    struct client *client = call->client;
    int64_t now_ns = loop_now(client->loop);
    struct client_outcome outcome = {.transport_error = transport_error};
    assert(call->phase == CALL_SENDING);
    loop_cancel(client->loop, &call->attempt_timeout);
    cJSON *json = NULL;
    if (transport_error == NULL) {
        json = call->body_bytes > 0 ? cJSON_ParseWithLength(call->body, call->body_bytes) : NULL;
        read_answer(&outcome, call, json);
    }
    /* The text of the error may be libcurl's own, in the call. */
    put_down(call);
    struct retry_decision decision = {.retry = false};
    struct retry_outcome came_back = retry_outcome_of(call, &outcome, now_ns);
    tell_ended(call, &came_back, now_ns);
    tell_gate(call, outcome.status, now_ns);
    if (outcome.succeeded) {
        call->state.attempts++;
    } else {
        decision = strategy_decide(&client->options.strategy, &call->state, &came_back,
                                   jitter_of(call), now_ns);
        outcome.reason = decision.reason;
    }
    if (decision.retry) {
        wait_and_retry(call, &outcome, &decision, now_ns);
    } else {
        finish(call, &outcome);
        free_call(call);
    }
    cJSON_Delete(json);
    move_line(client);
}

/* --- the public functions --------------------------------------------------------------------- */

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

static bool is_loopback_host(const char *host)
{
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

/* Takes `url` apart, so that what is not an address is refused before anything is sent. */
static bool check_base_url(CURLU *url, const char *text, char *host_name, bool *is_loopback,
                           struct error *error)
{
    char *scheme = NULL;
    char *host = NULL;
    char *query = NULL;
    char *fragment = NULL;
    bool is_url = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0' &&
                  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    bool has_rest = is_url && (curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK ||
                               curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK);
    is_url = is_url && strlen(host) < CLIENT_HOST_SIZE;
    if (is_url) {
        *is_loopback = is_loopback_host(host);
        memcpy(host_name, host, strlen(host) + 1);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(query);
    curl_free(fragment);
    if (!is_url || has_rest)
        return error_set(error, "base_url",
                         "found \"%s\", wanted an http or https address such as %s", text,
                         CLIENT_BASE_URL_DEFAULT);
    return true;
}

bool client_host_of(const char *base_url, char host[CLIENT_HOST_SIZE], bool *is_loopback,
                    struct error *error)
{
    if (strstr(base_url, "://") == NULL)
        return error_set(error, "base_url",
                         "found \"%s\", wanted an address that begins with http:// or https://",
                         base_url);
    CURLU *url = curl_url();
    if (url == NULL)
        return error_set_run(error, "", "out of memory");
    bool is_right = check_base_url(url, base_url, host, is_loopback, error);
    curl_url_cleanup(url);
    return is_right;
}

static char *join(const char *left, size_t left_length, const char *right)
{
    size_t size = left_length + strlen(right) + 1;
    char *text = malloc(size);
    if (text != NULL)
        snprintf(text, size, "%.*s%s", (int)left_length, left, right);
    return text;
}

static bool read_base_url(struct client *client, struct error *error)
{
    const char *text = client->options.base_url;
    if (text == NULL)
        text = CLIENT_BASE_URL_DEFAULT;
    char host[CLIENT_HOST_SIZE];
    if (!client_host_of(text, host, &client->is_loopback, error))
        return false;
    size_t length = strlen(text);
    while (text[length - 1] == '/')
        length--;
    client->url = join(text, length, "/chat/completions");
    return client->url != NULL || error_set_run(error, "", "out of memory");
}

static bool read_names(struct client *client, struct error *error)
{
    const char *key = client->options.api_key;
    const char *agent = client->options.user_agent;
    if (key == NULL || key[0] == '\0')
        return error_set(error, "api_key", "there is none; `toomany serve` takes any text");
    if (has_control(key) || strlen(key) > API_KEY_BYTES_MAX)
        return error_set(error, "api_key",
                         "it has a line break or another control character in it, or is longer "
                         "than %d bytes",
                         API_KEY_BYTES_MAX);
    if (agent == NULL)
        agent = "toomany/" TOOMANY_VERSION;
    if (has_control(agent))
        return error_set(error, "user_agent", "it has a control character in it");
    client->authorization = join("Authorization: Bearer ", 22, key);
    client->user_agent = join("User-Agent: ", 12, agent);
    if (client->authorization == NULL || client->user_agent == NULL)
        return error_set_run(error, "", "out of memory");
    return true;
}

static bool start_curl(struct client *client, struct error *error)
{
    client->curl.ended = transfer_ended;
    client->curl.owner = client;
    if (!curl_loop_init(&client->curl, client->loop, error))
        return false;
    if (client->options.connections_kept > 0)
        curl_multi_setopt(client->curl.multi, CURLMOPT_MAXCONNECTS,
                          (long)client->options.connections_kept);
    return true;
}

struct client *client_new(struct loop *loop, const struct client_options *options,
                          struct error *error)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        error_set_run(error, "", "out of memory");
        return NULL;
    }
    client->loop = loop;
    client->options = *options;
    client->has_gate = !gate_is_open(&options->strategy.gate);
    gate_init(&client->gate, &options->strategy.gate, loop_now(loop));
    client->gate_due = (struct deadline){.fire = gate_due, .owner = client};
    random_seed(&client->keys, options->key_seed, 0);
    if (client->options.attempt_timeout_ns == 0)
        client->options.attempt_timeout_ns = ATTEMPT_TIMEOUT_NS_DEFAULT;
    bool is_made =
        read_base_url(client, error) && read_names(client, error) && start_curl(client, error);
    /* What belongs to the caller may be gone tomorrow. */
    client->options.base_url = NULL;
    client->options.api_key = NULL;
    client->options.user_agent = NULL;
    if (!is_made) {
        client_free(client);
        return NULL;
    }
    return client;
}

static char *make_body(const struct client_request *request)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *messages = NULL;
    cJSON *message = NULL;
    char *text = NULL;
    if (cJSON_AddStringToObject(json, "model", request->model) != NULL &&
        (messages = cJSON_AddArrayToObject(json, "messages")) != NULL &&
        (message = cJSON_CreateObject()) != NULL) {
        cJSON_AddItemToArray(messages, message);
        if (cJSON_AddStringToObject(message, "role", "user") != NULL &&
            cJSON_AddStringToObject(message, "content", request->message) != NULL)
            text = cJSON_PrintUnformatted(json);
    }
    cJSON_Delete(json);
    return text;
}

static bool check_request(const struct client_request *request, struct error *error)
{
    if (request->model == NULL || request->model[0] == '\0')
        return error_set(error, "model", "there is none");
    if (request->message == NULL)
        return error_set(error, "message", "there is none");
    if (!json_is_utf8(request->model, strlen(request->model)))
        return error_set(error, "model", "it is no valid UTF-8");
    if (!json_is_utf8(request->message, strlen(request->message)))
        return error_set(error, "message", "it is no valid UTF-8");
    if (request->marker_header_name == NULL)
        return true;
    if (request->marker_header_name[0] == '\0' || request->marker_header_value == NULL ||
        has_control(request->marker_header_name) || has_control(request->marker_header_value) ||
        strpbrk(request->marker_header_name, ": ") != NULL)
        return error_set(error, "marker_header", "wanted a header's name and its value");
    return true;
}

/* By this key a server knows that two attempts are the same call. */
static void draw_idempotency_key(struct client_call *call)
{
    uint64_t high_bits = random_bits(&call->client->keys);
    uint64_t low_bits = random_bits(&call->client->keys);
    snprintf(call->idempotency_header, sizeof call->idempotency_header,
             "Idempotency-Key: toomany-%016" PRIx64 "%016" PRIx64, high_bits, low_bits);
}

static struct client_call *new_call(struct client *client, const struct client_request *request)
{
    struct client_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->client = client;
    call->request_body = make_body(request);
    if (request->marker_header_name != NULL) {
        size_t size =
            strlen(request->marker_header_name) + strlen(request->marker_header_value) + 3;
        call->marker_header = malloc(size);
        if (call->marker_header != NULL)
            snprintf(call->marker_header, size, "%s: %s", request->marker_header_name,
                     request->marker_header_value);
    }
    if (call->request_body == NULL ||
        (request->marker_header_name != NULL && call->marker_header == NULL)) {
        free_call(call);
        return NULL;
    }
    call->next_attempt = (struct deadline){.fire = next_attempt_due, .owner = call};
    call->attempt_timeout = (struct deadline){.fire = attempt_timed_out, .owner = call};
    return call;
}

bool client_call(struct client *client, const struct client_request *request,
                 void (*on_done)(void *owner, const struct client_outcome *outcome), void *owner,
                 struct error *error)
{
    assert(on_done != NULL);
    if (!check_request(request, error))
        return false;
    struct client_call *call = new_call(client, request);
    if (call == NULL)
        return error_set_run(error, "", "out of memory");
    call->on_done = on_done;
    call->owner = owner;
    call->number = ++client->calls_made;
    call->tokens = request->tokens;
    int64_t now_ns = loop_now(client->loop);
    call->state = (struct strategy_state){.inner.started_ns = now_ns, .started_ns = now_ns};
    random_seed(&call->random, client->options.seed, call->number);
    draw_idempotency_key(call);
    link_call(client, call);
    if (client->has_gate) {
        tell_waiting(call);
        approach_gate(call);
        move_line(client);
    } else {
        call->phase = CALL_WAITING;
        loop_after(client->loop, &call->next_attempt, 0);
    }
    return true;
}

size_t client_calls_open(const struct client *client)
{
    return client->open_count;
}

void client_cancel_all(struct client *client)
{
    client->line = client->retries = (struct line){0};
    loop_cancel(client->loop, &client->gate_due);
    while (client->first != NULL) {
        struct client_call *call = client->first;
        loop_cancel(client->loop, &call->next_attempt);
        loop_cancel(client->loop, &call->attempt_timeout);
        put_down(call);
        if (call->phase == CALL_SENDING)
            loop_release(client->loop);
        leave_gate(call);
        unlink_call(client, call);
        free_call(call);
    }
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    client_cancel_all(client);
    while (client->idle != NULL)
        curl_easy_cleanup(take_handle(client));
    curl_loop_free(&client->curl);
    free(client->authorization);
    free(client->user_agent);
    free(client->url);
    free(client);
}
