/* builtin: our own client as the client under test, in this process and on the run's clock.
 *
 * What it writes and how it ends look like those of a program: one line of stdout for each call
 * that was answered, the whole error on stderr for each that was not, exit code 1 if any failed.
 */
#ifndef TOOMANY_HARNESS_BUILTIN_H
#define TOOMANY_HARNESS_BUILTIN_H

#include "clock/loop.h"
#include "harness/result.h"
#include "harness/scenario.h"

#include <stdatomic.h>

struct builtin_options {
    const struct scenario *scenario;
    char *const *environment; /* as a program would find it */
    uint64_t seed;
    const atomic_bool *stopping;
};

/* Makes the scenario's calls and returns when all have ended. Fills *run, whose strings the caller
 * owns. False with the error filled when the client could not be set up. */
bool builtin_run(struct loop *loop, const struct builtin_options *options, struct client_run *run,
                 struct error *error);

#endif
