#include "cli/cli.h"

#include "base/escape.h"
#include "harness/report.h"
#include "harness/suite.h"
#include "base/text_line.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: toomany demo [--client python|node|c]\n"
    "\n"
    "Shows the broken and the fixed program of the reference page side by side,\n"
    "against a server that really throttles them, and how an SDK's own retries\n"
    "multiply those of the program. Takes about ten seconds.\n"
    "\n"
    "  --client NAME  whose programs: python, node or c; default: python where\n"
    "                 script/demo has set it up, else c\n"
    "  --help\n"
    "\n"
    "Exit status: 0 all went as described, 1 something did not, 2 wrong usage,\n"
    "3 it could not be carried out.\n"
    "\n"
    "Example:\n"
    "  toomany demo --client c\n";

/* What is shown, in this order. Each act is a scenario that ships, with a program that ships. */
struct act {
    const char *title;
    const char *summary;
    const char *scenario;
    const char *program; /* without its ending */
    bool needs_sdk;      /* shows what the official SDK does by itself */
};

static const struct act acts[] = {
    {"Broken: one call, no handling. The first 429 ends the program.", "broken", "r2-broken.json",
     "broken", false},
    {"Fixed: waits 1 s, then 2 s. The third attempt is served.", "fixed, recovers",
     "r3-fixed-recovers.json", "fixed", false},
    {"Fixed, but the server never recovers: three attempts, then the last error is raised again.",
     "fixed, gives up", "r4-fixed-gives-up.json", "fixed", false},
    {"Fixed, with the SDK's own retries left on: three attempts become nine requests.",
     "fixed, SDK retries too", "r4-sdk-default-amplifies.json", "fixed", true},
};

enum { ACT_COUNT = sizeof acts / sizeof acts[0] };

enum language { PYTHON, NODE, C_LANGUAGE, LANGUAGE_COUNT };

static const struct {
    const char *name;
    const char *title;
    const char *needs;          /* what must be there, beside the executable */
    const char *no_sdk_retries; /* argument that turns the SDK's own retries off */
} languages[LANGUAGE_COUNT] = {
    [PYTHON] = {"python", "Python, official openai package", "examples/python/.venv/bin/python",
                "--max-retries=0"},
    [NODE] = {"node", "Node.js, official openai package", "examples/node/node_modules/openai",
              "--max-retries=0"},
    [C_LANGUAGE] = {"c", "C, our client library", "", NULL},
};

struct stage {
    enum language language;
    struct scenario scenarios[ACT_COUNT];
    char *commands[ACT_COUNT][4];
    char typed[ACT_COUNT][128]; /* the command, as one would type it */
    struct suite_item items[ACT_COUNT];
    size_t count;
    size_t shown;
    const struct act *played[ACT_COUNT];
    struct report_style style;
};

static bool is_available(enum language language)
{
    char path[1024];
    return language == C_LANGUAGE || cli_shared_path(languages[language].needs, path, sizeof path);
}

static bool shared(const char *name, char **path, struct error *error)
{
    char found[1024];
    if (!cli_shared_path(name, found, sizeof found))
        return error_set_run(error, name, "not found beside the executable; run script/demo");
    *path = strdup(found);
    return true;
}

/* The C programs are built beside the executable, and installed with their sources. */
static bool c_program(const char *program, char **path, struct error *error)
{
    char directory[1024];
    ssize_t length = readlink("/proc/self/exe", directory, sizeof directory - 1);
    directory[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        *slash = '\0';
    if (asprintf(path, "%s/examples/c/%s", directory, program) < 0)
        return error_set_run(error, program, "out of memory");
    if (access(*path, X_OK) == 0)
        return true;
    char installed[1024];
    char name[64];
    snprintf(name, sizeof name, "examples/c/%s", program);
    if (!cli_shared_path(name, installed, sizeof installed))
        return error_set_run(error, *path, "not built; run script/demo");
    free(*path);
    *path = strdup(installed);
    return *path != NULL || error_set_run(error, program, "out of memory");
}

static bool make_command(struct stage *stage, size_t index, const struct act *act,
                         struct error *error)
{
    char **command = stage->commands[index];
    char *typed = stage->typed[index];
    size_t typed_size = sizeof stage->typed[index];
    if (stage->language == C_LANGUAGE) {
        snprintf(typed, typed_size, "examples/c/%s", act->program);
        return c_program(act->program, &command[0], error);
    }
    const char *option = act->needs_sdk ? NULL : languages[stage->language].no_sdk_retries;
    char name[64];
    snprintf(name, sizeof name, "examples/%s/%s.%s", languages[stage->language].name, act->program,
             stage->language == PYTHON ? "py" : "mjs");
    snprintf(typed, typed_size, "%s %s%s%s", languages[stage->language].name, name,
             option != NULL ? " " : "", option != NULL ? option : "");
    if (stage->language == NODE)
        command[0] = strdup("node");
    /* The link in a virtual environment must be called by its own name, so it is not resolved. */
    char folder[1024];
    if (stage->language == PYTHON && cli_shared_path("examples/python", folder, sizeof folder) &&
        asprintf(&command[0], "%s/.venv/bin/python", folder) < 0)
        command[0] = NULL;
    if (option != NULL)
        command[2] = strdup(option);
    return shared(name, &command[1], error);
}

static bool add_act(struct stage *stage, const struct act *act, struct error *error)
{
    if (act->needs_sdk && stage->language == C_LANGUAGE)
        return true; /* our client does not retry inside the program's own loop */
    char name[256];
    char *file = NULL;
    snprintf(name, sizeof name, "scenarios/%s", act->scenario);
    if (!shared(name, &file, error))
        return false;
    size_t index = stage->count;
    bool is_read = scenario_load(&stage->scenarios[index], file, error);
    free(file);
    if (!is_read)
        return false;
    stage->count++;
    stage->played[index] = act;
    stage->items[index] = (struct suite_item){
        .scenario = &stage->scenarios[index], .command = stage->commands[index], .seed = 1};
    return make_command(stage, index, act, error);
}

static void put_paragraph(const struct stage *stage, const char *text)
{
    struct text_paragraph paragraph = {.label = ""};
    text_write_paragraph(&paragraph, text, &stage->style, stdout);
}

static void put_field(const struct stage *stage, const char *label, const char *text, size_t length)
{
    struct text_paragraph paragraph = {
        .indent = 6, .column = 16, .label = label, .label_ink = INK_DIM};
    char *safe = escape_terminal(text, length, stage->style.unicode);
    text_write_paragraph(&paragraph, safe != NULL ? safe : "(out of memory)", &stage->style,
                         stdout);
    free(safe);
}

/* What a person looks at: what the program says itself, and its error without the way there. */
static bool is_telling(const char *line, size_t length)
{
    return strncmp(line, "attempt ", strlen("attempt ")) == 0 ||
           memmem(line, length, "RateLimitError: ", strlen("RateLimitError: ")) != NULL;
}

static void put_lines(const struct stage *stage, const char *text, bool only_telling,
                      bool *is_first)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (!only_telling || is_telling(line, length)) {
            put_field(stage, *is_first ? "prints" : "", line, length);
            *is_first = false;
        }
        line += length + (line[length] != '\0');
    }
}

/* The program, as somebody sees it who starts it by hand. */
static void put_program(const struct stage *stage, const char *typed, const struct client_run *run)
{
    char exit_code[32];
    bool is_first = true;
    put_field(stage, "program", typed, strlen(typed));
    put_lines(stage, run->errors, true, &is_first);
    put_lines(stage, run->output, false, &is_first);
    snprintf(exit_code, sizeof exit_code, "%d", run->exit_code);
    put_field(stage, "exit code", exit_code, strlen(exit_code));
}

static void show(void *owner, struct result *result)
{
    struct stage *stage = owner;
    size_t index = stage->shown++;
    char number[16];
    snprintf(number, sizeof number, "%zu.", index + 1);
    struct text_paragraph title = {
        .column = 3, .label = number, .label_ink = INK_BOLD, .ink = INK_BOLD};
    if (index == 0)
        putchar('\n'); /* a report ends with a blank line */
    text_write_paragraph(&title, stage->played[index]->title, &stage->style, stdout);
    putchar('\n');
    if (result->run_count > 0)
        put_program(stage, stage->typed[index], &result->runs[0]);
    putchar('\n');
    report_text_one(result, &stage->style, stdout);
    fflush(stdout);
}

enum { LOOP_COLUMN = 44, REQUESTS_COLUMN = 58, EXIT_COLUMN = 67, TOOK_COLUMN = 77 };

static void put_row(const struct stage *stage, enum ink ink, const char *const cells[5])
{
    static const int columns[5] = {0, LOOP_COLUMN, REQUESTS_COLUMN, EXIT_COLUMN, TOOK_COLUMN};
    struct text_line line;
    text_line_start(&line, &stage->style);
    text_line_put(&line, 6, ink, cells[0]);
    for (int i = 1; i < 5; i++) {
        if (columns[i] <= line.width)
            text_line_put_right(&line, columns[i], ink, cells[i]);
    }
    text_line_end(&line, stdout);
}

/* All of them side by side. */
static void put_summary(const struct stage *stage, const struct results *results)
{
    put_row(stage, INK_BOLD, (const char *const[]){"In short", "attempts", "requests", "exit", ""});
    put_row(stage, INK_BOLD,
            (const char *const[]){"", "of its loop", "on the wire", "code", "took"});
    for (size_t i = 0; i < results->count; i++) {
        const struct result *result = &results->items[i];
        size_t loop_attempts = 0;
        for (size_t j = 0; j < result->call_count; j++)
            loop_attempts += result->calls[j].loop_attempts;
        char loop[24];
        char requests[24];
        char exit_code[24];
        char took[24];
        snprintf(loop, sizeof loop, "%zu", loop_attempts);
        snprintf(requests, sizeof requests, "%" PRIu64, result->requests);
        snprintf(exit_code, sizeof exit_code, "%d",
                 result->run_count > 0 ? result->runs[0].exit_code : -1);
        snprintf(took, sizeof took, "%.1f s", (double)result->duration_ns / 1e9);
        put_row(stage, INK_PLAIN,
                (const char *const[]){stage->played[i]->summary, loop, requests, exit_code, took});
    }
    if (stage->language != C_LANGUAGE)
        return;
    putchar('\n');
    put_paragraph(stage,
                  "The official SDKs retry by themselves, inside the program's own loop, and "
                  "multiply its attempts. This library does not; --client python or node "
                  "shows it.");
}

static int perform(struct stage *stage, struct error *error)
{
    struct cli_stop *stop = NULL;
    struct results results = {0};
    if (!cli_stop_on_signals(&stop, error))
        return cli_fail("demo", error);
    printf("toomany demo: %s.\n", languages[stage->language].title);
    put_paragraph(stage, "The mock server answers 429 as OpenAI does, and the waits are real. A "
                         "scenario passes when its program does as described, a crash included.");
    fflush(stdout);
    struct suite_options options = {
        .items = stage->items,
        .count = stage->count,
        .jobs = ACT_COUNT,
        .time = CHECK_TIME_REAL, /* what is shown must not look like a trick */
        .stopping = &stop->stopping,
        .stop_fd = stop->stop_fd,
        .ended = show,
        .owner = stage,
    };
    if (!suite_run(&options, &results, error))
        return cli_fail("demo", error);
    int status = CLI_DONE;
    if (!results.interrupted)
        put_summary(stage, &results);
    for (size_t i = 0; i < results.count; i++) {
        if (results.items[i].could_not_run || results.interrupted)
            status = CLI_COULD_NOT_RUN;
        else if (!results.items[i].passed && status == CLI_DONE)
            status = CLI_NOT_HELD;
        result_free(&results.items[i]);
    }
    free(results.items);
    if (status == CLI_DONE)
        printf("\nNow your own program, and without waiting (its time is virtual, and exact):\n"
               "  build/toomany check scenarios/r3-fixed-recovers.json -- python3 my_program.py\n");
    return status;
}

static enum language fall_back(void)
{
    fputs("toomany demo: Python is not set up here, so the programs in C are shown; "
          "script/demo sets it up where it can\n",
          stderr);
    return C_LANGUAGE;
}

static int choose(int argc, char **argv, enum language *language)
{
    static const struct option options[] = {
        {"client", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    *language = LANGUAGE_COUNT;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return -1;
        }
        if (option != 'c')
            return cli_misused("demo");
        int i = 0;
        while (i < LANGUAGE_COUNT && strcmp(languages[i].name, optarg) != 0)
            i++;
        if (i == LANGUAGE_COUNT) {
            fprintf(stderr, "toomany demo: --client: found \"%s\", wanted python, node or c\n",
                    optarg);
            return CLI_USAGE;
        }
        *language = (enum language)i;
        if (!is_available(*language)) {
            fprintf(stderr, "toomany demo: %s is missing; `script/setup %s` installs it\n",
                    languages[i].needs, optarg);
            return CLI_COULD_NOT_RUN;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "toomany demo: \"%s\" is not an option\n", argv[optind]);
        return cli_misused("demo");
    }
    if (*language == LANGUAGE_COUNT)
        *language = is_available(PYTHON) ? PYTHON : fall_back();
    return CLI_DONE;
}

int cli_demo(int argc, char **argv)
{
    struct stage stage = {0};
    struct error error = {0};
    int status = choose(argc, argv, &stage.language);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    stage.style = report_style_for(stdout);
    bool ready = true;
    for (size_t i = 0; i < ACT_COUNT && ready; i++)
        ready = add_act(&stage, &acts[i], &error);
    status = ready ? perform(&stage, &error) : cli_fail("demo", &error);
    for (size_t i = 0; i < stage.count; i++) {
        scenario_free(&stage.scenarios[i]);
        for (size_t j = 0; j < 4; j++)
            free(stage.commands[i][j]);
    }
    return status;
}
