#include "harness/check.h"

#include "base/duration.h"
#include "clock/carrier.h"
#include "harness/builtin.h"
#include "harness/environment.h"
#include "harness/judge.h"
#include "harness/process.h"
#include "mockserver/server.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* A program under test is not to fail for headers that the API itself would take. */
enum { HEADER_BYTES_MAX = 32 * 1024 };

struct check {
    const struct check_options *options;
    const struct scenario *scenario;
    struct result *result;
    struct loop loop;
    struct server *server;
    char **environment;
    uint64_t *run_lasts;
    struct process *process;        /* the one that runs now, or NULL */
    bool carries;                   /* the client, into virtual time */
    FILE *clock_log;                /* TOOMANY_CLOCK_LOG; or NULL */
    struct carrier_summary summary; /* of all runs */
    const char *means;              /* of carrying, "tracing"; NULL: it was not */
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

static void add_summary(struct check *check, const struct carrier *carrier)
{
    struct carrier_summary summary = carrier_summary(carrier);
    check->means = carrier_means(carrier);
    check->summary.jumps += summary.jumps;
    check->summary.stops += summary.stops;
    check->summary.crept_ns += summary.crept_ns;
    if (check->summary.let_go == NULL && summary.let_go != NULL) {
        check->summary.let_go = summary.let_go;
        check->summary.let_go_ns = summary.let_go_ns;
        check->carries = false;
    }
}

static bool run_process(struct check *check, struct client_run *run, struct error *error)
{
    struct carrier *carrier = NULL;
    if (check->carries) {
        struct carrier_options carrier_options = {.server_port = server_port(check->server),
                                                  .log = check->clock_log};
        carrier = carrier_new(check->options->carrier, &check->loop, &carrier_options, error);
        if (carrier == NULL)
            return false;
    }
    char *directory = directory_of(check);
    struct process_options options = {
        .carrier = carrier,
        .command = (const char *const *)command_of(check),
        .directory = directory,
        .environment = (const char *const *)check->environment,
        .timeout_ns = check->scenario->client.timeout_ns,
        .output_bytes_max = (uint64_t)check->scenario->client.output_bytes_max,
    };
    struct process process;
    bool started = process_start(&process, &check->loop, &options, error);
    free(directory);
    if (!started) {
        carrier_free(carrier);
        return false;
    }
    check->process = &process;
    bool is_hopeless = false;
    if (is_stopping(check))
        process_stop(&process);
    while (!process.ended) {
        loop_turn(&check->loop, -1);
        if (!is_hopeless &&
            (server_journal_overflowed(check->server) || server_accept_error(check->server) != 0)) {
            is_hopeless = true;
            process_stop(&process);
        }
    }
    check->process = NULL;
    *run = process.run;
    process_free(&process);
    if (carrier != NULL)
        add_summary(check, carrier);
    carrier_free(carrier);
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
        int problem = server_accept_error(check->server);
        if (problem != 0)
            return error_set_run(error, "accept", "%s%s", strerror(problem), error_remedy(problem));
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
    const char *log = getenv("TOOMANY_CLOCK_LOG");
    if (check->carries && !loop_expect_guests(&check->loop, error))
        return false;
    if (check->carries && log != NULL && log[0] != '\0') {
        check->clock_log = fopen(log, "ae");
        if (check->clock_log == NULL)
            return error_set_run(error, log, "TOOMANY_CLOCK_LOG: %s", strerror(errno));
    }
    struct server_options server = {
        .config = &check->scenario->server,
        .seed = options->seed,
        .marker_header = check->scenario->client.marker_header,
        .marker_body = check->scenario->client.marker_body,
        .journal_capacity = options->journal_capacity,
        .journal_when_full = JOURNAL_REFUSE,
        .bounds = {.header_bytes = HEADER_BYTES_MAX},
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
    if (check->options->journal_seen != NULL)
        check->options->journal_seen(check->options->owner, server_journal(check->server),
                                     server_journal_overflowed(check->server));
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
    result->time = CLOCK_VIRTUAL;
    result->wall_ms = -1;
    result->command =
        is_builtin(options)
            ? strdup("(built-in client)")
            : command_text(options->command != NULL ? options->command : scenario->client.command);
}

/* One sentence for the reports: where the times come from, and how far they can be trusted. */
static void describe_time(const struct check *check, struct result *result)
{
    const struct carrier_summary *summary = &check->summary;
    const char *means = check->means != NULL ? check->means : "tracing";
    char text[DURATION_TEXT_SIZE];
    char *note = NULL;
    int length = 0;
    if (summary->let_go != NULL) {
        result->time = CLOCK_REAL;
        result->is_inexact = true;
        length = asprintf(&note, "carried into virtual time by %s, and from %s on in real time: %s",
                          means, duration_text(summary->let_go_ns, text), summary->let_go);
    } else if (summary->crept_ns > 0) {
        result->is_inexact = true;
        length =
            asprintf(&note,
                     "carried into virtual time by %s; it computes while it waits, for example by "
                     "looking at a clock again and again, so time crept for it, %s in all, "
                     "and delays are not exact",
                     means, duration_text(summary->crept_ns, text));
    } else if (check->carries) {
        length = asprintf(&note, "carried into virtual time by %s", means);
    } else if (check->options->time == CHECK_TIME_AUTO && !is_builtin(check->options)) {
        result->is_inexact = true;
        length = asprintf(&note, "in real time, because %s",
                          carrier_unavailable(check->options->carrier));
    }
    result->time_note = length > 0 ? note : NULL;
}

/* Whether the client is carried, and on which clock the run is. False with the reason when it must
 * be and cannot. */
static bool choose_time(struct check *check, struct error *error)
{
    const struct check_options *options = check->options;
    if (is_builtin(options))
        return true;
    const char *reason =
        options->time == CHECK_TIME_REAL ? "" : carrier_unavailable(options->carrier);
    check->carries = reason == NULL;
    check->result->time = check->carries ? CLOCK_VIRTUAL : CLOCK_REAL;
    if (options->time == CHECK_TIME_VIRTUAL && !check->carries)
        return error_set_run(error, options->scenario->file,
                             "--time virtual cannot be had: %s; use --time real", reason);
    return true;
}

void check_scenario(const struct check_options *options, struct result *result)
{
    struct check check = {.options = options, .scenario = options->scenario, .result = result};
    describe(options, result);
    int64_t started_ns = machine_now();
    bool done = false;
    if (choose_time(&check, &result->error) &&
        loop_init(&check.loop, result->time, &result->error)) {
        done = carry_out(&check, &result->error);
        if (check.stop_watched)
            loop_unwatch(&check.loop, &check.stop);
        server_free(check.server);
        loop_free(&check.loop);
    }
    if (check.clock_log != NULL)
        fclose(check.clock_log);
    describe_time(&check, result);
    if (done && options->time == CHECK_TIME_VIRTUAL && check.summary.let_go != NULL)
        done = error_set_run(&result->error, options->scenario->file,
                             "--time virtual could not be kept: %s; use --time real or auto",
                             check.summary.let_go);
    if (result->time == CLOCK_REAL)
        result->wall_ms = (machine_now() - started_ns) / NS_PER_MS;
    environment_free(check.environment);
    free(check.run_lasts);
    result->could_not_run = !done;
    result->passed = result->passed && done;
}
