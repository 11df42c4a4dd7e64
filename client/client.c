#include "client/client.h"

#include "base/duration.h"
#include "base/json.h"
#include "client/client_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_TIMEOUT_NS_DEFAULT (600 * NS_PER_S)

enum { API_KEY_BYTES_MAX = 4096 }; /* project keys have under 200 */

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
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
    client->gate_due = (struct deadline){.fire = call_gate_due, .owner = client};
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
        call_free(call);
        return NULL;
    }
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
    call_begin(call);
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
    while (client->first != NULL)
        call_cancel(client->first);
}

void client_free(struct client *client)
{
    if (client == NULL)
        return;
    client_cancel_all(client);
    transfer_free_idle(client);
    curl_loop_free(&client->curl);
    free(client->authorization);
    free(client->user_agent);
    free(client->url);
    free(client);
}
