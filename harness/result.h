/* result: what came of one scenario. The judge fills it, every report draws from it.
 *
 * Owns all it points to; result_free() releases it. Times are ns on the run's clock.
 */
#ifndef TOOMANY_HARNESS_RESULT_H
#define TOOMANY_HARNESS_RESULT_H

#include "base/error.h"
#include "clock/clock.h"

#include <stddef.h>
#include <stdint.h>

/* One request, seen as a try of a call. */
struct attempt {
    uint64_t sequence; /* of its journal entry */
    uint64_t connection;
    int64_t arrived_ns;
    int64_t answered_ns;    /* -1: never */
    int64_t delay_ns;       /* since the end of the answer before; -1 for the first */
    int status;             /* 0: no answer was sent */
    char code[48];          /* "" where there was none */
    int64_t retry_after_ns; /* -1: none was given */
    int retry_count;        /* the client's own counter; -1: none was sent */
    bool throttled;         /* status 429 */
    bool by_quota;          /* refused by a quota, not by a script */
    bool starts_loop;       /* the first try of one of the client's own loop: counter absent or 0 */
    bool abandoned;
};

/* How the attempts of a call were recognised as one call, strongest first. */
enum call_grouping {
    GROUPED_BY_MARKER,      /* the marker that the scenario asked for */
    GROUPED_BY_IDEMPOTENCY, /* the same Idempotency-Key */
    GROUPED_BY_COUNTER,     /* x-stainless-retry-count left one candidate */
    GROUPED_BY_BODY,        /* the same body, one candidate */
    GROUPED_BY_CONNECTION,  /* several candidates, one on this connection */
    GROUPED_AMBIGUOUS,      /* several candidates and nothing to tell them apart */
};

struct call {
    struct attempt *attempts;
    size_t attempt_count;
    size_t loop_attempts; /* attempts of the client's own loop, without the SDK's own retries */
    enum call_grouping grouping;
    int run; /* which start of the command made it, from 0 */
    char model[96];
};

/* Whether the client's own loop goes around the retries of its SDK. */
static inline bool call_is_nested(const struct call *call)
{
    return call->loop_attempts > 1 && call->loop_attempts < call->attempt_count;
}

enum verdict_state {
    VERDICT_HELD,
    VERDICT_FAILED,
    VERDICT_UNDETERMINED, /* attempts could not be told apart, or the run was stopped; counts as not
                             held */
};

struct verdict {
    char expectation[48]; /* the scenario's key, or that of an implicit demand */
    enum verdict_state state;
    char *expected;
    char *seen;
    const char *hint; /* what usually causes it; static text, "" when held */
};

/* One start of the client's command (or of the built-in client). */
struct client_run {
    int exit_code; /* -1 when it died of a signal */
    int signal;    /* 0: none */
    bool timed_out;
    bool output_exceeded;
    int64_t started_ns;
    int64_t ended_ns;
    char *output; /* stdout, bounded, NUL-terminated */
    size_t output_length;
    char *errors; /* stderr, likewise */
    size_t errors_length;
    uint64_t output_bytes; /* how much it wrote to both in all */
    char *waits;     /* where it timed out in virtual time: what each thread was doing; else NULL */
    char *survivors; /* names of processes it left behind: "sh, sleep (2)"; NULL when none */
};

/* The most that one dimension of one pool was used. */
struct usage {
    char model[96];
    char key_tail[8];
    const char *dimension; /* quota_dimension_name() */
    int64_t limit;         /* as it was at the end */
    int64_t peak;
    int64_t throttled; /* requests that this limit refused */
};

enum known_failing { NOT_LISTED, LISTED_AND_FAILED, LISTED_BUT_PASSED };

struct result {
    char *name;
    char *file;
    char *why; /* may be "" */
    bool passed;
    bool could_not_run;
    bool interrupted;   /* stopped by a signal before its end */
    struct error error; /* where could_not_run */
    enum known_failing known_failing;
    enum clock_kind time;
    char *time_note; /* how the client was carried into virtual time, or why not; NULL: built in */
    bool is_inexact; /* it was to be in virtual time, but time went on by itself at some point */
    uint64_t seed;
    int repetition;      /* from 1; 0 when not repeated */
    int64_t wall_ms;     /* real time taken; -1 where the run's clock is virtual */
    int64_t duration_ns; /* from the client's start to its end, on the run's clock */
    char *command;       /* as one would type it */

    struct client_run *runs;
    size_t run_count;
    struct call *calls;
    size_t call_count;
    struct verdict *verdicts;
    size_t verdict_count;
    struct usage *usages;
    size_t usage_count;
    char **notes; /* sentences: amplification, ambiguity, journal full */
    size_t note_count;

    uint64_t requests; /* on the wire */
    uint64_t throttled;
    int in_flight_most;
};

void result_init(struct result *result);
void result_free(struct result *result);

/* Adds a note (printf form). */
void result_note(struct result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "marker", "idempotency key", "retry counter", "equal bodies", "connection", "ambiguous" */
const char *call_grouping_name(enum call_grouping grouping);

/* A list of results as check made them, in the order of the scenarios. */
struct results {
    struct result *items;
    size_t count;
    bool interrupted; /* a signal stopped the whole check */
};

/* How many held, failed, could not be run. */
size_t results_passed(const struct results *results);

#endif
