/* suite: many checks, some side by side, told in order.
 *
 * Each check runs in a thread of its own loop; at most `jobs` at a time. As soon as a check and all
 * before it have ended, `ended` is called for it, from one thread at a time.
 */
#ifndef TOOMANY_HARNESS_SUITE_H
#define TOOMANY_HARNESS_SUITE_H

#include "harness/check.h"

struct suite_item {
    const struct scenario *scenario;
    char *const *command; /* as in check_options */
    uint64_t seed;
    int repetition;          /* as in struct result */
    size_t journal_capacity; /* this and the next two as in check_options */
    void (*journal_seen)(void *owner, const struct journal *journal, bool overflowed);
    void *owner;
};

struct suite_options {
    const struct suite_item *items;
    size_t count;
    int jobs;
    enum check_time time;
    enum carrier_choice carrier;
    const atomic_bool *stopping;
    int stop_fd;
    void (*ended)(void *owner, struct result *result);
    void *owner;
};

enum { SUITE_JOBS_MAX = 256 };

/* Fills *results (as many as items; when stopped, those that had begun). The caller frees each
 * result and results->items. False when memory or threads are out. */
bool suite_run(const struct suite_options *options, struct results *results, struct error *error);

#endif
