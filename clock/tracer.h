/* tracer: carries unmodified programs into the virtual time of a loop, by ptrace and seccomp.
 *
 *     struct tracer *tracer = tracer_new(&loop, &options, &error);
 *     pid = fork();
 *     child:   tracer_enter(tracer);  execve(...)
 *     parent:  tracer_attach(tracer, pid, &error);
 *     while (...) loop_turn(&loop, -1);
 *     tracer_free(tracer);
 *
 * A seccomp filter in the client and all that it starts stops only the system calls that have to
 * do with time (traced_call.h has the table); everything else runs at full speed. Clock reads do
 * not stop either: the functions of the vDSO are replaced by ones that give the virtual time
 * (vdso.h). A wait with a time-out is made one without, and a deadline on the loop ends it.
 *
 * It is the loop's guests (loop.h): when every thread of every client is asleep, and none has run
 * between two looks, the loop moves the clock to the earliest deadline. All on the loop's thread,
 * which is the parent and the tracer of the client; several threads may do so side by side.
 *
 * What cannot be carried (a setuid program, a 32-bit one, traffic to other machines or to programs
 * that are not clients) lets the clock run at the machine's rate from there on, and is reported.
 * Linux on x86-64. docs/virtual-time.md says what it does for users.
 */
#ifndef TOOMANY_CLOCK_TRACER_H
#define TOOMANY_CLOCK_TRACER_H

#include "clock/loop.h"

#include <stdio.h>
#include <sys/types.h>

struct tracer; /* opaque */

struct tracer_options {
    uint16_t server_port; /* of the loop's own server, which clients may talk to; 0: none */
    FILE *log;            /* one line a jump; NULL: none; not owned */
};

/* Why programs cannot be traced here; NULL: they can. Tries it once, on a child of its own. */
const char *tracer_unavailable(void);

/* Becomes the guests of `loop`, for which loop_expect_guests() was called. NULL with the reason. */
struct tracer *tracer_new(struct loop *loop, const struct tracer_options *options,
                          struct error *error);

/* Lets all that still live go, and ends them. */
void tracer_free(struct tracer *tracer);

/* In the child, before its exec: filters its system calls and waits for tracer_attach(). Calls
 * nothing that is not async-signal-safe. False with errno set. */
bool tracer_enter(const struct tracer *tracer);

/* In the parent, after the fork. False with the reason; the child then fails to enter. */
bool tracer_attach(struct tracer *tracer, pid_t pid, struct error *error);

/* The client that was attached has ended and been seen: its zombie is left to the caller. */
struct tracer_summary {
    uint64_t jumps;
    uint64_t stops;     /* of system calls */
    int64_t crept_ns;   /* that time had to creep for a program that waits by looking at a clock */
    const char *let_go; /* why the clock was let run at the machine's rate; NULL: it was not */
    int64_t let_go_ns;  /* when */
};
struct tracer_summary tracer_summary(const struct tracer *tracer);

/* In one line, what each thread is and what it waits for: "sh waits in wait4; sleep waits in
 * clock_nanosleep for another 2s". */
void tracer_describe(const struct tracer *tracer, FILE *stream);

#endif
