/* The course of a call: through the gate, attempt by attempt, with the waits between. */
#include "client/client_parts.h"

#include "base/duration.h"
#include "client/retry_after.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start_attempt(struct client_call *call);

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

void call_free(struct client_call *call)
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

void call_gate_due(void *owner, int64_t now_ns)
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
    call_end_attempt(call, text);
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
    if (!transfer_prepare(call)) {
        call_end_attempt(call, "out of memory");
        return;
    }
    if (curl_multi_add_handle(client->curl.multi, call->easy) != CURLM_OK) {
        call_end_attempt(call, "libcurl does not take the request");
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

void call_end_attempt(struct client_call *call, const char *transport_error)
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
    transfer_put_down(call);
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
        call_free(call);
    }
    cJSON_Delete(json);
    move_line(client);
}

void call_begin(struct client_call *call)
{
    struct client *client = call->client;
    call->next_attempt = (struct deadline){.fire = next_attempt_due, .owner = call};
    call->attempt_timeout = (struct deadline){.fire = attempt_timed_out, .owner = call};
    link_call(client, call);
    if (client->has_gate) {
        tell_waiting(call);
        approach_gate(call);
        move_line(client);
    } else {
        call->phase = CALL_WAITING;
        loop_after(client->loop, &call->next_attempt, 0);
    }
}

void call_cancel(struct client_call *call)
{
    struct client *client = call->client;
    loop_cancel(client->loop, &call->next_attempt);
    loop_cancel(client->loop, &call->attempt_timeout);
    transfer_put_down(call);
    if (call->phase == CALL_SENDING)
        loop_release(client->loop);
    leave_gate(call);
    unlink_call(client, call);
    call_free(call);
}
