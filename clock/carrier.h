/* carrier: what carries unmodified programs into the virtual time of a loop.
 *
 * Two can: the tracer (tracer.h), which carries everything, and the preloader (preloader.h), which
 * needs no permission to trace, but carries only what goes through libc. Who runs a program need
 * not know which it is:
 *
 *     struct carrier *carrier = carrier_new(CARRIER_AUTO, &loop, &options, &error);
 *     char **environment = carrier_environment(carrier, environment_of_the_client);
 *     pid = fork();
 *     child:   carrier_enter(carrier);  execve(...)
 *     parent:  carrier_attach(carrier, pid, &error);
 *     while (...) loop_turn(&loop, -1);
 *     carrier_free(carrier);
 */
#ifndef TOOMANY_CLOCK_CARRIER_H
#define TOOMANY_CLOCK_CARRIER_H

#include "clock/loop.h"

#include <stdio.h>
#include <sys/types.h>

/* ThreadSanitizer puts signals off until the program makes a call that it knows, and its runtime
 * makes calls that are traced: a harness that is built with it carries nobody. The reason, or NULL.
 */
static inline const char *carrier_in_way(void)
{
#if defined(__SANITIZE_THREAD__)
    return "this toomany is built with ThreadSanitizer";
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return "this toomany is built with ThreadSanitizer";
#else
    return NULL;
#endif
#else
    return NULL;
#endif
}

enum carrier_choice {
    CARRIER_AUTO, /* the tracer where it can be had, else the preloader */
    CARRIER_TRACE,
    CARRIER_PRELOAD,
};

struct carrier_options {
    uint16_t server_port; /* of the loop's own server, which clients may talk to; 0: none */
    FILE *log;            /* one line a jump; NULL: none; not owned */
};

struct carrier_summary {
    uint64_t jumps;
    uint64_t stops;     /* of system calls, by the tracer */
    int64_t crept_ns;   /* that time had to creep for a program that waits by looking at a clock */
    const char *let_go; /* why the clock was let run at the machine's rate; NULL: it was not */
    int64_t let_go_ns;  /* when */
};

struct carrier; /* opaque */

/* Why there is none of that choice here; NULL: there is. */
const char *carrier_unavailable(enum carrier_choice choice);

/* Becomes the guests of `loop`, for which loop_expect_guests() was called. NULL with the reason. */
struct carrier *carrier_new(enum carrier_choice choice, struct loop *loop,
                            const struct carrier_options *options, struct error *error);

/* Lets all that still live go, and ends them. NULL is nothing. */
void carrier_free(struct carrier *carrier);

/* "tracing" or "preloading". */
const char *carrier_means(const struct carrier *carrier);

/* The client's environment with what the carrier adds to it; the caller frees the list, whose new
 * strings belong to the carrier. NULL when memory is out. */
char **carrier_environment(struct carrier *carrier, const char *const *environment);

/* In the child, before its exec. Async-signal-safe. False with errno set. */
bool carrier_enter(const struct carrier *carrier);

/* In the parent, after the fork. False with the reason; the child then fails to enter. */
bool carrier_attach(struct carrier *carrier, pid_t pid, struct error *error);

struct carrier_summary carrier_summary(const struct carrier *carrier);

/* In one line, what each thread is and what it waits for. */
void carrier_describe(const struct carrier *carrier, FILE *stream);

#endif
