/* process: runs one client under test and watches over it.
 *
 * The client gets a session and process group of its own, an environment, /dev/null as stdin and
 * pipes as stdout and stderr. The loop reads the pipes, so that a client that writes a gigabyte
 * neither blocks nor fills the memory: an excerpt is kept (harness/excerpt.h). It ends when it has
 * exited; what it leaves behind (same process group, same session, or carrying the run's tag in
 * its environment, also after setsid) gets 200 ms of the loop's time to end by itself, as a shell's
 * pipeline does, and is then listed and killed. A client that does not end within its time-out gets
 * SIGTERM and, after a second, SIGKILL, with its process group; one that writes too much gets
 * SIGKILL. The time-out is on the loop's clock. Where that is virtual, a client that does not
 * rest for PROCESS_STALL_SECONDS of real time (endless computation) is ended as if it had come.
 *
 *     process_start(&process, loop, &options, &error);
 *     while (!process.ended) loop_turn(loop, -1);
 *     ... process.run ...
 *     process_free(&process);
 *
 * All of it on one thread, the loop's, which must live until process_free(): the kernel kills
 * the client when that thread ends (PR_SET_PDEATHSIG), so that a harness that is itself killed
 * leaves no client behind. Any number of threads may do so side by side.
 *
 * What escapes: a descendant that makes itself a session of its own and also loses or overwrites
 * its environment. Needs Linux 5.4 (pidfd_open, and waitid on its descriptor) and /proc.
 */
#ifndef TOOMANY_HARNESS_PROCESS_H
#define TOOMANY_HARNESS_PROCESS_H

#include "base/error.h"
#include "clock/carrier.h"
#include "clock/loop.h"
#include "clock/machine_timer.h"
#include "harness/result.h"

#include <sys/types.h>

struct process_options {
    const char *const *command;     /* NULL-terminated. A command[0] without a '/' is looked up in
                                     * the PATH of `environment`; a relative path is seen from
                                     * `directory` */
    const char *directory;          /* NULL: as it is */
    const char *const *environment; /* NULL-terminated "NAME=value", the whole but for the tag */
    int64_t timeout_ns;             /* on the loop's clock, more than 0 */
    uint64_t output_bytes_max;      /* stdout and stderr together, at least 1; more ends the
                                     * client and is neither read nor counted */
    struct carrier *carrier;        /* into the loop's virtual time; NULL: it lives in real time */
};

enum { PROCESS_STALL_SECONDS = 60 };

struct process_stream; /* private */

enum process_phase {
    PROCESS_RUNS,
    PROCESS_ASKED_TO_END, /* SIGTERM was sent */
    PROCESS_KILLED,       /* SIGKILL was sent */
    PROCESS_EXITED,       /* has exited; what it left behind is being looked for */
};

struct process {
    struct loop *loop;
    pid_t pid; /* stays reserved (as a zombie) until the run has ended */
    int pid_fd;
    bool ended; /* exited, pipes drained, survivors killed: `run` is complete */
    struct client_run run;
    char tag[64]; /* "TOOMANY_RUN_0123456789abcdef=1": how survivors are recognised. A name of its
                   * own for each run, so that a harness inside a harness loses neither's tag */

    struct process_stream *streams[2];
    struct watch exit_watch;
    struct machine_timer timer; /* the end of the phase */
    struct deadline timeout;
    uint64_t rests_seen; /* of the loop, when it was last looked at whether the client goes on */
    struct carrier *carrier;
    enum process_phase phase;
    int64_t grace_ends_ns; /* on the machine's time, when PROCESS_EXITED, at the latest */
    bool grace_is_over;    /* on the loop's */
    unsigned long long started_ticks; /* as /proc/PID/stat shows it */
    uint64_t output_bytes_max;
    struct process *next; /* of all that are not yet reaped, in all threads */
};

/* Starts it; *process must stay where it is. False when it cannot be started (not found, not
 * executable, no such directory); error->could_not_run is then set and nothing has to be freed. */
bool process_start(struct process *process, struct loop *loop,
                   const struct process_options *options, struct error *error);

/* Ends it early (a signal to the harness): SIGTERM, then SIGKILL after a second, or at once when
 * it is called again. */
void process_stop(struct process *process);

/* Releases everything but `run`, whose strings pass to the caller. Kills what still lives. */
void process_free(struct process *process);

/* To be called once in a program that runs clients, before the first: orphans of clients become
 * our children, so that they can be found and reaped; and an ignored SIGCHLD, as some parents
 * hand down, no longer swallows exit codes. */
void process_adopt_orphans(void);

#endif
