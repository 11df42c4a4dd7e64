/* pools: which quota pool a request draws from, one for each (key, model).
 *
 * Limits are set by model; "*" is the default for models that are not named. A pool is made at
 * the first request of its (key, model). Keys are told apart by a hash; only their last four
 * characters are kept for people to read.
 */
#ifndef TOOMANY_MOCKSERVER_POOLS_H
#define TOOMANY_MOCKSERVER_POOLS_H

#include "mockserver/quota.h"

#include <stdbool.h>
#include <stdint.h>

struct pools; /* opaque */

enum {
    POOLS_MAX = 1000000,   /* a client that sends random models must not fill the memory */
    POOLS_MODEL_SIZE = 96, /* with the closing NUL; OpenAI's longest ids are about 70 */
};

struct pool {
    struct quota_pool quota;
    char model[POOLS_MODEL_SIZE];
    char key_tail[8];
    int64_t throttled[QUOTA_DIMENSION_COUNT]; /* requests that each limit refused */
};

struct pools *pools_new(void);
void pools_free(struct pools *pools);

/* Sets the limits of `model` ("*": of all that are not named), for the pools there are and for
 * those to come. False when memory is out. */
bool pools_set_limits(struct pools *pools, const char *model, const struct quota_limits *limits,
                      int64_t now_ns);

/* The limits in force for `model`. */
struct quota_limits pools_limits(const struct pools *pools, const char *model);

/* The pool of (key, model), made when there is none; NULL when there are POOLS_MAX or memory is
 * out. The pointer stays good until pools_free. */
struct pool *pools_get(struct pools *pools, const char *key, const char *model, int64_t now_ns);

/* Every pool in the order in which it was made. */
void pools_each(const struct pools *pools, void (*visit)(void *owner, const struct pool *pool),
                void *owner);

/* Every model that has limits of its own, in the order in which they were set. */
void pools_each_limits(const struct pools *pools,
                       void (*visit)(void *owner, const char *model,
                                     const struct quota_limits *limits),
                       void *owner);

/* Forgets the limits of all models: then nothing is limited until limits are set again. */
void pools_forget_limits(struct pools *pools, int64_t now_ns);

/* Fills every pool again, as at the start; requests in flight stay counted. */
void pools_reset(struct pools *pools, int64_t now_ns);

#endif
