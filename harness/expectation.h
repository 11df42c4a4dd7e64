/* expectation: one thing that a scenario demands, and the judgement on it.
 *
 * Each kind is one row in the table of expectation.c: its key, how its value is read, how it is
 * judged. To add one: write the two functions in the expect_*.c that fits (or a new one), add the
 * row, the schema, a line in scenarios/README.md and a wrong client in tests/clients.
 *
 * Judging is pure: it sees the evidence and nothing else.
 */
#ifndef TOOMANY_HARNESS_EXPECTATION_H
#define TOOMANY_HARNESS_EXPECTATION_H

#include "base/json.h"
#include "harness/result.h"
#include "mockserver/journal.h"

#include <regex.h>

enum {
    EXPECTATION_ITEMS_MAX = 1000, /* delays, texts, runs in one list */
};

/* A whole number, or {"min": ..., "max": ...}. */
struct range {
    double low;
    double high;
    bool is_exact; /* was written as one number */
};

/* "10%", "200ms", or {"early": ..., "late": ...} of these. */
struct tolerance_side {
    double share;
    int64_t ns;
};
struct tolerance {
    struct tolerance_side early;
    struct tolerance_side late;
};

enum backoff_kind { BACKOFF_FIXED, BACKOFF_EXPONENTIAL };
enum backoff_jitter {
    BACKOFF_JITTER_NONE,
    BACKOFF_JITTER_FULL,         /* 0 to d */
    BACKOFF_JITTER_EQUAL,        /* d/2 to d */
    BACKOFF_JITTER_DECORRELATED, /* base to three times the delay before */
    BACKOFF_JITTER_QUARTER,      /* 3/4 d to d: the official SDKs */
};

struct backoff {
    enum backoff_kind kind;
    enum backoff_jitter jitter;
    int64_t base_ns;
    int64_t cap_ns;
    double factor;
};

struct expectation_kind;

/* The value of an expectation, as its kind read it; each kind uses some of the members. */
struct expectation {
    const struct expectation_kind *kind;
    struct range range;
    int64_t low_ns;
    int64_t high_ns;
    int64_t *durations_ns;
    char **texts;
    size_t count;      /* of durations_ns or texts */
    regex_t *patterns; /* count of them */
    size_t pattern_count;
    struct backoff backoff;
    struct tolerance tolerance; /* delay_tolerance of the scenario */
};

struct expectations {
    struct expectation *items;
    size_t count;
    struct tolerance tolerance;
    bool script_partly;    /* "script_played": "partly" */
    bool leaves_processes; /* "leaves_processes": true */
    bool no_throttling;    /* demands that nothing is throttled: then no 429 is waited for */
    bool no_request;       /* demands that the client sends nothing */
};

/* What the judge may look at. */
struct evidence {
    const struct client_run *runs;
    size_t run_count;
    const struct call *calls;
    size_t call_count;
    const struct usage *usages;
    size_t usage_count;
    uint64_t requests;
    uint64_t throttled;
    int in_flight_most;
    int64_t duration_ns;
    int64_t last_answered_ns; /* of the last run's last answer; -1 none */
};

struct expectation_kind {
    const char *name;
    bool needs_calls; /* depends on which attempts belong to one call */
    bool (*read)(struct expectation *expectation, const struct json_reader *reader,
                 const cJSON *value, const char *pointer);
    /* Fills state, expected, seen and hint of *verdict. */
    void (*judge)(const struct expectation *expectation, const struct evidence *evidence,
                  struct verdict *verdict);
};

/* Reads the `expect` object. False with the error filled; expectations_free is still due. */
bool expectations_read(struct expectations *expectations, const struct json_reader *reader,
                       const cJSON *object, const char *pointer);
void expectations_free(struct expectations *expectations);

/* Judges one: calls its kind, and turns a verdict that rests on ambiguous calls into
 * VERDICT_UNDETERMINED. The caller frees expected and seen. */
void expectation_judge(const struct expectation *expectation, const struct evidence *evidence,
                       struct verdict *verdict);

/* For the kinds: sets what was expected or seen (printf form); replaces what was there. */
void verdict_expected(struct verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void verdict_seen(struct verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For the kinds: reading and telling ranges and tolerances. */
bool range_read(struct range *range, const struct json_reader *reader, const cJSON *value,
                const char *pointer, double high_max);
/* Whether an object says "min" or "max": one that says neither demands nothing. */
bool range_has_end(const cJSON *value);
bool range_holds(const struct range *range, double value);
/* "3", "at least 1", "2 to 4" */
const char *range_text(const struct range *range, char text[64]);
bool tolerance_read(struct tolerance *tolerance, const struct json_reader *reader,
                    const cJSON *value, const char *pointer);
/* The bounds of what is accepted where `low_ns` to `high_ns` is wanted. */
int64_t tolerance_low(const struct tolerance *tolerance, int64_t low_ns);
int64_t tolerance_high(const struct tolerance *tolerance, int64_t high_ns);

/* The kinds, each in its file. */
extern const struct expectation_kind expect_requests, expect_calls, expect_attempts_per_call,
    expect_loop_attempts_per_call, expect_max_in_flight, expect_throttled, expect_throttled_share,
    expect_quota_used; /* expect_counts.c */
extern const struct expectation_kind expect_delays, expect_loop_delays, expect_backoff,
    expect_each_delay, expect_retry_after, expect_duration,
    expect_wait_after_last; /* expect_delays.c */
extern const struct expectation_kind expect_outcome, expect_final_status, expect_final_code,
    expect_exit_code, expect_not_retried; /* expect_outcome.c */
extern const struct expectation_kind expect_stdout_contains, expect_stdout_matches,
    expect_stderr_contains, expect_stderr_matches; /* expect_output.c */

#endif
