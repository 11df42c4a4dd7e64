/* check: carries out one scenario: server up, client run, judged.
 *
 * A command runs as a process of its own, in virtual time where it can be carried there
 * (clock/carrier.h), else in real time. The built-in client runs in this process, always on a
 * virtual clock.
 *
 * A check lives on a loop of its own and touches nothing global, so several can run in threads.
 */
#ifndef TOOMANY_HARNESS_CHECK_H
#define TOOMANY_HARNESS_CHECK_H

#include "clock/carrier.h"
#include "harness/result.h"
#include "harness/scenario.h"
#include "mockserver/journal.h"

#include <stdatomic.h>

enum check_time {
    CHECK_TIME_AUTO, /* virtual where it can be had, else real, and the result says why */
    CHECK_TIME_REAL,
    CHECK_TIME_VIRTUAL, /* what cannot be carried could not be run */
};

struct check_options {
    const struct scenario *scenario;
    char *const *command; /* NULL-terminated; replaces the scenario's client; NULL: its own */
    uint64_t seed;
    enum check_time time;
    enum carrier_choice carrier; /* into virtual time */
    const atomic_bool *stopping; /* set by a signal: ends the client and reports what was seen */
    int stop_fd;                 /* readable when *stopping is set */
    size_t journal_capacity;     /* requests until the client is ended; 0: JOURNAL_ENTRIES_MAX */
    /* Called once with the whole journal, before it is freed; `overflowed`: the client was ended
     * because there was no room for more requests. NULL: nobody asks. */
    void (*journal_seen)(void *owner, const struct journal *journal, bool overflowed);
    void *owner;
};

/* Fills *result, which the caller frees. What keeps a scenario from being carried out is in
 * result->error, with result->could_not_run set. */
void check_scenario(const struct check_options *options, struct result *result);

#endif
