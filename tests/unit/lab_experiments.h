/* Experiments for tests: JSON in, results out. */
#ifndef TOOMANY_TESTS_LAB_EXPERIMENTS_H
#define TOOMANY_TESTS_LAB_EXPERIMENTS_H

#include "lab/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline struct experiment parse_experiment(const char *text)
{
    struct experiment experiment;
    struct error error;
    char message[2048];
    if (!experiment_parse(&experiment, text, strlen(text), "experiment.json", &error))
        fail_msg("%s", error_text(&error, message, sizeof message));
    return experiment;
}

/* To be freed with free_sweep. */
static inline struct sweep sweep_with_jobs(struct experiment *experiment, int jobs)
{
    struct sweep sweep;
    struct error error;
    char message[2048];
    const struct sweep_options options = {.jobs = jobs};
    if (!sweep_run(&sweep, experiment, &options, &error))
        fail_msg("%s", error_text(&error, message, sizeof message));
    return sweep;
}

#endif
