#include "cli/cli.h"

#include "base/json.h"
#include "base/report_file.h"
#include "harness/known_failing.h"
#include "harness/report.h"
#include "harness/scenario_list.h"
#include "harness/suite.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: toomany check [OPTIONS] SCENARIO... [-- COMMAND [ARGUMENT...]]\n"
    "\n"
    "Runs each scenario (a file, or all of a folder): starts the mock server, runs\n"
    "the client, judges what passed between them. A COMMAND replaces the scenarios'\n"
    "own client; it finds the server in OPENAI_BASE_URL.\n"
    "\n"
    "  --jobs N              scenarios side by side; default 1\n"
    "  --repeat N            runs each N times, with seeds of their own\n"
    "  --seed N              of what the server draws; default 1\n"
    "  --time KIND           auto, the default, runs commands in virtual time where\n"
    "                        it can be had; or virtual, or real\n"
    "  --carrier KIND        how: trace (ptrace), preload (a library), or auto, the\n"
    "                        default: trace where it is permitted\n"
    "  --report KIND[=FILE]  text, json, junit, tap, html or github, to FILE or\n"
    "                        stdout; may be given several times\n"
    "  --known-failing FILE  names of scenarios that may fail, one a line; one that\n"
    "                        passes is then an error\n"
    "  --verbose             shows all verdicts, also of scenarios that passed\n"
    "  --help\n"
    "\n"
    "Exit status: 0 all held, 1 an expectation did not hold, 2 wrong usage or a bad\n"
    "file, 3 it could not be carried out (command not found, stopped, ...).\n"
    "\n"
    "Example:\n"
    "  toomany check --report junit=report.xml scenarios/r3-fixed-recovers.json \\\n"
    "    -- python3 my_program.py\n";

enum { REPORTS_MAX = 16, REPEAT_MAX = 10000 };

struct report_request {
    const struct report_kind *kind;
    const char *path; /* NULL: stdout */
};

struct check_command {
    struct report_request reports[REPORTS_MAX];
    size_t report_count;
    int64_t jobs;
    int64_t repeat;
    uint64_t seed;
    enum check_time time;
    enum carrier_choice carrier;
    const char *known_failing_file;
    bool verbose;
    char **command; /* NULL: each scenario's own */
    struct known_failing_list known;
    struct scenario_list scenarios;
    struct suite_item *items;
    struct report_style style;
    bool text_on_stdout;
};

static bool read_report(struct check_command *check, char *argument)
{
    char *path = strchr(argument, '=');
    if (path != NULL)
        *path++ = '\0';
    const struct report_kind *kind = report_find(argument);
    if (kind == NULL) {
        fprintf(stderr, "toomany check: --report: there is no kind \"%s\", only %s\n", argument,
                report_kind_names());
        return false;
    }
    if (path != NULL && path[0] == '\0') {
        fprintf(stderr, "toomany check: --report %s=: a file name is missing\n", argument);
        return false;
    }
    if (check->report_count == REPORTS_MAX) {
        fprintf(stderr, "toomany check: --report: at most %d\n", REPORTS_MAX);
        return false;
    }
    check->reports[check->report_count++] = (struct report_request){kind, path};
    return true;
}

/* What stands behind "--" is the client's, options and all. Returns how many words are ours. */
static int find_command(struct check_command *check, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            check->command = argv + i + 1;
            return i;
        }
    }
    return argc;
}

static int read_options(struct check_command *check, int argc, char **argv)
{
    enum { JOBS = 1000, REPEAT, SEED, TIME, CARRIER, REPORT, KNOWN_FAILING, VERBOSE, HELP };
    static const struct option options[] = {
        {"jobs", required_argument, NULL, JOBS},
        {"repeat", required_argument, NULL, REPEAT},
        {"seed", required_argument, NULL, SEED},
        {"time", required_argument, NULL, TIME},
        {"carrier", required_argument, NULL, CARRIER},
        {"report", required_argument, NULL, REPORT},
        {"known-failing", required_argument, NULL, KNOWN_FAILING},
        {"verbose", no_argument, NULL, VERBOSE},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int option;
    int own_count = find_command(check, argc, argv);
    if (check->command != NULL && check->command[0] == NULL) {
        fputs("toomany check: a command is missing after --\n", stderr);
        return cli_misused("check");
    }
    while ((option = getopt_long(own_count, argv, "", options, NULL)) != -1) {
        if (option == JOBS &&
            !cli_read_whole("check", "--jobs", optarg, 1, SUITE_JOBS_MAX, &check->jobs))
            return CLI_USAGE;
        if (option == REPEAT &&
            !cli_read_whole("check", "--repeat", optarg, 1, REPEAT_MAX, &check->repeat))
            return CLI_USAGE;
        if (option == SEED && !cli_read_seed("check", optarg, &check->seed))
            return CLI_USAGE;
        if (option == TIME && !cli_read_time("check", optarg, &check->time))
            return CLI_USAGE;
        if (option == CARRIER && !cli_read_carrier("check", optarg, &check->carrier))
            return CLI_USAGE;
        if (option == REPORT && !read_report(check, optarg))
            return CLI_USAGE;
        if (option == KNOWN_FAILING)
            check->known_failing_file = optarg;
        if (option == VERBOSE)
            check->verbose = true;
        if (option == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?')
            return cli_misused("check");
    }
    if (optind >= own_count) {
        fputs("toomany check: a scenario is missing (a file or a folder of them)\n", stderr);
        return cli_misused("check");
    }
    return CLI_DONE;
}

/* A second name that is no file: the program, perhaps, without what belongs before it. */
static bool is_command(const struct check_command *check, int index, int first, const char *name)
{
    return index > first && check->command == NULL && access(name, F_OK) != 0;
}

static bool load(struct check_command *check, int first, int own_count, char **argv,
                 struct error *error)
{
    for (int i = first; i < own_count; i++) {
        if (is_command(check, i, first, argv[i]))
            return error_set(error, argv[i], "no such file; a program to check stands behind --");
        if (!scenario_list_add(&check->scenarios, argv[i], error))
            return false;
    }
    if (check->known_failing_file != NULL &&
        !known_failing_load(&check->known, check->known_failing_file, error))
        return false;
    const char *unknown = known_failing_unknown(&check->known, &check->scenarios);
    if (unknown != NULL)
        return error_set(error, check->known_failing_file,
                         "\"%s\" is none of the scenarios that are run; remove the line, or write "
                         "the scenario's name as it stands in its file",
                         unknown);
    size_t count = check->scenarios.count * (size_t)check->repeat;
    check->items = calloc(count + 1, sizeof *check->items);
    if (check->items == NULL)
        return error_set_run(error, "", "out of memory");
    for (size_t i = 0; i < count; i++) {
        size_t repetition = i % (size_t)check->repeat;
        check->items[i] = (struct suite_item){
            .scenario = &check->scenarios.items[i / (size_t)check->repeat],
            .command = check->command,
            .seed = check->seed + repetition,
            .repetition = check->repeat > 1 ? (int)repetition + 1 : 0,
        };
    }
    return true;
}

static void ended(void *owner, struct result *result)
{
    struct check_command *check = owner;
    if (known_failing_has(&check->known, result->name))
        result->known_failing = result->passed ? LISTED_BUT_PASSED : LISTED_AND_FAILED;
    if (check->text_on_stdout) {
        report_text_one(result, &check->style, stdout);
        fflush(stdout);
    }
}

static bool write_reports(const struct check_command *check, const struct results *results,
                          struct error *error)
{
    bool all_written = true;
    if (check->text_on_stdout) {
        report_text_summary(results, &check->style, stdout);
        all_written = fflush(stdout) == 0 && !ferror(stdout);
        if (!all_written) {
            error_set_run(error, "stdout",
                          "the report could not be written (disk full, or closed?)");
            cli_fail("check", error);
        }
    }
    for (size_t i = 0; i < check->report_count; i++) {
        const struct report_request *request = &check->reports[i];
        bool is_done = request->path == NULL && request->kind->write == report_text;
        struct error one;
        if (!is_done && !report_to_path(request->kind, results, request->path, &one)) {
            cli_fail("check", &one);
            *error = one;
            all_written = false;
        }
    }
    return all_written;
}

static int status_of(const struct results *results)
{
    int status = results->interrupted ? CLI_COULD_NOT_RUN : CLI_DONE;
    for (size_t i = 0; i < results->count; i++) {
        const struct result *result = &results->items[i];
        if (result->could_not_run)
            return CLI_COULD_NOT_RUN;
        bool as_known = result->known_failing == LISTED_AND_FAILED;
        bool wrong = (!result->passed && !as_known) || result->known_failing == LISTED_BUT_PASSED;
        if (wrong && status == CLI_DONE)
            status = CLI_NOT_HELD;
    }
    return status;
}

static int run(struct check_command *check, struct error *error)
{
    struct cli_stop *stop = NULL;
    struct results results = {0};
    if (!cli_stop_on_signals(&stop, error))
        return cli_fail("check", error);
    struct suite_options options = {
        .items = check->items,
        .count = check->scenarios.count * (size_t)check->repeat,
        .jobs = (int)check->jobs,
        .time = check->time,
        .carrier = check->carrier,
        .stopping = &stop->stopping,
        .stop_fd = stop->stop_fd,
        .ended = ended,
        .owner = check,
    };
    if (!suite_run(&options, &results, error))
        return cli_fail("check", error);
    int status = status_of(&results);
    if (!write_reports(check, &results, error))
        status = CLI_COULD_NOT_RUN;
    for (size_t i = 0; i < results.count; i++)
        result_free(&results.items[i]);
    free(results.items);
    return status;
}

/* In a GitHub Actions job the annotations come beside what was asked for. */
static void choose_reports(struct check_command *check)
{
    const char *actions = getenv("GITHUB_ACTIONS");
    bool stdout_taken = false;
    for (size_t i = 0; i < check->report_count; i++) {
        stdout_taken |= check->reports[i].path == NULL;
        check->text_on_stdout |=
            check->reports[i].path == NULL && check->reports[i].kind->write == report_text;
    }
    if (!stdout_taken)
        check->text_on_stdout = true;
    if (actions != NULL && strcmp(actions, "true") == 0 && !stdout_taken &&
        check->report_count < REPORTS_MAX)
        check->reports[check->report_count++] =
            (struct report_request){report_find("github"), NULL};
    check->style = report_style_for(stdout);
    check->style.verbose = check->verbose;
}

/* Before the first run, not after the last. */
static bool can_report(const struct check_command *check, struct error *error)
{
    for (size_t i = 0; i < check->report_count; i++) {
        if (!report_file_check(check->reports[i].path, error))
            return false;
    }
    return true;
}

int cli_check(int argc, char **argv)
{
    struct check_command check = {.jobs = 1, .repeat = 1, .seed = 1};
    struct error error = {0};
    int status = read_options(&check, argc, argv);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    int own_count = check.command != NULL ? (int)(check.command - argv) - 1 : argc;
    choose_reports(&check);
    bool is_ready = can_report(&check, &error) && load(&check, optind, own_count, argv, &error);
    status = is_ready ? run(&check, &error) : cli_fail("check", &error);
    free(check.items);
    scenario_list_free(&check.scenarios);
    known_failing_free(&check.known);
    return status;
}
