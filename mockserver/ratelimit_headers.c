#include "mockserver/ratelimit_headers.h"

#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    enum quota_dimension preferred;
    enum quota_dimension otherwise;
    const char *name;
} units[] = {
    [RATELIMIT_REQUESTS] = {QUOTA_REQUESTS_PER_DAY, QUOTA_REQUESTS_PER_MINUTE, "requests"},
    [RATELIMIT_TOKENS] = {QUOTA_TOKENS_PER_MINUTE, QUOTA_TOKENS_PER_DAY, "tokens"},
};

struct ratelimit_told ratelimit_told(const struct quota_pool *pool, enum ratelimit_unit unit,
                                     int64_t now_ns)
{
    enum quota_dimension dimension = units[unit].preferred;
    if (pool->limits.limit[dimension] == QUOTA_UNLIMITED)
        dimension = units[unit].otherwise;
    if (pool->limits.limit[dimension] == QUOTA_UNLIMITED)
        return (struct ratelimit_told){.is_told = false};
    int64_t reset_ns = quota_reset(pool, dimension, now_ns);
    return (struct ratelimit_told){
        .is_told = true,
        .limit = pool->limits.limit[dimension],
        .remaining = quota_remaining(pool, dimension, now_ns),
        .reset_ns = reset_ns - reset_ns % NS_PER_MS,
    };
}

void ratelimit_headers_add(struct answer *answer, const struct quota_pool *pool, int64_t now_ns)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const struct ratelimit_told told = ratelimit_told(pool, (enum ratelimit_unit)i, now_ns);
        if (!told.is_told)
            continue;
        char name[ANSWER_HEADER_NAME_SIZE];
        char reset[DURATION_TEXT_SIZE];
        snprintf(name, sizeof name, "x-ratelimit-limit-%s", units[i].name);
        answer_header(answer, name, "%" PRId64, told.limit);
        snprintf(name, sizeof name, "x-ratelimit-remaining-%s", units[i].name);
        answer_header(answer, name, "%" PRId64, told.remaining);
        snprintf(name, sizeof name, "x-ratelimit-reset-%s", units[i].name);
        answer_header(answer, name, "%s", duration_go(told.reset_ns, reset));
    }
}
