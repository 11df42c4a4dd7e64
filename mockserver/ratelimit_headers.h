/* ratelimit_headers: what is told of a pool with every answer, by profile.
 *
 * Full, as api.openai.com:
 *     x-ratelimit-limit-requests: 60          x-ratelimit-limit-tokens: 150000
 *     x-ratelimit-remaining-requests: 59      x-ratelimit-remaining-tokens: 149984
 *     x-ratelimit-reset-requests: 1s          x-ratelimit-reset-tokens: 6ms
 *
 * Resets are Go durations cut to milliseconds. Where a pool has a limit a day, the header shows
 * that one and not the one a minute, as captured from api.openai.com (reset 8.64s = 86400/10000).
 * Images are shown where they are limited (-input-images), a project's tokens under
 * -project-tokens, too.
 *
 * None, as captured on some 429s and 200s of api.openai.com.
 *
 * Azure: the same names with resets in whole seconds, rounded up, and -1 for what has no limit; on
 * a 429 also x-rate-limit-reset-tokens (so spelt, openai-python#937), the wait in seconds, -1 where
 * no wait helps, in place of Retry-After.
 */
#ifndef TOOMANY_MOCKSERVER_RATELIMIT_HEADERS_H
#define TOOMANY_MOCKSERVER_RATELIMIT_HEADERS_H

#include "mockserver/answer.h"
#include "mockserver/limit_rules.h"
#include "mockserver/quota.h"

enum ratelimit_unit { RATELIMIT_REQUESTS, RATELIMIT_TOKENS };

/* What the three headers of a unit say in full. */
struct ratelimit_told {
    bool is_told; /* false: the pool has no such limit, and the answer no such headers */
    int64_t limit;
    int64_t remaining;
    int64_t reset_ns; /* cut to milliseconds */
};

struct ratelimit_told ratelimit_told(const struct quota_pool *pool, enum ratelimit_unit unit,
                                     int64_t now_ns);

/* All that the headers of one answer tell of a pool; resets are not cut. */
struct ratelimit_told_all {
    struct ratelimit_told unit[2]; /* of enum ratelimit_unit */
    struct ratelimit_told images;
};

void ratelimit_tell_all(const struct quota_pool *pool, int64_t now_ns,
                        struct ratelimit_told_all *told);

/* `outcome` is what the pool said of the request at the same time. */
void ratelimit_headers_add(struct answer *answer, const struct limit_rules *rules,
                           const struct ratelimit_told_all *told,
                           const struct quota_answer *outcome);

#endif
