/* agreement: runs an experiment simulated and for real, and holds the two against each other.
 *
 *     agreement [--virtual | --speed N] [--jobs N] [--repetitions N] [--strategy NAME]...
 *               [--load X] [--markdown FILE] EXPERIMENT
 *
 * For every strategy under every load it compares goodput, the share throttled and the p50 and p99
 * of the time to completion, each the mean over the repetitions. Two numbers agree when they differ
 * by at most 5 % of the simulated one; shares and times near nothing have a floor (the table
 * below), because 5 % of nothing is nothing. Exit status: 0 all agree, 1 some do not, 2 a bad file
 * or usage, 3 it could not be run.
 */
#include "base/duration.h"
#include "lab/live.h"
#include "lab/sweep.h"

#include <curl/curl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 0.05

static const struct compared {
    enum measure measure;
    const char *title;
    double floor; /* a difference of this is never too large */
    const char *floor_text;
} compared[] = {
    {MEASURE_GOODPUT_REQUESTS, "goodput /s", 0, NULL},
    {MEASURE_THROTTLED_SHARE, "throttled", 0.005, "0.5 percentage points"},
    {MEASURE_COMPLETION_P50, "p50 s", 0.02, "20 ms"},
    {MEASURE_COMPLETION_P99, "p99 s", 0.02, "20 ms"},
};

enum { COMPARED = sizeof compared / sizeof compared[0], CHOSEN_MAX = 100 };

struct agreement {
    const char *file;
    const char *markdown;
    const char *chosen[CHOSEN_MAX];
    int chosen_count;
    int jobs;
    int repetitions; /* 0: as the experiment says */
    double load;     /* 0: all */
    struct live_settings live;
    int held;
    int failed;
};

static int fail(const struct error *error)
{
    char text[sizeof error->place + sizeof error->message];
    fprintf(stderr, "agreement: %s\n", error_text(error, text, sizeof text));
    return error->could_not_run ? 3 : 2;
}

static bool agrees(const struct compared *what, double simulated, double real)
{
    if (isnan(simulated) || isnan(real))
        return isnan(simulated) && isnan(real);
    double difference = fabs(real - simulated);
    return difference <= TOLERANCE * fabs(simulated) || difference <= what->floor;
}

static void show_number(FILE *stream, const struct compared *what, double value)
{
    if (isnan(value))
        fputs("-", stream);
    else if (what->measure == MEASURE_THROTTLED_SHARE)
        fprintf(stream, "%.2f %%", value * 100);
    else
        fprintf(stream, "%.3f", value);
}

static void compare_cell(struct agreement *agreement, const struct cell_result *simulated,
                         const struct cell_result *real, FILE *stream)
{
    for (int i = 0; i < COMPARED; i++) {
        const struct compared *what = &compared[i];
        double a = simulated->measures[what->measure].mean;
        double b = real->measures[what->measure].mean;
        bool holds = agrees(what, a, b);
        agreement->held += holds;
        agreement->failed += !holds;
        fputs(" ", stream);
        show_number(stream, what, a);
        fputs(" / ", stream);
        show_number(stream, what, b);
        if (!isnan(a) && !isnan(b) && a != 0)
            fprintf(stream, holds ? " (%+.1f %%)" : " (**%+.1f %%**)", (b - a) / a * 100);
        fputs(" |", stream);
    }
}

static void write_table(struct agreement *agreement, const struct sweep *simulated,
                        const struct sweep *real, FILE *stream)
{
    const struct experiment *experiment = simulated->experiment;
    fprintf(stream, "| strategy | %s |", experiment->is_open ? "calls/s" : "workers");
    for (int i = 0; i < COMPARED; i++)
        fprintf(stream, " %s |", compared[i].title);
    fputs("\n| --- | ---: |", stream);
    for (int i = 0; i < COMPARED; i++)
        fputs(" ---: |", stream);
    fputs("\n", stream);
    for (size_t i = 0; i < simulated->cell_count; i++) {
        const struct cell_result *cell = &simulated->cells[i];
        fprintf(stream, "| %s | %g |", experiment->strategies[cell->strategy].label,
                experiment->loads[cell->load]);
        compare_cell(agreement, cell, &real->cells[i], stream);
        fputs("\n", stream);
        fflush(stream);
    }
}

static int compare(struct agreement *agreement, const struct experiment *experiment)
{
    struct error error = {0};
    struct sweep simulated;
    struct sweep real;
    const struct sweep_options simulation = {.jobs = agreement->jobs};
    const struct sweep_options reality = {
        .jobs = agreement->jobs, .runner = live_run, .live = &agreement->live};
    if (!sweep_run(&simulated, experiment, &simulation, &error))
        return fail(&error);
    if (!sweep_run(&real, experiment, &reality, &error)) {
        sweep_free(&simulated);
        return fail(&error);
    }
    FILE *stream = agreement->markdown != NULL ? fopen(agreement->markdown, "w") : stdout;
    if (stream == NULL) {
        perror(agreement->markdown);
    } else {
        write_table(agreement, &simulated, &real, stream);
        if (stream != stdout && fclose(stream) != 0)
            perror(agreement->markdown);
    }
    fprintf(stderr, "agreement: %d of %d numbers agree\n", agreement->held,
            agreement->held + agreement->failed);
    sweep_free(&simulated);
    sweep_free(&real);
    if (stream == NULL)
        return 3;
    return agreement->failed > 0 ? 1 : 0;
}

static bool read_options(struct agreement *agreement, int argc, char **argv)
{
    static const struct option options[] = {
        {"virtual", no_argument, NULL, 'v'},        {"speed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},     {"strategy", required_argument, NULL, 'c'},
        {"markdown", required_argument, NULL, 'm'}, {"repetitions", required_argument, NULL, 'r'},
        {"load", required_argument, NULL, 'l'},     {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'v')
            agreement->live.clock = CLOCK_VIRTUAL;
        else if (option == 's')
            agreement->live.speed = strtol(optarg, NULL, 10);
        else if (option == 'j')
            agreement->jobs = (int)strtol(optarg, NULL, 10);
        else if (option == 'l')
            agreement->load = strtod(optarg, NULL);
        else if (option == 'r')
            agreement->repetitions = (int)strtol(optarg, NULL, 10);
        else if (option == 'm')
            agreement->markdown = optarg;
        else if (option == 'c' && agreement->chosen_count < CHOSEN_MAX)
            agreement->chosen[agreement->chosen_count++] = optarg;
        else
            return false;
    }
    agreement->file = argv[optind];
    return optind + 1 == argc;
}

int main(int argc, char **argv)
{
    struct agreement agreement = {.live = {.clock = CLOCK_REAL}};
    struct error error = {0};
    struct experiment experiment;
    if (!read_options(&agreement, argc, argv)) {
        fputs("usage: agreement [--virtual | --speed N] [--jobs N] [--repetitions N]\n"
              "                 [--strategy NAME]... [--load X] [--markdown FILE] EXPERIMENT\n",
              stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int status;
    if (!experiment_load(&experiment, agreement.file, &error) ||
        !live_check(&agreement.live, &error) ||
        !experiment_choose(&experiment, agreement.chosen, (size_t)agreement.chosen_count,
                           agreement.load, &error)) {
        status = fail(&error);
    } else {
        if (agreement.repetitions > 0)
            experiment.repetitions = agreement.repetitions;
        status = compare(&agreement, &experiment);
    }
    experiment_free(&experiment);
    curl_global_cleanup();
    return status;
}
