#include "cli/cli.h"

#include "base/duration.h"
#include "base/report_file.h"
#include "grade/against.h"
#include "grade/card.h"
#include "harness/suite.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: toomany grade [OPTIONS] -- COMMAND [ARGUMENT...]\n"
    "\n"
    "Says how a program behaves under rate limits: runs it against a server that\n"
    "refuses it in many ways, and prints a report card. COMMAND makes a call at each\n"
    "start: it finds the server in OPENAI_BASE_URL and fails by its exit code.\n"
    "\n"
    "  --report KIND[=FILE]  text, json, junit or html, to FILE or stdout; may be\n"
    "                        given several times\n"
    "  --format KIND         one report of this kind, to stdout or to\n"
    "  --output FILE         (also -o FILE)\n"
    "  --fail-on SEVERITY    exits with 1 where something so bad is wrong: minor,\n"
    "                        major (the default), critical, or never\n"
    "  --probe ID            only this probe, or this group; may be given several\n"
    "                        times\n"
    "  --list                the probes; with --format json, all about them\n"
    "  --against FILE        what differs from an earlier report in JSON\n"
    "  --trigger COMMAND     the program is a service: COMMAND, a line of shell,\n"
    "                        makes it call, and fails where it failed\n"
    "  --trigger-delay 1s    from the service's start to the trigger\n"
    "  --runs N              starts for probes that compare runs; default 3\n"
    "  --seed N              of what the server draws; default 1\n"
    "  --jobs N              starts side by side; default one a processor\n"
    "  --full                in real time: also probes that take minutes\n"
    "  --time KIND           auto, the default, virtual or real; and\n"
    "  --carrier KIND        as for `toomany check`\n"
    "  --verbose             the text shows every probe\n"
    "  --help\n"
    "\n"
    "Exit status: 0 nothing so bad is wrong, 1 something is, 2 wrong usage, 3 it\n"
    "could not be carried out.\n"
    "\n"
    "Example:\n"
    "  toomany grade --report html=card.html -- python3 my_program.py\n";

enum { REPORTS_MAX = 16, PROBES_MAX = 64 };

struct grade_command {
    struct grade_options options;
    struct report_request {
        const struct card_kind *kind;
        const char *path; /* NULL: stdout */
    } reports[REPORTS_MAX];
    size_t report_count;
    const struct card_kind *format;
    const char *output;
    const char *only[PROBES_MAX + 1];
    size_t only_count;
    enum probe_severity fail_on; /* SEVERITY_COUNT: never */
    const char *against_file;
    struct against *against; /* an earlier report, or NULL */
    bool lists;
    bool verbose;
    bool shows_progress;
};

static bool read_kind(const char *option, const char *name, const struct card_kind **kind)
{
    *kind = card_find(name);
    if (*kind == NULL)
        fprintf(stderr, "toomany grade: %s: there is no kind \"%s\", only %s\n", option, name,
                card_kind_names());
    return *kind != NULL;
}

static bool read_report(struct grade_command *command, char *argument)
{
    char *path = strchr(argument, '=');
    const struct card_kind *kind = NULL;
    if (path != NULL)
        *path++ = '\0';
    if (!read_kind("--report", argument, &kind))
        return false;
    if (path != NULL && path[0] == '\0') {
        fprintf(stderr, "toomany grade: --report %s=: a file name is missing\n", argument);
        return false;
    }
    if (command->report_count == REPORTS_MAX) {
        fprintf(stderr, "toomany grade: --report: at most %d\n", REPORTS_MAX);
        return false;
    }
    command->reports[command->report_count++] = (struct report_request){kind, path};
    return true;
}

static bool read_severity(struct grade_command *command, const char *text)
{
    for (int i = 0; i < SEVERITY_COUNT; i++) {
        if (strcmp(text, probe_severity_name((enum probe_severity)i)) == 0) {
            command->fail_on = (enum probe_severity)i;
            return true;
        }
    }
    command->fail_on = SEVERITY_COUNT;
    if (strcmp(text, "never") == 0)
        return true;
    fprintf(stderr,
            "toomany grade: --fail-on: found \"%s\", wanted minor, major, critical or never\n",
            text);
    return false;
}

static bool is_known_probe(const char *name)
{
    if (probe_find(name) != NULL)
        return true;
    for (size_t i = 0; probe_table()[i] != NULL; i++) {
        const char *id = probe_table()[i]->id;
        size_t group = strcspn(id, "/");
        if (strlen(name) == group && strncmp(name, id, group) == 0)
            return true;
    }
    return false;
}

static bool read_probe(struct grade_command *command, const char *name)
{
    if (!is_known_probe(name)) {
        fprintf(
            stderr,
            "toomany grade: --probe: there is no probe and no group \"%s\"; --list shows them\n",
            name);
        return false;
    }
    if (command->only_count == PROBES_MAX) {
        fprintf(stderr, "toomany grade: --probe: at most %d\n", PROBES_MAX);
        return false;
    }
    command->only[command->only_count++] = name;
    return true;
}

static bool read_delay(struct grade_command *command, const char *text)
{
    int64_t *delay_ns = &command->options.trigger_delay_ns;
    if (duration_parse(text, delay_ns) && *delay_ns <= NS_PER_MINUTE)
        return true;
    fprintf(stderr,
            "toomany grade: --trigger-delay: found \"%s\", wanted a duration up to a minute, such "
            "as \"2s\"\n",
            text);
    return false;
}

static bool read_number(const char *option, const char *text, int64_t low, int64_t high, int *value)
{
    int64_t number = 0;
    if (!cli_read_whole("grade", option, text, low, high, &number))
        return false;
    *value = (int)number;
    return true;
}

/* What stands behind "--" is the program's, options and all. Returns how many words are ours. */
static int find_command(struct grade_command *command, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            command->options.command = argv + i + 1;
            return i;
        }
    }
    return argc;
}

enum {
    REPORT = 1000,
    FORMAT,
    FAIL_ON,
    PROBE,
    LIST,
    AGAINST,
    TRIGGER,
    TRIGGER_DELAY,
    RUNS,
    SEED,
    JOBS,
    FULL,
    TIME,
    CARRIER,
    VERBOSE,
    HELP
};

static bool read_option(struct grade_command *command, int option)
{
    struct grade_options *options = &command->options;
    switch (option) {
    case REPORT:
        return read_report(command, optarg);
    case FORMAT:
        return read_kind("--format", optarg, &command->format);
    case 'o':
        command->output = optarg;
        return true;
    case FAIL_ON:
        return read_severity(command, optarg);
    case PROBE:
        return read_probe(command, optarg);
    case LIST:
        command->lists = true;
        return true;
    case AGAINST:
        command->against_file = optarg;
        return true;
    case TRIGGER:
        options->trigger = optarg;
        return true;
    case TRIGGER_DELAY:
        return read_delay(command, optarg);
    case RUNS:
        return read_number("--runs", optarg, 2, GRADE_RUNS_MAX, &options->runs);
    case SEED:
        return cli_read_seed("grade", optarg, &options->seed);
    case JOBS:
        return read_number("--jobs", optarg, 1, SUITE_JOBS_MAX, &options->jobs);
    case FULL:
        options->full = true;
        return true;
    case TIME:
        return cli_read_time("grade", optarg, &options->time);
    case CARRIER:
        return cli_read_carrier("grade", optarg, &options->carrier);
    case VERBOSE:
        command->verbose = true;
        return true;
    default:
        return false;
    }
}

/* CLI_DONE to go on, -1 when help was shown. */
static int read_options(struct grade_command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"report", required_argument, NULL, REPORT},
        {"format", required_argument, NULL, FORMAT},
        {"output", required_argument, NULL, 'o'},
        {"fail-on", required_argument, NULL, FAIL_ON},
        {"probe", required_argument, NULL, PROBE},
        {"list", no_argument, NULL, LIST},
        {"against", required_argument, NULL, AGAINST},
        {"trigger", required_argument, NULL, TRIGGER},
        {"trigger-delay", required_argument, NULL, TRIGGER_DELAY},
        {"runs", required_argument, NULL, RUNS},
        {"seed", required_argument, NULL, SEED},
        {"jobs", required_argument, NULL, JOBS},
        {"full", no_argument, NULL, FULL},
        {"time", required_argument, NULL, TIME},
        {"carrier", required_argument, NULL, CARRIER},
        {"verbose", no_argument, NULL, VERBOSE},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int option;
    int own_count = find_command(command, argc, argv);
    while ((option = getopt_long(own_count, argv, "o:", options, NULL)) != -1) {
        if (option == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?')
            return cli_misused("grade");
        if (!read_option(command, option))
            return CLI_USAGE;
    }
    if (optind < own_count) {
        fprintf(stderr, "toomany grade: found \"%s\"; the program to grade stands behind --\n",
                argv[optind]);
        return cli_misused("grade");
    }
    if (command->lists)
        return CLI_DONE;
    if (command->options.command == NULL || command->options.command[0] == NULL) {
        fputs("toomany grade: a command is missing: toomany grade -- COMMAND\n", stderr);
        return cli_misused("grade");
    }
    return CLI_DONE;
}

static void show_progress(void *owner, size_t done, size_t total)
{
    const struct grade_command *command = owner;
    if (command->shows_progress)
        fprintf(stderr, "\r\033[K%zu of %zu starts%s", done, total,
                done == total ? "\r\033[K" : "");
}

static bool write_reports(const struct grade_command *command, const struct grade *grade)
{
    bool all_written = true;
    for (size_t i = 0; i < command->report_count; i++) {
        const struct report_request *request = &command->reports[i];
        struct error error = {0};
        bool is_written;
        if (request->kind->write == card_text && request->path == NULL) {
            struct report_style style = report_style_for(stdout);
            style.verbose = command->verbose;
            is_written = card_text(grade, &style, stdout) ||
                         error_set_run(&error, "stdout",
                                       "the report could not be written (disk full, or closed?)");
        } else {
            is_written = card_to_path(request->kind, grade, request->path, &error);
        }
        if (!is_written)
            cli_fail("grade", &error);
        all_written &= is_written;
    }
    return all_written;
}

/* The differences go where people read: to stderr where stdout holds a report for programs. */
static bool write_differences(const struct grade_command *command, const struct grade *grade)
{
    FILE *stream = stdout;
    for (size_t i = 0; i < command->report_count; i++) {
        if (command->reports[i].path == NULL && command->reports[i].kind->write != card_text)
            stream = stderr;
    }
    struct report_style style = report_style_for(stream);
    return command->against == NULL || against_write(command->against, grade, &style, stream);
}

static int run(struct grade_command *command)
{
    struct cli_stop *stop = NULL;
    struct error error = {0};
    struct grade grade;
    if (!cli_stop_on_signals(&stop, &error))
        return cli_fail("grade", &error);
    command->options.stopping = &stop->stopping;
    command->options.stop_fd = stop->stop_fd;
    int status = CLI_DONE;
    if (!grade_run(&command->options, &grade, &error)) {
        status = cli_fail("grade", &error);
    } else {
        enum probe_severity worst = grade_worst_severity(&grade);
        if (grade.interrupted)
            status = CLI_COULD_NOT_RUN;
        else if (worst != SEVERITY_COUNT && worst >= command->fail_on)
            status = CLI_NOT_HELD;
        if (!write_reports(command, &grade) || !write_differences(command, &grade))
            status = CLI_COULD_NOT_RUN;
    }
    grade_free(&grade);
    return status;
}

static void choose_reports(struct grade_command *command)
{
    if (command->format != NULL || command->output != NULL || command->report_count == 0) {
        const struct card_kind *kind =
            command->format != NULL ? command->format : card_find("text");
        if (command->report_count < REPORTS_MAX)
            command->reports[command->report_count++] =
                (struct report_request){kind, command->output};
    }
}

static void add_probe(cJSON *probes, const struct probe *probe)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", probe->id);
    cJSON_AddStringToObject(item, "group", probe_group_name(probe->group));
    cJSON_AddStringToObject(item, "severity", probe_severity_name(probe->severity));
    cJSON_AddStringToObject(item, "requirement", probe->requirement);
    cJSON_AddStringToObject(item, "source", probe->source);
    cJSON_AddStringToObject(item, "sent", probe->sent);
    cJSON_AddStringToObject(item, "cure", probe->cure);
    cJSON_AddBoolToObject(item, "long", probe->is_long);
    cJSON_AddItemToArray(probes, item);
}

static void list_json(void)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *probes = cJSON_AddArrayToObject(root, "probes");
    for (size_t i = 0; probe_table()[i] != NULL; i++)
        add_probe(probes, probe_table()[i]);
    char *text = cJSON_Print(root);
    puts(text != NULL ? text : "");
    cJSON_free(text);
    cJSON_Delete(root);
}

static void list_text(void)
{
    int group = -1;
    for (size_t i = 0; probe_table()[i] != NULL; i++) {
        const struct probe *probe = probe_table()[i];
        if (group != (int)probe->group)
            printf("%s%s\n", group < 0 ? "" : "\n", probe_group_name(probe->group));
        group = (int)probe->group;
        printf("  %-30s %-9s %s\n", probe->id, probe_severity_name(probe->severity),
               probe->requirement);
    }
}

static int list(const struct grade_command *command)
{
    if (command->format != NULL && strcmp(command->format->name, "json") == 0)
        list_json();
    else
        list_text();
    return fflush(stdout) == 0 && !ferror(stdout) ? CLI_DONE : CLI_COULD_NOT_RUN;
}

/* Before the first run, not after the last. */
static bool can_report(const struct grade_command *command, struct error *error)
{
    for (size_t i = 0; i < command->report_count; i++) {
        if (!report_file_check(command->reports[i].path, error))
            return false;
    }
    return true;
}

int cli_grade(int argc, char **argv)
{
    struct grade_command command = {
        .fail_on = SEVERITY_MAJOR,
        .shows_progress = isatty(STDERR_FILENO) != 0,
        .options = {.seed = 1,
                    .runs = GRADE_RUNS_DEFAULT,
                    .trigger_delay_ns = NS_PER_S,
                    .progress = show_progress},
    };
    command.options.owner = &command;
    command.options.only = command.only;
    int status = read_options(&command, argc, argv);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    if (command.lists)
        return list(&command);
    choose_reports(&command);
    struct error error = {0};
    if (!can_report(&command, &error))
        return cli_fail("grade", &error);
    if (command.against_file != NULL) {
        command.against = against_load(command.against_file, &error);
        if (command.against == NULL)
            return cli_fail("grade", &error);
    }
    status = run(&command);
    against_free(command.against);
    return status;
}
