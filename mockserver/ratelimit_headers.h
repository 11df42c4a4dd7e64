/* ratelimit_headers: what OpenAI tells of a pool with every answer.
 *
 *     x-ratelimit-limit-requests: 60          x-ratelimit-limit-tokens: 150000
 *     x-ratelimit-remaining-requests: 59      x-ratelimit-remaining-tokens: 149984
 *     x-ratelimit-reset-requests: 1s          x-ratelimit-reset-tokens: 6ms
 *
 * Resets are Go durations cut to milliseconds. Where a pool has a limit a day, the header shows
 * that one and not the one a minute, as captured from api.openai.com (reset 8.64s = 86400/10000).
 */
#ifndef TOOMANY_MOCKSERVER_RATELIMIT_HEADERS_H
#define TOOMANY_MOCKSERVER_RATELIMIT_HEADERS_H

#include "mockserver/answer.h"
#include "mockserver/quota.h"

enum ratelimit_unit { RATELIMIT_REQUESTS, RATELIMIT_TOKENS };

/* What the three headers of a unit say. */
struct ratelimit_told {
    bool is_told; /* false: the pool has no such limit, and the answer no such headers */
    int64_t limit;
    int64_t remaining;
    int64_t reset_ns; /* cut to milliseconds */
};

struct ratelimit_told ratelimit_told(const struct quota_pool *pool, enum ratelimit_unit unit,
                                     int64_t now_ns);

void ratelimit_headers_add(struct answer *answer, const struct quota_pool *pool, int64_t now_ns);

#endif
