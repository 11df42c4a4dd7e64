/* The library's public face (client/include/toomany/client.h): client.h, made synchronous. */
#include "client/include/toomany/client.h"

#include "base/duration.h"
#include "client/client.h"
#include "client/error_line.h"
#include "client/policy_json.h"
#include "clock/machine_timer.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MS_MAX (DURATION_NS_MAX / NS_PER_MS)

struct toomany_client {
    struct loop loop;
    struct client *client;
    void (*on_wait)(void *owner, const struct toomany_wait *wait);
    void *on_wait_owner;
};

/* libcurl before 7.84 must not be started by two threads at once. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static const char *environment_or(const char *given, const char *name)
{
    if (given != NULL)
        return given;
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool read_ms(const char *name, int64_t ms, int64_t *ns, struct error *error)
{
    if (ms < 0 || ms > MS_MAX)
        return error_set(error, name, "found %lld, wanted 0 (the default) to %lld milliseconds",
                         (long long)ms, (long long)MS_MAX);
    if (ms > 0)
        *ns = ms * NS_PER_MS;
    return true;
}

static bool read_kind(struct retry_policy *policy, const struct toomany_client_options *options,
                      struct error *error)
{
    switch (options->policy) {
    case TOOMANY_POLICY_NONE:
        policy->kind = RETRY_NONE;
        return true;
    case TOOMANY_POLICY_FIXED:
        policy->kind = RETRY_FIXED;
        return true;
    case TOOMANY_POLICY_DEFAULT:
    case TOOMANY_POLICY_EXPONENTIAL:
        policy->kind = RETRY_EXPONENTIAL;
        return true;
    }
    return error_set(error, "policy", "found %d, which is no policy", (int)options->policy);
}

static bool read_jitter(struct retry_policy *policy, const struct toomany_client_options *options,
                        struct error *error)
{
    switch (options->jitter) {
    case TOOMANY_JITTER_NONE:
        policy->jitter = RETRY_JITTER_NONE;
        return true;
    case TOOMANY_JITTER_DEFAULT:
        policy->jitter = policy->kind == RETRY_FIXED ? RETRY_JITTER_NONE : RETRY_JITTER_FULL;
        return true;
    case TOOMANY_JITTER_FULL:
        policy->jitter = RETRY_JITTER_FULL;
        return true;
    case TOOMANY_JITTER_EQUAL:
        policy->jitter = RETRY_JITTER_EQUAL;
        return true;
    case TOOMANY_JITTER_DECORRELATED:
        policy->jitter = RETRY_JITTER_DECORRELATED;
        return policy->kind != RETRY_FIXED ||
               error_set(error, "jitter",
                         "decorrelated jitter grows, which a fixed policy does not");
    }
    return error_set(error, "jitter", "found %d, which is no jitter", (int)options->jitter);
}

static bool read_policy(struct retry_policy *policy, const struct toomany_client_options *options,
                        struct error *error)
{
    *policy = retry_policy_default();
    if (!read_kind(policy, options, error) || !read_jitter(policy, options, error) ||
        !read_ms("base_ms", options->base_ms, &policy->base_ns, error) ||
        !read_ms("cap_ms", options->cap_ms, &policy->cap_ns, error) ||
        !read_ms("retry_after_cap_ms", options->retry_after_cap_ms, &policy->retry_after_cap_ns,
                 error) ||
        !read_ms("total_ms", options->total_ms, &policy->total_ns, error))
        return false;
    if (options->max_attempts < 0 || options->max_attempts > RETRY_ATTEMPTS_MAX)
        return error_set(error, "max_attempts", "found %d, wanted 1 to %d", options->max_attempts,
                         RETRY_ATTEMPTS_MAX);
    if (options->factor != 0 && !(options->factor >= 1 && options->factor <= RETRY_FACTOR_MAX))
        return error_set(error, "factor", "found %g, wanted 1 to %d", options->factor,
                         RETRY_FACTOR_MAX);
    if (options->cap_ms > 0 && policy->cap_ns < policy->base_ns)
        return error_set(error, "cap_ms", "found %lld, wanted base_ms or more",
                         (long long)options->cap_ms);
    if (policy->cap_ns < policy->base_ns)
        policy->cap_ns = policy->base_ns;
    if (options->max_attempts > 0)
        policy->attempts_max = options->max_attempts;
    if (options->factor != 0)
        policy->factor = options->factor;
    policy->honours_retry_after = !options->ignore_retry_after;
    return true;
}

static void tell_wait(void *owner, const struct client_wait *wait)
{
    const struct toomany_client *client = owner;
    const struct toomany_wait told = {
        .attempt = wait->attempt,
        .status = wait->status,
        .error_code = wait->error_code,
        .wait_ms = (wait->wait_ns + NS_PER_MS - 1) / NS_PER_MS,
    };
    client->on_wait(client->on_wait_owner, &told);
}

static bool start(struct toomany_client *client, const struct toomany_client_options *options,
                  struct error *error)
{
    struct client_options inner = {
        .api_key = environment_or(options->api_key, "OPENAI_API_KEY"),
        .base_url = environment_or(options->base_url, "OPENAI_BASE_URL"),
        .strategy.gate = {.in_flight_max = options->max_in_flight, .holds_for_call = true},
        .seed = options->seed != 0 ? options->seed : machine_entropy(),
        .key_seed = machine_entropy(), /* two programs with one seed are still two programs */
        .on_wait = options->on_wait != NULL ? tell_wait : NULL,
        .on_wait_owner = client,
    };
    if (options->max_in_flight < 0)
        return error_set(error, "max_in_flight", "found %d, wanted 0 (all) or more",
                         options->max_in_flight);
    if (!read_policy(&inner.strategy.policy, options, error) ||
        !read_ms("attempt_timeout_ms", options->attempt_timeout_ms, &inner.attempt_timeout_ns,
                 error))
        return false;
    client->on_wait = options->on_wait;
    client->on_wait_owner = options->on_wait_owner;
    if (!loop_init(&client->loop, CLOCK_REAL, error))
        return false;
    client->client = client_new(&client->loop, &inner, error);
    if (client->client == NULL)
        loop_free(&client->loop);
    return client->client != NULL;
}

struct toomany_client *toomany_client_new(const struct toomany_client_options *options, char *error,
                                          size_t error_size)
{
    static const struct toomany_client_options defaults;
    struct error reason = {.message = "out of memory"};
    pthread_once(&curl_once, start_curl_once);
    struct toomany_client *client = calloc(1, sizeof *client);
    if (client != NULL && start(client, options != NULL ? options : &defaults, &reason))
        return client;
    free(client);
    if (error != NULL && error_size > 0)
        error_text(&reason, error, error_size);
    return NULL;
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static void fill_reply(void *owner, const struct client_outcome *outcome)
{
    struct toomany_reply *reply = owner;
    const char *message =
        outcome->transport_error != NULL ? outcome->transport_error : outcome->error_message;
    *reply = (struct toomany_reply){
        .succeeded = outcome->succeeded,
        .content = copy(outcome->content),
        .status = outcome->status,
        .error_type = copy(outcome->error_type),
        .error_code = copy(outcome->error_code),
        .error_message = copy(message),
        .request_id = copy(outcome->request_id),
        .body = copy(outcome->body),
        .attempts = outcome->attempts,
    };
    /* Whoever was promised a content must not find NULL because memory is out. */
    reply->succeeded = outcome->succeeded && reply->content != NULL;
}

/* OpenSSL writes to connections that the server may have closed; the signal for that must not end
 * the program that links us. Blocked for this thread only, and taken back if it came. */
struct pipe_guard {
    sigset_t before;
    bool was_pending;
};

static void read_pipe_signal(sigset_t *pipe_only, bool *is_pending)
{
    sigset_t pending;
    sigemptyset(pipe_only);
    sigaddset(pipe_only, SIGPIPE);
    sigpending(&pending);
    *is_pending = sigismember(&pending, SIGPIPE) == 1;
}

static void guard_pipe(struct pipe_guard *guard)
{
    sigset_t pipe_only;
    read_pipe_signal(&pipe_only, &guard->was_pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->before);
}

static void unguard_pipe(const struct pipe_guard *guard)
{
    sigset_t pipe_only;
    bool is_pending;
    const struct timespec now = {0};
    read_pipe_signal(&pipe_only, &is_pending);
    if (is_pending && !guard->was_pending)
        sigtimedwait(&pipe_only, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

bool toomany_chat_all(struct toomany_client *client, const char *model,
                      const char *const messages[], size_t count, struct toomany_reply replies[])
{
    struct pipe_guard guard;
    guard_pipe(&guard);
    for (size_t i = 0; i < count; i++) {
        struct error error;
        struct client_request request = {.model = model, .message = messages[i]};
        replies[i] = (struct toomany_reply){0};
        if (!client_call(client->client, &request, fill_reply, &replies[i], &error)) {
            char text[sizeof error.place + sizeof error.message];
            replies[i].error_message = copy(error_text(&error, text, sizeof text));
        }
    }
    while (client_calls_open(client->client) > 0)
        loop_turn(&client->loop, -1);
    unguard_pipe(&guard);
    bool all_succeeded = true;
    for (size_t i = 0; i < count; i++)
        all_succeeded = all_succeeded && replies[i].succeeded;
    return all_succeeded;
}

bool toomany_chat(struct toomany_client *client, const char *model, const char *message,
                  struct toomany_reply *reply)
{
    return toomany_chat_all(client, model, &message, 1, reply);
}

void toomany_reply_print_error(const struct toomany_reply *reply, FILE *stream)
{
    if (reply->attempts == 0) /* nothing was sent, so no class of the SDK's fits */
        fprintf(stream, "%s\n", reply->error_message != NULL ? reply->error_message : "no call");
    else
        error_line_write(stream, reply->status, reply->body, reply->error_message);
}

void toomany_reply_free(struct toomany_reply *reply)
{
    free(reply->content);
    free(reply->error_type);
    free(reply->error_code);
    free(reply->error_message);
    free(reply->request_id);
    free(reply->body);
    *reply = (struct toomany_reply){0};
}

void toomany_client_free(struct toomany_client *client)
{
    if (client == NULL)
        return;
    client_free(client->client);
    loop_free(&client->loop);
    free(client);
}
