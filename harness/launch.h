/* launch: how a forked child becomes the client, and why it did not.
 *
 *     launch_init(&launch, &options);
 *     ... open launch.output_fds and launch.failure_fd ...
 *     if (fork() == 0) launch_become_client(&launch);
 *     ... read a launch_failure from the other end: none comes where the exec has closed it ...
 *     launch_explain(&launch, failure, &error);
 *     launch_free(&launch);
 *
 * All that the child needs is made ready before the fork: after it, it may call nothing that is
 * not async-signal-safe, because another thread may have held any lock at the fork.
 */
#ifndef TOOMANY_HARNESS_LAUNCH_H
#define TOOMANY_HARNESS_LAUNCH_H

#include "base/error.h"
#include "clock/carrier.h"

#include <stddef.h>
#include <sys/types.h>

struct launch_options {
    const char *const *command;     /* NULL-terminated */
    const char *const *environment; /* NULL-terminated "NAME=value" */
    const char *tag;                /* one more of these, before the others; NULL: none */
    const char *path;        /* where a command[0] without a '/' is looked up; NULL: as execvp */
    const char *directory;   /* NULL: as it is */
    struct carrier *carrier; /* NULL: none */
};

struct launch {
    char **arguments;
    char **environment;
    char **candidates; /* where the program may be, in the order of PATH; NULL-terminated */
    const char *directory;
    pid_t parent;
    int output_fds[2]; /* what becomes stdout and stderr; none is below 3 */
    int failure_fd;    /* closed by the exec */
    struct carrier *carrier;
};

enum launch_step { LAUNCH_STREAMS, LAUNCH_DIRECTORY, LAUNCH_CARRIER, LAUNCH_EXEC };

struct launch_failure {
    enum launch_step step;
    int error_number;
    size_t candidate;
};

/* The strings of *options stay the caller's, and must live as long as *launch. Its descriptors are
 * the caller's to open and to close. */
void launch_init(struct launch *launch, const struct launch_options *options);
void launch_free(struct launch *launch);

/* In the child, whose session, streams, directory and signals become the client's. Where it fails
 * it writes a struct launch_failure to failure_fd and exits with 127. */
_Noreturn void launch_become_client(const struct launch *launch);

/* Fills *error with the program, why it did not start, and the remedy. */
void launch_explain(const struct launch *launch, struct launch_failure failure,
                    struct error *error);

#endif
