#include "cli/cli.h"

#include "base/report_file.h"
#include "clock/clock.h"
#include "lab/advise.h"
#include "lab/gnuplot.h"
#include "lab/live.h"
#include "lab/report.h"
#include "lab/report_words.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: toomany load [OPTIONS] EXPERIMENT\n"
    "\n"
    "Measures how much of a quota each strategy gets under each load: goodput, share\n"
    "throttled, time to completion, bursts. The experiment is a file (docs/lab.md).\n"
    "It runs for real, against a server of our own. Ctrl-C reports what is done.\n"
    "\n"
    "  --simulate            in virtual time, without sockets: hours take seconds\n"
    "  --speed N             runs it for real on a clock N times as fast; for short\n"
    "                        waits and idle machines, at most 1000\n"
    "  --base-url URL        for real against this server, on this machine, in place\n"
    "                        of one of our own; its key is in OPENAI_API_KEY\n"
    "  --allow-host HOST     --base-url may name this host, which is elsewhere\n"
    "  --strategy NAME       this one of the experiment alone; several times: these\n"
    "  --load N              this load of it alone: workers, or calls per second\n"
    "  --jobs N              runs side by side; default: simulations one a processor,\n"
    "                        real runs one after the other\n"
    "  --seed N              in place of the experiment's\n"
    "  --report KIND[=FILE]  table, csv, json, svg, png or html, to FILE or stdout;\n"
    "                        may be given several times; default: table\n"
    "  --journal FILE        the requests of the first run, as the server notes them:\n"
    "                        of the first strategy, load and repetition (JSON Lines)\n"
    "  --advise              closes with a sentence: the strategy and load to take,\n"
    "                        and what a raise of the quota would bring\n"
    "  --help\n"
    "\n"
    "Exit status: 0 done, 2 wrong usage or a bad file, 3 it could not be carried out\n"
    "(stopped, gnuplot not found, disk full, ...).\n"
    "\n"
    "Example:\n"
    "  toomany load --simulate --advise --report table --report svg=plots.svg \\\n"
    "    experiments/tiny.json\n";

enum { REPORTS_MAX = 16, CHOSEN_MAX = 100, JOBS_MAX = 256, BAR_WIDTH = 24 };

/* Without a terminal a line is enough now and then. */
#define LINE_EVERY_NS (10 * INT64_C(1000000000))
/* What is over sooner needs no bar. */
#define BAR_FROM_NS (INT64_C(300000000))

struct report_request {
    const struct lab_report_kind *kind;
    const char *path; /* NULL: stdout */
};

struct load_command {
    struct report_request reports[REPORTS_MAX];
    size_t report_count;
    const char *chosen[CHOSEN_MAX]; /* strategies; none: all */
    size_t chosen_count;
    double load;              /* 0: all */
    const char *journal_path; /* NULL: none */
    FILE *journal;
    bool is_simulated;
    bool is_advised;
    int64_t jobs; /* 0: not said */
    struct live_settings live;
    bool has_seed;
    uint64_t seed;
    struct experiment experiment;
    struct progress {
        const struct experiment *experiment;
        struct clock clock;
        bool is_terminal;
        bool is_drawn;
        int64_t line_at_ns;
    } progress;
};

static bool read_report(struct load_command *load, char *argument)
{
    char *path = strchr(argument, '=');
    if (path != NULL)
        *path++ = '\0';
    const struct lab_report_kind *kind = lab_report_find(argument);
    if (kind == NULL) {
        fprintf(stderr, "toomany load: --report: there is no kind \"%s\", only %s\n", argument,
                lab_report_kind_names());
        return false;
    }
    if (path != NULL && path[0] == '\0') {
        fprintf(stderr, "toomany load: --report %s=: a file name is missing\n", argument);
        return false;
    }
    if (kind->is_binary && path == NULL && isatty(STDOUT_FILENO)) {
        fprintf(stderr, "toomany load: --report %s: a terminal cannot show it; write %s=FILE\n",
                argument, argument);
        return false;
    }
    if (load->report_count == REPORTS_MAX) {
        fprintf(stderr, "toomany load: --report: at most %d\n", REPORTS_MAX);
        return false;
    }
    load->reports[load->report_count++] = (struct report_request){kind, path};
    return true;
}

static bool read_strategy(struct load_command *load, const char *name)
{
    if (load->chosen_count == CHOSEN_MAX) {
        fprintf(stderr, "toomany load: --strategy: at most %d\n", CHOSEN_MAX);
        return false;
    }
    load->chosen[load->chosen_count++] = name;
    return true;
}

/* A load may have a fraction: half a call per second. */
static bool read_load(struct load_command *load, const char *text)
{
    char *end;
    load->load = strtod(text, &end);
    if (end != text && *end == '\0' && load->load > 0)
        return true;
    fprintf(stderr, "toomany load: --load \"%s\": expected a number above 0, such as 16\n", text);
    return false;
}

enum load_option {
    SIMULATE = 1000,
    SPEED,
    BASE_URL,
    ALLOW_HOST,
    STRATEGY,
    LOAD,
    JOBS,
    SEED,
    REPORT,
    JOURNAL,
    ADVISE,
    HELP,
};

/* False when the value is wrong, which has been said. */
static bool take_option(struct load_command *load, int option)
{
    switch (option) {
    case SIMULATE:
        load->is_simulated = true;
        return true;
    case SPEED:
        return cli_read_whole("load", "--speed", optarg, 1, CLOCK_SPEED_MAX, &load->live.speed);
    case BASE_URL:
        load->live.base_url = optarg;
        return true;
    case ALLOW_HOST:
        load->live.allowed_host = optarg;
        return true;
    case STRATEGY:
        return read_strategy(load, optarg);
    case LOAD:
        return read_load(load, optarg);
    case JOURNAL:
        load->journal_path = optarg;
        return true;
    case JOBS:
        return cli_read_whole("load", "--jobs", optarg, 1, JOBS_MAX, &load->jobs);
    case SEED:
        load->has_seed = true;
        return cli_read_seed("load", optarg, &load->seed);
    case REPORT:
        return read_report(load, optarg);
    case ADVISE:
        load->is_advised = true;
        return true;
    default:
        cli_misused("load");
        return false;
    }
}

static int read_options(struct load_command *load, int argc, char **argv)
{
    static const struct option options[] = {
        {"simulate", no_argument, NULL, SIMULATE},
        {"speed", required_argument, NULL, SPEED},
        {"base-url", required_argument, NULL, BASE_URL},
        {"allow-host", required_argument, NULL, ALLOW_HOST},
        {"strategy", required_argument, NULL, STRATEGY},
        {"load", required_argument, NULL, LOAD},
        {"journal", required_argument, NULL, JOURNAL},
        {"jobs", required_argument, NULL, JOBS},
        {"seed", required_argument, NULL, SEED},
        {"report", required_argument, NULL, REPORT},
        {"advise", no_argument, NULL, ADVISE},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (!take_option(load, option))
            return CLI_USAGE;
    }
    if (optind != argc - 1) {
        fputs(optind == argc ? "toomany load: an experiment is missing (a file)\n"
                             : "toomany load: more than one experiment; it takes one\n",
              stderr);
        return cli_misused("load");
    }
    if (load->is_simulated && (load->live.base_url != NULL || load->live.speed != 0)) {
        fputs("toomany load: --simulate has no use for --base-url and --speed\n", stderr);
        return cli_misused("load");
    }
    if (load->report_count == 0)
        load->reports[load->report_count++] =
            (struct report_request){lab_report_find("table"), NULL};
    return CLI_DONE;
}

/* --- progress --------------------------------------------------------------------------------- */

static void clear_bar(struct progress *progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}

static void put_what_runs(const struct progress *progress, const struct sweep_progress *now)
{
    char load[LAB_WORDS_SIZE];
    if (now->strategy != NULL)
        fprintf(stderr, "  %.24s, %s", now->strategy->label,
                lab_words_load(progress->experiment, now->load, load));
}

static void draw_bar(struct progress *progress, const struct sweep_progress *now, int64_t now_ns)
{
    char bar[BAR_WIDTH + 1];
    int filled = (int)(now->share * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3d %%", bar, (int)(now->share * 100));
    if (now->share > 0.02)
        fprintf(stderr, "  %.0f s left", (double)now_ns * 1e-9 * (1 - now->share) / now->share);
    put_what_runs(progress, now);
    fputs("\033[K", stderr);
    fflush(stderr);
    progress->is_drawn = true;
}

static void show_progress(void *owner, const struct sweep_progress *now)
{
    struct progress *progress = owner;
    int64_t now_ns = clock_now(&progress->clock);
    if (now->runs_done == now->runs_total)
        clear_bar(progress);
    else if (progress->is_terminal && now_ns >= BAR_FROM_NS)
        draw_bar(progress, now, now_ns);
    else if (!progress->is_terminal && now_ns >= progress->line_at_ns + LINE_EVERY_NS) {
        progress->line_at_ns = now_ns;
        fprintf(stderr, "toomany load: %d %%, %zu of %zu runs", (int)(now->share * 100),
                now->runs_done, now->runs_total);
        put_what_runs(progress, now);
        fputc('\n', stderr);
    }
}

static void start_progress(struct load_command *load, const struct experiment *experiment)
{
    load->progress.experiment = experiment;
    load->progress.is_terminal = isatty(STDERR_FILENO) != 0;
    load->progress.line_at_ns = 0;
    clock_init(&load->progress.clock, CLOCK_REAL);
}

/* --- run -------------------------------------------------------------------------------------- */

static bool run_sweep(struct load_command *load, const struct experiment *experiment,
                      bool is_simulated, const struct cli_stop *stop, struct sweep *sweep,
                      struct error *error)
{
    /* Real runs side by side take each other's time. */
    int64_t jobs = load->jobs == 0 && !is_simulated ? 1 : load->jobs;
    struct sweep_options options = {
        .jobs = (int)jobs,
        .runner = is_simulated ? simulation_run : live_run,
        .live = &load->live,
        .on_progress = show_progress,
        .owner = &load->progress,
        .stop = &stop->stopping,
        .journal = experiment == &load->experiment ? load->journal : NULL,
    };
    start_progress(load, experiment);
    bool done = sweep_run(sweep, experiment, &options, error);
    clear_bar(&load->progress);
    return done;
}

/* A server of our own starts each run with a full quota; another one goes on with what is left. */
static void warn_of_shared_quota(const struct load_command *load)
{
    const struct experiment *experiment = &load->experiment;
    size_t runs =
        experiment->strategy_count * experiment->load_count * (size_t)experiment->repetitions;
    if (load->live.base_url != NULL && runs > 1)
        fprintf(stderr,
                "toomany load: %zu runs share the quota of %s: each begins with what the one "
                "before has left; for one alone, see --strategy and --load\n",
                runs, load->live.base_url);
}

/* What a raise would bring is always simulated. */
static bool advise(struct load_command *load, const struct sweep *sweep,
                   const struct cli_stop *stop, char text[ADVISE_TEXT_SIZE], struct error *error)
{
    const struct cell_result *best = advise_best(sweep);
    struct experiment experiment;
    struct sweep raised = {0};
    bool is_raised = best != NULL && sweep->is_complete && advise_raised(sweep, best, &experiment);
    if (is_raised && !run_sweep(load, &experiment, true, stop, &raised, error)) {
        sweep_free(&raised);
        return false;
    }
    advise_text(sweep, is_raised && raised.is_complete ? &raised : NULL, text);
    if (is_raised)
        sweep_free(&raised);
    return true;
}

static int write_reports(const struct load_command *load, const struct lab_report *report)
{
    int status = CLI_DONE;
    for (size_t i = 0; i < load->report_count; i++) {
        struct error error = {0};
        if (!lab_report_to_path(load->reports[i].kind, report, load->reports[i].path, &error))
            status = cli_fail("load", &error);
    }
    return status;
}

static bool says_table(const struct load_command *load)
{
    for (size_t i = 0; i < load->report_count; i++) {
        if (load->reports[i].kind->write == lab_report_table)
            return true;
    }
    return false;
}

static int run(struct load_command *load, const struct cli_stop *stop, struct error *error)
{
    static char advice[ADVISE_TEXT_SIZE];
    struct sweep sweep = {0};
    warn_of_shared_quota(load);
    bool done = run_sweep(load, &load->experiment, load->is_simulated, stop, &sweep, error) &&
                (!load->is_advised || advise(load, &sweep, stop, advice, error));
    if (!done) {
        sweep_free(&sweep);
        return cli_fail("load", error);
    }
    const struct lab_report report = {.sweep = &sweep,
                                      .is_simulated = load->is_simulated,
                                      .advice = load->is_advised ? advice : NULL};
    int status = write_reports(load, &report);
    if (load->is_advised && !says_table(load))
        fprintf(stderr, "%s\n", advice);
    if (status == CLI_DONE && !sweep.is_complete)
        status = CLI_COULD_NOT_RUN;
    sweep_free(&sweep);
    return status;
}

/* Before the first run, not after the last. */
static bool can_report(const struct load_command *load, struct error *error)
{
    for (size_t i = 0; i < load->report_count; i++) {
        if (!report_file_check(load->reports[i].path, error) ||
            (load->reports[i].kind->is_drawn && !gnuplot_is_there(error)))
            return false;
    }
    return true;
}

static bool open_journal(struct load_command *load, struct error *error)
{
    if (load->journal_path == NULL)
        return true;
    if (load->live.base_url != NULL)
        return error_set(error, "--journal",
                         "it is the server's: start that one with `toomany serve --journal FILE`");
    load->journal = fopen(load->journal_path, "we");
    return load->journal != NULL || error_set_run(error, load->journal_path, "%s", strerror(errno));
}

static int close_journal(struct load_command *load, int status)
{
    struct error error = {0};
    if (load->journal == NULL)
        return status;
    bool has_failed = ferror(load->journal) != 0;
    if ((fclose(load->journal) == 0 && !has_failed) || status != CLI_DONE)
        return status;
    error_set_run(&error, load->journal_path, "it cannot be written (is the disk full?)");
    return cli_fail("load", &error);
}

int cli_load(int argc, char **argv)
{
    struct load_command load = {0};
    struct error error = {0};
    struct cli_stop *stop = NULL;
    int status = read_options(&load, argc, argv);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    load.live.clock = CLOCK_REAL;
    load.live.api_key = load.live.base_url != NULL ? getenv("OPENAI_API_KEY") : NULL;
    if (!experiment_load(&load.experiment, argv[optind], &error) ||
        !experiment_choose(&load.experiment, load.chosen, load.chosen_count, load.load, &error) ||
        !live_check(&load.live, &error) || !can_report(&load, &error) ||
        !open_journal(&load, &error) || !cli_stop_on_signals(&stop, &error)) {
        experiment_free(&load.experiment);
        return cli_fail("load", &error);
    }
    if (load.has_seed)
        load.experiment.seed = load.seed;
    status = close_journal(&load, run(&load, stop, &error));
    experiment_free(&load.experiment);
    return status;
}
