#include "harness/builtin.h"

#include "client/client.h"
#include "client/error_line.h"
#include "harness/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct builtin {
    const struct builtin_options *options;
    struct loop *loop;
    struct client *client;
    FILE *output;
    FILE *errors;
    struct deadline timeout;
    bool any_failed;
    bool timed_out;
    bool output_exceeded;
    bool stopped;
};

static void on_timeout(void *owner, int64_t now_ns)
{
    struct builtin *builtin = owner;
    (void)now_ns;
    builtin->timed_out = true;
    client_cancel_all(builtin->client);
}

static uint64_t written_bytes(const struct builtin *builtin)
{
    return (uint64_t)ftell(builtin->output) + (uint64_t)ftell(builtin->errors);
}

static void on_done(void *owner, const struct client_outcome *outcome)
{
    struct builtin *builtin = owner;
    if (outcome->succeeded) {
        fprintf(builtin->output, "%s\n", outcome->content);
    } else {
        builtin->any_failed = true;
        error_line_write(builtin->errors, outcome->status, outcome->body, outcome->transport_error);
    }
    const struct scenario_client *client = &builtin->options->scenario->client;
    if (written_bytes(builtin) > (uint64_t)client->output_bytes_max) {
        builtin->output_exceeded = true;
        client_cancel_all(builtin->client);
    }
}

static bool make_calls(struct builtin *builtin, struct error *error)
{
    const struct scenario_client *client = &builtin->options->scenario->client;
    const char *model = environment_get(builtin->options->environment, "OPENAI_FINE_TUNED_MODEL");
    for (int64_t i = 1; i <= client->builtin.calls; i++) {
        char message[64];
        char marker[32];
        snprintf(message, sizeof message,
                 client->builtin.equal_messages ? "Say hello." : "Say hello to number %lld.",
                 (long long)i);
        snprintf(marker, sizeof marker, "call-%lld", (long long)i);
        struct client_request request = {
            .model = model,
            .message = message,
            .marker_header_name = client->marker_header,
            .marker_header_value = marker,
        };
        if (!client_call(builtin->client, &request, on_done, builtin, error))
            return false;
    }
    return true;
}

/* Turns the loop until all calls have ended, by themselves or because they were cut off. */
static bool play(struct builtin *builtin, struct error *error)
{
    const struct builtin_options *options = builtin->options;
    if (!make_calls(builtin, error))
        return false;
    while (client_calls_open(builtin->client) > 0) {
        builtin->stopped = options->stopping != NULL && atomic_load(options->stopping);
        if (builtin->stopped)
            client_cancel_all(builtin->client);
        else
            loop_turn(builtin->loop, -1);
    }
    return true;
}

static void fill_run(const struct builtin *builtin, struct client_run *run)
{
    run->timed_out = builtin->timed_out;
    run->output_exceeded = builtin->output_exceeded;
    bool cut_off = builtin->timed_out || builtin->output_exceeded || builtin->stopped;
    run->exit_code = builtin->any_failed || cut_off ? 1 : 0;
    run->ended_ns = loop_now(builtin->loop);
    run->output_bytes = run->output_length + run->errors_length;
}

static bool run_with_streams(struct builtin *builtin, struct error *error)
{
    const struct builtin_options *options = builtin->options;
    struct client_options client = {
        .base_url = environment_get(options->environment, "OPENAI_BASE_URL"),
        .api_key = environment_get(options->environment, "OPENAI_API_KEY"),
        .strategy = {.policy = options->scenario->client.builtin.policy,
                     .gate = {.in_flight_max = (int)options->scenario->client.builtin.in_flight_max,
                              .holds_for_call = true}},
        .seed = options->seed,
    };
    builtin->client = client_new(builtin->loop, &client, error);
    if (builtin->client == NULL)
        return false;
    builtin->timeout = (struct deadline){.fire = on_timeout, .owner = builtin};
    loop_after(builtin->loop, &builtin->timeout, options->scenario->client.timeout_ns);
    bool played = play(builtin, error);
    loop_cancel(builtin->loop, &builtin->timeout);
    client_free(builtin->client);
    return played;
}

bool builtin_run(struct loop *loop, const struct builtin_options *options, struct client_run *run,
                 struct error *error)
{
    struct builtin builtin = {.options = options, .loop = loop};
    *run = (struct client_run){.started_ns = loop_now(loop)};
    builtin.output = open_memstream(&run->output, &run->output_length);
    builtin.errors = open_memstream(&run->errors, &run->errors_length);
    bool done = builtin.output != NULL && builtin.errors != NULL
                    ? run_with_streams(&builtin, error)
                    : error_set_run(error, options->scenario->file, "out of memory");
    if (builtin.output != NULL)
        fclose(builtin.output);
    if (builtin.errors != NULL)
        fclose(builtin.errors);
    if (done) {
        fill_run(&builtin, run);
        return true;
    }
    free(run->output);
    free(run->errors);
    *run = (struct client_run){0};
    return false;
}
