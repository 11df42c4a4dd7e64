#include "harness/check.h"

#include "base/duration.h"
#include "harness/builtin.h"
#include "harness/environment.h"
#include "harness/judge.h"
#include "harness/process.h"
#include "mockserver/server.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct check {
    const struct check_options *options;
    const struct scenario *scenario;
    struct result *result;
    struct loop loop;
    struct server *server;
    char **environment;
    uint64_t *run_lasts;
    struct process *process; /* the one that runs now, or NULL */
    struct watch stop;
    bool stop_watched;
};

static bool is_builtin(const struct check_options *options)
{
    return options->command == NULL && options->scenario->client.is_builtin;
}

static char *const *command_of(const struct check *check)
{
    return check->options->command != NULL ? check->options->command
                                           : check->scenario->client.command;
}

/* As one would type it: arguments with other than plain characters are quoted. */
static char *command_text(char *const *command)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return NULL;
    for (size_t i = 0; command[i] != NULL; i++) {
        const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "-_./:=@%+,";
        bool is_plain = command[i][0] != '\0' && command[i][strspn(command[i], plain)] == '\0';
        if (i > 0)
            fputc(' ', stream);
        if (is_plain) {
            fputs(command[i], stream);
            continue;
        }
        fputc('\'', stream);
        for (const char *character = command[i]; *character != '\0'; character++)
            fputs(*character == '\'' ? "'\\''" : (char[]){*character, '\0'}, stream);
        fputc('\'', stream);
    }
    fclose(stream);
    return text;
}

static bool is_stopping(const struct check *check)
{
    return check->options->stopping != NULL && atomic_load(check->options->stopping);
}

/* The descriptor stays readable, so that every check sees it: it is not read here. */
static void on_stop(void *owner, uint32_t events)
{
    struct check *check = owner;
    (void)events;
    loop_unwatch(&check->loop, &check->stop);
    check->stop_watched = false;
    if (check->process != NULL)
        process_stop(check->process);
}

/* The folder of the scenario's file and its `directory`, to be freed; NULL: as it is. */
static char *directory_of(const struct check *check)
{
    const char *directory = check->scenario->client.directory;
    if (check->options->command != NULL || directory == NULL)
        return NULL;
    if (directory[0] == '/')
        return strdup(directory);
    char *file = strdup(check->scenario->file);
    char *path = NULL;
    if (file == NULL || asprintf(&path, "%s/%s", dirname(file), directory) < 0)
        path = NULL;
    free(file);
    return path;
}

static bool run_process(struct check *check, struct client_run *run, struct error *error)
{
    char *directory = directory_of(check);
    struct process_options options = {
        .command = (const char *const *)command_of(check),
        .directory = directory,
        .environment = (const char *const *)check->environment,
        .timeout_ns = check->scenario->client.timeout_ns,
        .output_bytes_max = (uint64_t)check->scenario->client.output_bytes_max,
    };
    struct process process;
    bool started = process_start(&process, &check->loop, &options, error);
    free(directory);
    if (!started)
        return false;
    check->process = &process;
    bool overflow_seen = false;
    if (is_stopping(check))
        process_stop(&process);
    while (!process.ended) {
        loop_turn(&check->loop, -1);
        if (server_journal_overflowed(check->server) && !overflow_seen) {
            overflow_seen = true;
            process_stop(&process);
        }
    }
    check->process = NULL;
    *run = process.run;
    process_free(&process);
    return true;
}

/* What the server has not noticed yet: connections that closed with the client. */
static void settle(struct check *check)
{
    enum { TURNS_MAX = 1000 };
    for (int i = 0; i < TURNS_MAX && server_in_flight(check->server) > 0; i++)
        loop_turn(&check->loop, NS_PER_MS / 10);
}

static bool run_client(struct check *check, struct error *error)
{
    struct result *result = check->result;
    size_t run_count = (size_t)check->scenario->client.runs;
    result->runs = calloc(run_count, sizeof *result->runs);
    check->run_lasts = calloc(run_count, sizeof *check->run_lasts);
    if (result->runs == NULL || check->run_lasts == NULL)
        return error_set_run(error, check->scenario->file, "out of memory");
    struct builtin_options builtin = {
        .scenario = check->scenario,
        .environment = check->environment,
        .seed = check->options->seed,
        .stopping = check->options->stopping,
    };
    for (size_t i = 0; i < run_count && !is_stopping(check); i++) {
        struct client_run *run = &result->runs[i];
        bool done = is_builtin(check->options) ? builtin_run(&check->loop, &builtin, run, error)
                                               : run_process(check, run, error);
        if (!done)
            return false;
        result->run_count = i + 1;
        settle(check);
        check->run_lasts[i] = journal_total(server_journal(check->server));
    }
    result->interrupted = is_stopping(check);
    return true;
}

static bool start(struct check *check, struct error *error)
{
    const struct check_options *options = check->options;
    struct server_options server = {
        .config = &check->scenario->server,
        .seed = options->seed,
        .marker_header = check->scenario->client.marker_header,
        .marker_body = check->scenario->client.marker_body,
        .journal_when_full = JOURNAL_REFUSE,
    };
    check->server = server_new(&check->loop, &server, error);
    if (check->server == NULL)
        return false;
    check->environment = environment_for(check->scenario, server_base_url(check->server));
    if (check->environment == NULL)
        return error_set_run(error, check->scenario->file, "out of memory");
    if (options->stopping != NULL) {
        check->stop = (struct watch){.fd = options->stop_fd, .ready = on_stop, .owner = check};
        check->stop_watched = loop_watch(&check->loop, &check->stop, EPOLLIN, error);
        return check->stop_watched;
    }
    return true;
}

static bool carry_out(struct check *check, struct error *error)
{
    if (!start(check, error) || !run_client(check, error))
        return false;
    struct judge_input input = {
        .scenario = check->scenario,
        .journal = server_journal(check->server),
        .api = server_api(check->server),
        .journal_overflowed = server_journal_overflowed(check->server),
        .run_lasts = check->run_lasts,
    };
    return judge(&input, check->result) ||
           error_set_run(error, check->scenario->file, "out of memory");
}

static void describe(const struct check_options *options, struct result *result)
{
    const struct scenario *scenario = options->scenario;
    result_init(result);
    result->name = strdup(scenario->name);
    result->file = strdup(scenario->file);
    result->why = strdup(scenario->why);
    result->seed = options->seed;
    result->time = is_builtin(options) ? CLOCK_VIRTUAL : CLOCK_REAL;
    result->wall_ms = -1;
    result->command =
        is_builtin(options)
            ? strdup("(built-in client)")
            : command_text(options->command != NULL ? options->command : scenario->client.command);
}

void check_scenario(const struct check_options *options, struct result *result)
{
    struct check check = {.options = options, .scenario = options->scenario, .result = result};
    describe(options, result);
    int64_t started_ns = machine_now();
    bool done = false;
    if (loop_init(&check.loop, result->time, &result->error)) {
        done = carry_out(&check, &result->error);
        if (check.stop_watched)
            loop_unwatch(&check.loop, &check.stop);
        server_free(check.server);
        loop_free(&check.loop);
    }
    if (result->time == CLOCK_REAL)
        result->wall_ms = (machine_now() - started_ns) / NS_PER_MS;
    environment_free(check.environment);
    free(check.run_lasts);
    result->could_not_run = !done;
    result->passed = result->passed && done;
}
