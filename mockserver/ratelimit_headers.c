#include "mockserver/ratelimit_headers.h"

#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

static void add(struct answer *answer, const struct quota_pool *pool,
                enum quota_dimension dimension, const char *unit, int64_t now_ns)
{
    char name[ANSWER_HEADER_NAME_SIZE];
    char reset[DURATION_TEXT_SIZE];
    snprintf(name, sizeof name, "x-ratelimit-limit-%s", unit);
    answer_header(answer, name, "%" PRId64, pool->limits.limit[dimension]);
    snprintf(name, sizeof name, "x-ratelimit-remaining-%s", unit);
    answer_header(answer, name, "%" PRId64, quota_remaining(pool, dimension, now_ns));
    snprintf(name, sizeof name, "x-ratelimit-reset-%s", unit);
    answer_header(answer, name, "%s", duration_go(quota_reset(pool, dimension, now_ns), reset));
}

void ratelimit_headers_add(struct answer *answer, const struct quota_pool *pool, int64_t now_ns)
{
    static const struct {
        enum quota_dimension preferred;
        enum quota_dimension otherwise;
        const char *unit;
    } shown[] = {
        {QUOTA_REQUESTS_PER_DAY, QUOTA_REQUESTS_PER_MINUTE, "requests"},
        {QUOTA_TOKENS_PER_MINUTE, QUOTA_TOKENS_PER_DAY, "tokens"},
    };
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        enum quota_dimension dimension = shown[i].preferred;
        if (pool->limits.limit[dimension] == QUOTA_UNLIMITED)
            dimension = shown[i].otherwise;
        if (pool->limits.limit[dimension] != QUOTA_UNLIMITED)
            add(answer, pool, dimension, shown[i].unit, now_ns);
    }
}
