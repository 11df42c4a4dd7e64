/* known_failing: scenarios that a team knows to fail, so that CI stays green while they mend.
 *
 * A text file: one scenario's name a line, as it stands in the scenario; empty lines and lines
 * that start with '#' say nothing.
 *
 *     # issue 12: the batch job ignores Retry-After
 *     waits as long as Retry-After asks
 */
#ifndef TOOMANY_HARNESS_KNOWN_FAILING_H
#define TOOMANY_HARNESS_KNOWN_FAILING_H

#include "base/error.h"
#include "harness/scenario_list.h"

struct known_failing_list {
    char **names;
    size_t count;
};

enum { KNOWN_FAILING_BYTES_MAX = 1024 * 1024 };

/* False with the error filled; known_failing_free is due only after success. */
bool known_failing_load(struct known_failing_list *list, const char *path, struct error *error);
/* The same from text. */
bool known_failing_parse(struct known_failing_list *list, const char *text, struct error *error);
void known_failing_free(struct known_failing_list *list);

bool known_failing_has(const struct known_failing_list *list, const char *name);

/* A listed name that none of the scenarios has, or NULL: a list that grows stale is an error. */
const char *known_failing_unknown(const struct known_failing_list *list,
                                  const struct scenario_list *scenarios);

#endif
