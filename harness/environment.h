/* environment: what a client under test finds in its environment.
 *
 * The harness's own environment; OPENAI_BASE_URL, OPENAI_API_KEY (a dummy) and
 * OPENAI_FINE_TUNED_MODEL as the server was set up; loopback kept away from proxies; and what the
 * scenario's `env` says, which wins.
 */
#ifndef TOOMANY_HARNESS_ENVIRONMENT_H
#define TOOMANY_HARNESS_ENVIRONMENT_H

#include "harness/scenario.h"

/* A dummy: the server takes any key unless its scenario lists some. */
#define ENVIRONMENT_API_KEY "sk-toomany-dummy-key-0000"

/* A NULL-terminated list to be freed with environment_free; NULL when memory is out. */
char **environment_for(const struct scenario *scenario, const char *base_url);
void environment_free(char **environment);

/* The value of `name` in the list, or NULL. */
const char *environment_get(char *const *environment, const char *name);

#endif
