/* cli: what the subcommands share. One file each; the table is in main.c.
 *
 * Exit status of all: 0 all held or done; 1 an expectation did not hold; 2 wrong usage or a bad
 * file; 3 it could not be carried out.
 */
#ifndef TOOMANY_CLI_CLI_H
#define TOOMANY_CLI_CLI_H

#include "base/error.h"
#include "harness/check.h"

#include <stdatomic.h>
#include <stdint.h>

enum cli_status { CLI_DONE = 0, CLI_NOT_HELD = 1, CLI_USAGE = 2, CLI_COULD_NOT_RUN = 3 };

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_call(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_grade(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_load(int argc, char **argv);

/* Prints "toomany COMMAND: place: message" on stderr and returns the fitting exit status. */
int cli_fail(const char *command, const struct error *error);

/* Prints what getopt_long did not like has been said already; adds where help is. Returns 2. */
int cli_misused(const char *command);

/* Reads a whole number in [low, high]; prints an error that names `option` and returns false when
 * it is not one. */
bool cli_read_whole(const char *command, const char *option, const char *text, int64_t low,
                    int64_t high, int64_t *value);

/* The seed of --seed: any whole number from 0 to 2^64-1. */
bool cli_read_seed(const char *command, const char *text, uint64_t *seed);

/* The word of --time. */
bool cli_read_time(const char *command, const char *text, enum check_time *time);

/* The word of --carrier. */
bool cli_read_carrier(const char *command, const char *text, enum carrier_choice *carrier);

/* The first SIGINT or SIGTERM sets `stopping` and makes stop_fd readable; the second ends the
 * program at once. */
struct cli_stop {
    atomic_bool stopping;
    int stop_fd;
};
bool cli_stop_on_signals(struct cli_stop **stop, struct error *error);

/* Finds what ships beside the executable ("scenarios", "examples"): in the source tree of a build
 * or in the share folder of an installation. False when it is not there. */
bool cli_shared_path(const char *name, char *path, size_t size);

#endif
