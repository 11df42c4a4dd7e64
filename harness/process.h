/* process: runs one client under test and watches over it.
 *
 * The client gets a session and process group of its own, an environment, /dev/null as stdin and
 * pipes as stdout and stderr. The loop reads the pipes, so that a client that writes a gigabyte
 * neither blocks nor fills the memory: the first and the last part are kept. It ends when it has
 * exited; what it leaves behind (same process group, same session, or carrying the run's tag in
 * its environment, also after setsid) is listed and killed. A client that does not end within its
 * time-out gets SIGTERM and, after a second, SIGKILL, with all its descendants.
 *
 *     process_start(&process, loop, &options, &error);
 *     while (!process.ended) loop_turn(loop, -1);
 *     ... process.run ...
 *     process_free(&process);
 */
#ifndef TOOMANY_HARNESS_PROCESS_H
#define TOOMANY_HARNESS_PROCESS_H

#include "base/error.h"
#include "clock/loop.h"
#include "clock/machine_timer.h"
#include "harness/result.h"

#include <sys/types.h>

struct process_options {
    const char *const *command;     /* NULL-terminated; command[0] is looked up in PATH */
    const char *directory;          /* NULL: as it is */
    const char *const *environment; /* NULL-terminated "NAME=value", the whole of it */
    int64_t timeout_ns;             /* of real time */
    uint64_t output_bytes_max;      /* stdout and stderr together; more ends the client */
};

/* How much of each stream is kept: the first and the last 32 KiB, with a line between that says
 * how many bytes are left out. */
enum { PROCESS_KEEP_BYTES = 32 * 1024 };

struct process_stream; /* private: a bounded buffer */

struct process {
    struct loop *loop;
    pid_t pid;
    int pid_fd;
    bool ended; /* exited, pipes drained, survivors killed: `run` is complete */
    struct client_run run;
    char tag[64]; /* "TOOMANY_RUN=...": how survivors are recognised */

    struct process_stream *streams[2];
    struct watch exit_watch;
    struct machine_timer timeout_timer;
    struct machine_timer kill_timer;
    uint64_t output_bytes_max;
    bool has_exited;
};

/* Starts it. False when it cannot be started (not found, not executable, no such directory);
 * error->could_not_run is then set and nothing has to be freed. */
bool process_start(struct process *process, struct loop *loop,
                   const struct process_options *options, struct error *error);

/* Ends it early (a signal to the harness): SIGTERM, then SIGKILL after a second. */
void process_stop(struct process *process);

/* Releases everything but `run`, whose strings pass to the caller. Kills what still lives. */
void process_free(struct process *process);

/* To be called once in a program that runs clients: orphans of clients become our children, so
 * that they can be found. */
void process_adopt_orphans(void);

#endif
