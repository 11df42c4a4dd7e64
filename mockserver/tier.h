/* tier: the limits of an OpenAI account by usage tier, for several models, as they were published.
 *
 * The numbers are those of docs/server.md, which says where they are from. Where none is known for
 * a tier, that of the tier below stands, which is never more than the real one.
 */
#ifndef TOOMANY_MOCKSERVER_TIER_H
#define TOOMANY_MOCKSERVER_TIER_H

#include "mockserver/pools.h"

#define TIER_NAMES "\"free\", \"1\", \"2\", \"3\", \"4\", \"5\""

enum { TIER_MODELS_MAX = 12 };

struct tier_limits {
    const char *model; /* or a prefix with "*"; NULL after the last */
    int64_t requests_per_minute;
    int64_t requests_per_day;
    int64_t tokens_per_minute;
    int64_t batch_queue_tokens;
};

struct tier {
    const char *name;
    struct tier_limits models[TIER_MODELS_MAX];
};

/* NULL when there is none of that name. */
const struct tier *tier_find(const char *name);

/* Sets its limits in the place of another tier's; what is used stays used. False when memory is
 * out. */
bool tier_apply(const struct tier *tier, struct pools *pools, int64_t now_ns);

#endif
