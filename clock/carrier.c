#include "clock/carrier.h"

#include "clock/preloader.h"
#include "clock/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct carrier {
    struct tracer *tracer; /* one of the two */
    struct preloader *preloader;
    char *leak_options; /* what the tracer adds to the environment */
};

/* LeakSanitizer needs to trace its own process, finds that it is traced, and makes the program
 * fail. It is told to do without. */
#define LEAK_OPTIONS "LSAN_OPTIONS"

const char *carrier_unavailable(enum carrier_choice choice)
{
    const char *no_tracer = choice != CARRIER_PRELOAD ? tracer_unavailable() : NULL;
    const char *no_preloader = choice != CARRIER_TRACE ? preloader_unavailable() : NULL;
    if (choice == CARRIER_AUTO)
        return no_tracer != NULL && no_preloader != NULL ? no_tracer : NULL;
    return choice == CARRIER_TRACE ? no_tracer : no_preloader;
}

struct carrier *carrier_new(enum carrier_choice choice, struct loop *loop,
                            const struct carrier_options *options, struct error *error)
{
    struct carrier *carrier = calloc(1, sizeof *carrier);
    if (carrier == NULL) {
        error_set_run(error, "", "out of memory");
        return NULL;
    }
    bool traces =
        choice == CARRIER_TRACE || (choice == CARRIER_AUTO && tracer_unavailable() == NULL);
    if (traces) {
        struct tracer_options tracer = {.server_port = options->server_port, .log = options->log};
        carrier->tracer = tracer_new(loop, &tracer, error);
    } else {
        carrier->preloader = preloader_new(loop, options, error);
    }
    if (carrier->tracer != NULL || carrier->preloader != NULL)
        return carrier;
    free(carrier);
    return NULL;
}

void carrier_free(struct carrier *carrier)
{
    if (carrier == NULL)
        return;
    tracer_free(carrier->tracer);
    preloader_free(carrier->preloader);
    free(carrier->leak_options);
    free(carrier);
}

const char *carrier_means(const struct carrier *carrier)
{
    return carrier->tracer != NULL ? "tracing" : "preloading";
}

static bool is_leak_options(const char *assignment)
{
    return strncmp(assignment, LEAK_OPTIONS "=", sizeof LEAK_OPTIONS) == 0;
}

static char **tracer_environment(struct carrier *carrier, const char *const *environment)
{
    size_t count = 0;
    const char *present = "";
    for (; environment[count] != NULL; count++) {
        if (is_leak_options(environment[count]))
            present = environment[count] + sizeof LEAK_OPTIONS;
    }
    char **copy = calloc(count + 2, sizeof *copy);
    free(carrier->leak_options);
    if (asprintf(&carrier->leak_options, "%s=%s%sdetect_leaks=0", LEAK_OPTIONS, present,
                 present[0] != '\0' ? ":" : "") < 0)
        carrier->leak_options = NULL;
    if (copy == NULL || carrier->leak_options == NULL) {
        free(copy);
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_leak_options(environment[i]))
            memcpy(&copy[used++], &environment[i], sizeof *copy); /* execve wants no const */
    }
    copy[used] = carrier->leak_options;
    return copy;
}

char **carrier_environment(struct carrier *carrier, const char *const *environment)
{
    return carrier->preloader != NULL ? preloader_environment(carrier->preloader, environment)
                                      : tracer_environment(carrier, environment);
}

bool carrier_enter(const struct carrier *carrier)
{
    return carrier->tracer == NULL || tracer_enter(carrier->tracer);
}

bool carrier_attach(struct carrier *carrier, pid_t pid, struct error *error)
{
    if (carrier->tracer != NULL)
        return tracer_attach(carrier->tracer, pid, error);
    preloader_attach(carrier->preloader, pid);
    return true;
}

struct carrier_summary carrier_summary(const struct carrier *carrier)
{
    if (carrier->preloader != NULL)
        return preloader_summary(carrier->preloader);
    struct tracer_summary summary = tracer_summary(carrier->tracer);
    return (struct carrier_summary){.jumps = summary.jumps,
                                    .stops = summary.stops,
                                    .crept_ns = summary.crept_ns,
                                    .let_go = summary.let_go,
                                    .let_go_ns = summary.let_go_ns};
}

void carrier_describe(const struct carrier *carrier, FILE *stream)
{
    if (carrier->tracer != NULL)
        tracer_describe(carrier->tracer, stream);
    else
        preloader_describe(carrier->preloader, stream);
}
