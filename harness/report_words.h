/* report_words: what all reports say alike: the state of a scenario, how the client ended, how an
 * expectation is called. Pure; nothing here allocates.
 */
#ifndef TOOMANY_HARNESS_REPORT_WORDS_H
#define TOOMANY_HARNESS_REPORT_WORDS_H

#include "harness/result.h"

/* One word for what came of a scenario; a later state hides an earlier one. */
enum report_state {
    REPORT_PASSED,
    REPORT_FAILED,
    REPORT_KNOWN_FAILING, /* failed, and is listed */
    REPORT_UNLISTED_DUE,  /* passed, though it is listed: an error, the list is out of date */
    REPORT_STOPPED,       /* by a signal, before its end */
    REPORT_COULD_NOT_RUN,
    REPORT_STATE_COUNT
};

enum report_state report_state_of(const struct result *result);
/* "passed", "failed", "known failing", "passed though known failing", "stopped", "could not run" */
const char *report_state_name(enum report_state state);

struct report_counts {
    size_t of[REPORT_STATE_COUNT];
};

struct report_counts report_count(const struct results *results);
/* Whether the whole check ends well: what exit status 0 says. */
bool report_all_well(const struct results *results);

enum { REPORT_WORDS_SIZE = 256 };

/* "attempts per call" for "attempts_per_call" */
const char *report_expectation_words(const char *name, char text[REPORT_WORDS_SIZE]);
/* "exit code 1", "killed by signal 11 (SIGSEGV)", "timed out after 60s" */
const char *report_client_end(const struct client_run *run, char text[REPORT_WORDS_SIZE]);
/* The same in a few columns: "exit 1", "SIGSEGV", "timed out" */
const char *report_client_end_short(const struct client_run *run, char text[REPORT_WORDS_SIZE]);
/* "60 of 60 used (100 %), 4 refused: ask for an increase in time" */
const char *report_usage_words(const struct usage *usage, char text[REPORT_WORDS_SIZE]);
/* 0 to 100, more where a limit was lowered during the run */
int report_usage_percent(const struct usage *usage);

/* "virtual time", "real time", "virtual time, not exact" */
const char *report_time_name(const struct result *result);

/* The run whose end counts: the last; NULL where none was started. */
const struct client_run *report_last_run(const struct result *result);
/* When the client was started: the origin of the times that reports show. */
int64_t report_origin_ns(const struct result *result);
/* The scenario's name, with repetition and seed where it is repeated. The caller frees it. */
char *report_full_name(const struct result *result);

/* The statuses of attempts [from, to), equal ones in a row counted: "429 x8 200"; "none" where no
 * answer was sent. What does not fit `size` ends in "...". */
const char *report_statuses(const struct call *call, size_t from, size_t to, char *text,
                            size_t size);

/* A wait in at most three digits, for narrow places: "1.0s", "0.48s", "12s", "3.5m". */
const char *report_short_duration(int64_t ns, char text[REPORT_WORDS_SIZE]);

/* Where the last `count_max` lines of a text begin; *skipped is how many stand before. */
size_t report_tail(const char *text, size_t length, size_t count_max, size_t *skipped);

#endif
