/* preloader: carries programs into the virtual time of a loop by a library in their processes.
 *
 * The library (clock/preload/) stands in for the functions of libc that have to do with time, and
 * shares a page with us: the clock, and a slot for each thread that says until when it waits. The
 * preloader is the loop's guests: it looks at every thread in /proc, proves that all sleep, makes
 * deadlines of the slots, moves the clock, and wakes who is due by a signal, one after another.
 *
 * It needs no permission to trace. What it cannot carry lets the clock run at the machine's rate
 * from there on, and is reported: programs without a dynamic loader (static ones, most of Go) or
 * with setuid, timed system calls made around libc, traffic to other machines or to programs that
 * are not of the run.
 *
 * All on the loop's thread; several threads may do so side by side. Linux on x86-64.
 */
#ifndef TOOMANY_CLOCK_PRELOADER_H
#define TOOMANY_CLOCK_PRELOADER_H

#include "clock/carrier.h"

struct preloader; /* opaque */

/* Why it cannot be had here; NULL: it can. */
const char *preloader_unavailable(void);

/* Becomes the guests of `loop`, for which loop_expect_guests() was called. NULL with the reason. */
struct preloader *preloader_new(struct loop *loop, const struct carrier_options *options,
                                struct error *error);

/* Ends all that still live. */
void preloader_free(struct preloader *preloader);

/* The client's environment with what makes it load the library; what it preloads itself stays. The
 * caller frees the list; its new strings are the preloader's. NULL when memory is out. */
char **preloader_environment(struct preloader *preloader, const char *const *environment);

/* In the parent, after the fork. */
void preloader_attach(struct preloader *preloader, pid_t pid);

struct carrier_summary preloader_summary(const struct preloader *preloader);

/* In one line, what each thread is and what it waits for: "sh waits in wait4; sleep waits in
 * clock_nanosleep for another 2s". */
void preloader_describe(const struct preloader *preloader, FILE *stream);

#endif
