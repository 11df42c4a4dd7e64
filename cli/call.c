#include "cli/cli.h"

#include "base/duration.h"
#include "base/json.h"
#include "client/client.h"
#include "client/error_line.h"
#include "client/policy_json.h"
#include "clock/machine_timer.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 100000 };

static const char help[] =
    "Usage: toomany call [OPTIONS] MESSAGE\n"
    "\n"
    "Asks a model with our own client and a retry policy. The answer goes to stdout,\n"
    "each wait and the final error to stderr.\n"
    "\n"
    "  --policy KIND           none, fixed or exponential (default)\n"
    "  --max-attempts N        attempts of a call, the first one counted; default 3\n"
    "  --base 1s               first delay; with --policy fixed, all delays\n"
    "  --factor 2              growth of an exponential delay\n"
    "  --cap 60s               longest exponential delay\n"
    "  --jitter KIND           none (default), full, equal or decorrelated\n"
    "  --ignore-retry-after    keeps to the policy whatever the server asks\n"
    "  --retry-after-cap 120s  gives up when asked to wait longer\n"
    "  --total DURATION        gives up when the next attempt would come later\n"
    "  --count N               makes N calls at once; default 1\n"
    "  --concurrency N         at most N of them at a time; default all\n"
    "  --model M               default: OPENAI_FINE_TUNED_MODEL, else gpt-4o-mini\n"
    "  --base-url URL          default: OPENAI_BASE_URL, else the real API\n"
    "  --api-key KEY           others on the machine can read it here; the variable\n"
    "                          OPENAI_API_KEY is safer\n"
    "  --seed N                of the jitter, to repeat a run; default: any\n"
    "  --help\n"
    "\n"
    "Exit status: 0 answered, 1 not answered, 2 wrong usage, 3 it could not be\n"
    "carried out.\n"
    "\n"
    "Example:\n"
    "  export OPENAI_BASE_URL=http://127.0.0.1:8429/v1 OPENAI_API_KEY=any\n"
    "  toomany call --max-attempts 5 --base 500ms --jitter full \"Hello\"\n";

struct call_command {
    cJSON *policy; /* the options of the policy, read as a scenario's are */
    const char *model;
    const char *message;
    struct client_options client;
    int64_t count;
    int64_t in_flight_max;
    int64_t failed;
};

/* Options that are members of a policy, and how their text stands in JSON. */
static const struct {
    const char *option;
    const char *key;
    bool is_number;
} policy_options[] = {
    {"policy", "kind", false},
    {"max-attempts", "max_attempts", true},
    {"base", "base", false},
    {"factor", "factor", true},
    {"cap", "cap", false},
    {"jitter", "jitter", false},
    {"retry-after-cap", "retry_after_cap", false},
    {"total", "total", false},
};

enum { POLICY_OPTION_COUNT = sizeof policy_options / sizeof policy_options[0] };

static bool set_policy_option(struct call_command *call, int index, const char *text)
{
    const char *key = policy_options[index].key;
    cJSON *item = cJSON_CreateString(text);
    if (policy_options[index].is_number) {
        char *end = NULL;
        double number = strtod(text, &end);
        /* What is no number stays a string, and is refused with its text by the reader. */
        if (end != text && *end == '\0' && isfinite(number)) {
            cJSON_Delete(item);
            item = cJSON_CreateNumber(number);
        }
    }
    cJSON_DeleteItemFromObjectCaseSensitive(call->policy, key);
    return cJSON_AddItemToObject(call->policy, key, item);
}

/* The readers speak of "options: /max_attempts"; who typed --max-attempts knows that name. */
static void name_option(struct error *error)
{
    const char *key = strrchr(error->place, '/');
    for (size_t i = 0; key != NULL && i < POLICY_OPTION_COUNT; i++) {
        if (strcmp(key + 1, policy_options[i].key) == 0) {
            snprintf(error->place, sizeof error->place, "--%s", policy_options[i].option);
            return;
        }
    }
    if (key != NULL && strcmp(key, "/honour_retry_after") == 0)
        snprintf(error->place, sizeof error->place, "--ignore-retry-after");
    if (strcmp(error->place, "base_url") == 0)
        snprintf(error->place, sizeof error->place, "--base-url or OPENAI_BASE_URL");
    if (strcmp(error->place, "api_key") == 0)
        snprintf(error->place, sizeof error->place, "OPENAI_API_KEY or --api-key");
}

static bool read_policy(struct call_command *call, struct error *error)
{
    struct json_reader reader = {.file = "options", .error = error};
    if (!cJSON_HasObjectItem(call->policy, "kind"))
        cJSON_AddStringToObject(call->policy, "kind", "exponential");
    return retry_policy_from_json(&call->client.strategy.policy, &reader, call->policy, "");
}

static void tell_wait(void *owner, const struct client_wait *wait)
{
    const struct call_command *call = owner;
    char delay[DURATION_TEXT_SIZE];
    if (call->count > 1)
        fprintf(stderr, "call %llu, ", (unsigned long long)wait->call);
    fprintf(stderr, "attempt %d: ", wait->attempt);
    if (wait->status != 0)
        fprintf(stderr, "%d%s%s", wait->status, wait->error_code != NULL ? " " : "",
                wait->error_code != NULL ? wait->error_code : "");
    else
        fputs(wait->transport_error, stderr);
    fprintf(stderr, "; waiting %s (%s)\n", duration_text(wait->wait_ns, delay), wait->reason);
}

static void call_done(void *owner, const struct client_outcome *outcome)
{
    struct call_command *call = owner;
    if (outcome->succeeded) {
        puts(outcome->content);
        return;
    }
    call->failed++;
    if (call->count > 1)
        fprintf(stderr, "call %llu, ", (unsigned long long)outcome->call);
    fprintf(stderr, "attempt %d: %s\n", outcome->attempts, outcome->reason);
    error_line_write(stderr, outcome->status, outcome->body,
                     outcome->transport_error != NULL ? outcome->transport_error
                                                      : outcome->error_message);
}

static bool make_calls(struct call_command *call, struct error *error)
{
    struct loop loop;
    if (!loop_init(&loop, CLOCK_REAL, error))
        return false;
    struct client *client = client_new(&loop, &call->client, error);
    bool is_made = client != NULL;
    struct client_request request = {.model = call->model, .message = call->message};
    for (int64_t i = 0; i < call->count && is_made; i++)
        is_made = client_call(client, &request, call_done, call, error);
    while (is_made && client_calls_open(client) > 0)
        loop_turn(&loop, -1);
    client_free(client);
    loop_free(&loop);
    if (is_made && (fflush(stdout) != 0 || ferror(stdout)))
        return error_set_run(error, "stdout", "the answer could not be written: %s",
                             strerror(errno));
    return is_made;
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static int read_options(struct call_command *call, int argc, char **argv)
{
    enum { IGNORE_RETRY_AFTER = 1000, COUNT, CONCURRENCY, MODEL, BASE_URL, API_KEY, SEED, HELP };
    struct option options[POLICY_OPTION_COUNT + 9] = {
        {"ignore-retry-after", no_argument, NULL, IGNORE_RETRY_AFTER},
        {"count", required_argument, NULL, COUNT},
        {"concurrency", required_argument, NULL, CONCURRENCY},
        {"model", required_argument, NULL, MODEL},
        {"base-url", required_argument, NULL, BASE_URL},
        {"api-key", required_argument, NULL, API_KEY},
        {"seed", required_argument, NULL, SEED},
        {"help", no_argument, NULL, HELP},
    };
    for (int i = 0; i < POLICY_OPTION_COUNT; i++)
        options[8 + i] = (struct option){policy_options[i].option, required_argument, NULL, i};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option < POLICY_OPTION_COUNT && !set_policy_option(call, option, optarg))
            return CLI_COULD_NOT_RUN;
        if (option == IGNORE_RETRY_AFTER && call->policy != NULL &&
            !cJSON_HasObjectItem(call->policy, "honour_retry_after"))
            cJSON_AddFalseToObject(call->policy, "honour_retry_after");
        if (option == COUNT &&
            !cli_read_whole("call", "--count", optarg, 1, CALLS_MAX, &call->count))
            return CLI_USAGE;
        if (option == CONCURRENCY &&
            !cli_read_whole("call", "--concurrency", optarg, 1, CALLS_MAX, &call->in_flight_max))
            return CLI_USAGE;
        if (option == MODEL)
            call->model = optarg;
        if (option == BASE_URL)
            call->client.base_url = optarg;
        if (option == API_KEY)
            call->client.api_key = optarg;
        if (option == SEED && !cli_read_seed("call", optarg, &call->client.seed))
            return CLI_USAGE;
        if (option == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?')
            return cli_misused("call");
    }
    if (optind + 1 != argc) {
        fprintf(stderr, optind == argc ? "toomany call: a message is missing\n"
                                       : "toomany call: one message at a time; quote it\n");
        return cli_misused("call");
    }
    call->message = argv[optind];
    return CLI_DONE;
}

int cli_call(int argc, char **argv)
{
    struct call_command call = {
        .policy = cJSON_CreateObject(),
        .model = environment("OPENAI_FINE_TUNED_MODEL", "gpt-4o-mini"),
        .client =
            {
                .base_url = environment("OPENAI_BASE_URL", NULL),
                .api_key = environment("OPENAI_API_KEY", NULL),
                .seed = machine_entropy(),
                .key_seed = machine_entropy(),
                .on_wait = tell_wait,
                .on_wait_owner = &call,
            },
        .count = 1,
    };
    struct error error = {0};
    int status = read_options(&call, argc, argv);
    call.client.strategy.gate =
        (struct gate_settings){.in_flight_max = (int)call.in_flight_max, .holds_for_call = true};
    if (status == CLI_DONE && (!read_policy(&call, &error) || !make_calls(&call, &error))) {
        name_option(&error);
        status = cli_fail("call", &error);
    }
    cJSON_Delete(call.policy);
    if (status < 0)
        return CLI_DONE;
    return status == CLI_DONE && call.failed > 0 ? CLI_NOT_HELD : status;
}
