/* pools: which quota pool a request draws from, one for each (owner, model). The owner is a key, an
 * organization or a project.
 *
 * Limits are set by name, by the set-up and by the usage tier. Whose they are, in this order:
 *
 *     the model of that name, or one that shares them (pools_share): one pool for all these models
 *     the model without its date: "gpt-4o" also covers "gpt-4o-2024-08-06", in the same pool
 *     the base of a fine-tuned model: "gpt-4o" also covers "ft:gpt-4o:acme::7p4lURel", likewise
 *     the longest prefix with a "*": "ft:*", and "*" for all; each model then has its own pool
 *
 * All that the set-up has is looked through first. What it does not say there is what the tier has
 * for the model.
 *
 * A pool is made at the first request of its (owner, model). Owners are told apart by a hash; only
 * their last four characters are kept for people to read.
 */
#ifndef TOOMANY_MOCKSERVER_POOLS_H
#define TOOMANY_MOCKSERVER_POOLS_H

#include "base/cache_line.h"
#include "mockserver/quota.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pools; /* opaque */

enum {
    POOLS_MAX = 1000000,   /* a client that sends random models must not fill the memory */
    POOLS_MODEL_SIZE = 96, /* with the closing NUL; OpenAI's longest ids are about 70 */
};

/* Three lines of a cache; an admission mostly needs the first two. */
struct pool {
    _Alignas(CACHE_LINE) uint64_t id; /* hash of owner and model */
    struct quota_pool quota;
    const char *model; /* or the name that its limits are shared under */
    char key_tail[8];  /* the owner's last four characters */
};

/* How many of its requests each limit has refused. */
uint32_t pool_throttled(const struct pool *pool, enum quota_dimension dimension);
void pool_count_throttled(struct pool *pool, enum quota_dimension dimension);

struct pools *pools_new(void);
void pools_free(struct pools *pools);

/* At most so many pools instead of POOLS_MAX; below 2^32 - 1. */
void pools_allow(struct pools *pools, size_t count_max);

/* The later goes before the earlier. */
enum pools_source {
    POOLS_TIER,
    POOLS_SET_UP,
    POOLS_SOURCE_COUNT,
};

/* Sets the limits under `name`, for the pools there are and for those to come. What is not said is
 * left to the source before. Whether refused requests count is that of pools_set_initial, and so is
 * an enforcement of QUOTA_ENFORCEMENT_COUNT. False when memory is out. */
bool pools_set_limits(struct pools *pools, enum pools_source source, const char *name,
                      const struct quota_limits *limits, int64_t now_ns);

/* Lets `model`, and what shares those of `model`, share the pools of `name`, as the set-up says.
 * False when memory is out. */
bool pools_share(struct pools *pools, const char *name, const char *model, int64_t now_ns);

/* The enforcement where limits do not say theirs, and whether refused requests count; to be set
 * before the limits. */
void pools_set_initial(struct pools *pools, const struct quota_limits *limits);

/* The name under which the limits of this model are shared; its own where it has its own pool. */
const char *pools_shared_name(struct pools *pools, const char *model_name);

/* The limits in force for `model`. */
struct quota_limits pools_limits(const struct pools *pools, const char *model);

/* What the set-up says of it, which may be nothing. */
struct quota_limits pools_said_limits(const struct pools *pools, const char *model);

/* The pool of (owner, model), made when there is none; NULL when there are too many or memory is
 * out. The pointer stays good until pools_free. */
struct pool *pools_get(struct pools *pools, const char *owner, const char *model_name,
                       int64_t now_ns);

/* A request has begun to come that is likely to ask for the pool of `owner` and of the model that
 * was asked for last. Lets the processor fetch its place in the table, then, a little later, what
 * is found there; 0 stands for no pool. If the request asks for another one, no harm is done. */
uint64_t pools_foresee(const struct pools *pools, const char *owner);
void pools_fetch(const struct pools *pools, uint64_t foreseen);

/* Every pool in the order in which it was made. */
void pools_each(const struct pools *pools, void (*visit)(void *owner, const struct pool *pool),
                void *owner);

/* Every name that has limits, with those in force: the names of the set-up in the order in which
 * they were set, then those that only the tier has. */
void pools_each_limits(const struct pools *pools,
                       void (*visit)(void *owner, const char *name,
                                     const struct quota_limits *limits),
                       void *owner);

/* What is set and forgotten between the two takes effect at once at the end, and no pool is to be
 * asked meanwhile. What is used of a pool stays used where it is limited before and after. */
void pools_begin_change(struct pools *pools);
void pools_end_change(struct pools *pools, int64_t now_ns);

/* Forgets all limits of that source, and for the set-up all shares, while they are changed. */
void pools_forget_limits(struct pools *pools, enum pools_source source);

/* Fills every pool again, as at the start; requests in flight stay counted. */
void pools_reset(struct pools *pools, int64_t now_ns);

#endif
