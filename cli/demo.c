#include "cli/cli.h"

#include "harness/report.h"
#include "harness/suite.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: toomany demo [--client python|node|c]\n\n"
    "Shows the broken and the fixed program of the reference page side by side, against a server\n"
    "that really throttles them, and how an SDK's own retries multiply those of the program.\n"
    "Takes about ten seconds. Without --client it takes Python if script/demo has set it up, else "
    "C.\n\n"
    "Example:\n"
    "  toomany demo --client c\n";

/* What is shown, in this order. Each act is a scenario that ships, with a program that ships. */
struct act {
    const char *title;
    const char *scenario;
    const char *program; /* without its ending */
    bool needs_sdk;      /* shows what the official SDK does by itself */
};

static const struct act acts[] = {
    {"Broken: one call, no handling. The first 429 ends it.", "r2-broken.json", "broken", false},
    {"Fixed: waits 1 s, then 2 s. The third attempt is served.", "r3-fixed-recovers.json", "fixed",
     false},
    {"Fixed, but the server never recovers: three attempts, then the last error is re-raised.",
     "r4-fixed-gives-up.json", "fixed", false},
    {"The same fixed program with the SDK's own retries left on: they multiply.",
     "r4-sdk-default-amplifies.json", "fixed", true},
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
    if (stage->language == C_LANGUAGE)
        return c_program(act->program, &command[0], error);
    char name[256];
    snprintf(name, sizeof name, "examples/%s/%s.%s", languages[stage->language].name, act->program,
             stage->language == PYTHON ? "py" : "mjs");
    if (stage->language == NODE)
        command[0] = strdup("node");
    /* The link in a virtual environment must be called by its own name, so it is not resolved. */
    char folder[1024];
    if (stage->language == PYTHON && cli_shared_path("examples/python", folder, sizeof folder) &&
        asprintf(&command[0], "%s/.venv/bin/python", folder) < 0)
        command[0] = NULL;
    if (!act->needs_sdk)
        command[2] = strdup(languages[stage->language].no_sdk_retries);
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

static void show(void *owner, struct result *result)
{
    struct stage *stage = owner;
    const char *bold = stage->style.colour ? "\033[1m" : "";
    const char *plain = stage->style.colour ? "\033[0m" : "";
    printf("\n%s%zu. %s%s\n\n", bold, stage->shown + 1, stage->played[stage->shown]->title, plain);
    stage->shown++;
    report_text_one(result, &stage->style, stdout);
    fflush(stdout);
}

static int perform(struct stage *stage, struct error *error)
{
    struct cli_stop *stop = NULL;
    struct results results = {0};
    if (!cli_stop_on_signals(&stop, error))
        return cli_fail("demo", error);
    printf("toomany demo: %s. The server answers 429 as OpenAI does; the waits are real.\n",
           languages[stage->language].title);
    fflush(stdout);
    struct suite_options options = {
        .items = stage->items,
        .count = stage->count,
        .jobs = ACT_COUNT,
        .stopping = &stop->stopping,
        .stop_fd = stop->stop_fd,
        .ended = show,
        .owner = stage,
    };
    if (!suite_run(&options, &results, error))
        return cli_fail("demo", error);
    int status = CLI_DONE;
    for (size_t i = 0; i < results.count; i++) {
        if (results.items[i].could_not_run || results.interrupted)
            status = CLI_COULD_NOT_RUN;
        else if (!results.items[i].passed && status == CLI_DONE)
            status = CLI_NOT_HELD;
        result_free(&results.items[i]);
    }
    free(results.items);
    if (status == CLI_DONE)
        printf("\nNow your own program:\n"
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
