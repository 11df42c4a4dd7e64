#include "mockserver/quota.h"

#include "base/duration.h"

#include <assert.h>

static const struct dimension {
    const char *name;
    const char *label;
    int64_t window_ns;
    bool counts_tokens;
} dimensions[QUOTA_DIMENSION_COUNT] = {
    [QUOTA_REQUESTS_PER_MINUTE] = {"requests_per_minute", "requests per min (RPM)", NS_PER_MINUTE,
                                   false},
    [QUOTA_REQUESTS_PER_DAY] = {"requests_per_day", "requests per day (RPD)", NS_PER_DAY, false},
    [QUOTA_TOKENS_PER_MINUTE] = {"tokens_per_minute", "tokens per min (TPM)", NS_PER_MINUTE, true},
    [QUOTA_TOKENS_PER_DAY] = {"tokens_per_day", "tokens per day (TPD)", NS_PER_DAY, true},
    [QUOTA_CONCURRENT_REQUESTS] = {"concurrent_requests", "concurrent requests", 0, false},
    [QUOTA_REQUESTS_TOTAL] = {"requests_total", "requests in total", 0, false},
};

const char *quota_dimension_name(enum quota_dimension dimension)
{
    return dimensions[dimension].name;
}

const char *quota_dimension_label(enum quota_dimension dimension)
{
    return dimensions[dimension].label;
}

int64_t quota_dimension_window_ns(enum quota_dimension dimension)
{
    return dimensions[dimension].window_ns;
}

bool quota_dimension_counts_tokens(enum quota_dimension dimension)
{
    return dimensions[dimension].counts_tokens;
}

/* What one unit weighs in a level: the window, so that a refill of `limit` per window is the
 * whole number `limit` a nanosecond. */
static int64_t unit_weight(int dimension)
{
    int64_t window_ns = dimensions[dimension].window_ns;
    return window_ns > 0 ? window_ns : 1;
}

static int64_t divide_up(quota_level dividend, int64_t divisor)
{
    /* Most levels fit in 64 bits, and a division of these is many times faster. */
    if (dividend <= UINT64_MAX) {
        uint64_t low = (uint64_t)dividend;
        uint64_t low_by = (uint64_t)divisor;
        return (int64_t)(low / low_by + (low % low_by != 0));
    }
    quota_level by = (quota_level)divisor;
    quota_level quotient = dividend / by;
    return (int64_t)quotient + (dividend % by != 0);
}

static int64_t divide_down(quota_level dividend, int64_t divisor)
{
    if (dividend <= UINT64_MAX)
        return (int64_t)((uint64_t)dividend / (uint64_t)divisor);
    quota_level by = (quota_level)divisor;
    return (int64_t)(dividend / by);
}

void quota_limits_init(struct quota_limits *limits)
{
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        limits->limit[i] = QUOTA_UNLIMITED;
}

void quota_init(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns)
{
    *pool = (struct quota_pool){.limits = *limits, .updated_ns = now_ns};
}

static quota_level level_at(const struct quota_pool *pool, int dimension, int64_t now_ns)
{
    int64_t limit = pool->limits.limit[dimension];
    quota_level level = pool->level[dimension];
    if (dimensions[dimension].window_ns == 0 || limit == QUOTA_UNLIMITED)
        return level;
    quota_level refill = (quota_level)limit * (quota_level)(now_ns - pool->updated_ns);
    return refill < level ? level - refill : 0;
}

static void bring_to(struct quota_pool *pool, int64_t now_ns)
{
    assert(now_ns >= pool->updated_ns);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        pool->level[i] = level_at(pool, i, now_ns);
    pool->updated_ns = now_ns;
}

static int64_t cost_in(int dimension, int64_t tokens)
{
    return dimensions[dimension].counts_tokens ? tokens : 1;
}

static bool has_room(const struct quota_pool *pool, int dimension, int64_t cost)
{
    int64_t limit = pool->limits.limit[dimension];
    if (limit == QUOTA_UNLIMITED)
        return true;
    quota_level weight = (quota_level)unit_weight(dimension);
    return pool->level[dimension] + (quota_level)cost * weight <= (quota_level)limit * weight;
}

static struct quota_answer refuse(const struct quota_pool *pool, int dimension, int64_t cost)
{
    int64_t limit = pool->limits.limit[dimension];
    quota_level weight = (quota_level)unit_weight(dimension);
    struct quota_answer answer = {
        .stopped_by = (enum quota_dimension)dimension,
        .too_large = dimensions[dimension].counts_tokens && cost > limit,
        .limit = limit,
        .used = divide_down(pool->level[dimension] + weight / 2, unit_weight(dimension)),
        .requested = cost,
        .wait_ns = -1,
    };
    bool refills = dimensions[dimension].window_ns > 0 && limit > 0 && cost <= limit;
    if (refills)
        answer.wait_ns = divide_up(pool->level[dimension] + (quota_level)cost * weight -
                                       (quota_level)limit * weight,
                                   limit);
    return answer;
}

/* Which of two refusals to tell: what no waiting cures comes first, then the longest wait, so
 * that a client that waits as long as it was told is not refused by the other limit. A full house
 * (concurrency) comes last: it may clear at any moment. */
static int rank(const struct quota_answer *answer)
{
    if (answer->stopped_by == QUOTA_REQUESTS_TOTAL)
        return 3;
    if (answer->stopped_by == QUOTA_CONCURRENT_REQUESTS)
        return 0;
    return answer->wait_ns < 0 ? 2 : 1;
}

static bool is_graver(const struct quota_answer *a, const struct quota_answer *b)
{
    if (rank(a) != rank(b))
        return rank(a) > rank(b);
    return a->wait_ns > b->wait_ns;
}

static void take(struct quota_pool *pool, int dimension, int64_t cost)
{
    int64_t weight = unit_weight(dimension);
    pool->level[dimension] += (quota_level)cost * (quota_level)weight;
    quota_level peak = (quota_level)pool->peak[dimension] * (quota_level)weight;
    if (pool->level[dimension] > peak)
        pool->peak[dimension] = divide_up(pool->level[dimension], weight);
}

struct quota_answer quota_admit(struct quota_pool *pool, int64_t now_ns, int64_t tokens)
{
    assert(tokens >= 0);
    bring_to(pool, now_ns);
    struct quota_answer gravest = {.admitted = true};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        int64_t cost = cost_in(i, tokens);
        if (has_room(pool, i, cost))
            continue;
        struct quota_answer refusal = refuse(pool, i, cost);
        if (gravest.admitted || is_graver(&refusal, &gravest))
            gravest = refusal;
    }
    if (gravest.admitted) {
        for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
            take(pool, i, cost_in(i, tokens));
    }
    return gravest;
}

void quota_finish(struct quota_pool *pool)
{
    assert(pool->level[QUOTA_CONCURRENT_REQUESTS] > 0);
    pool->level[QUOTA_CONCURRENT_REQUESTS]--;
}

void quota_change(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns)
{
    bring_to(pool, now_ns);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        /* Without a limit nothing refills, so what was used then says nothing of the new window. */
        bool starts = pool->limits.limit[i] == QUOTA_UNLIMITED &&
                      limits->limit[i] != QUOTA_UNLIMITED && dimensions[i].window_ns > 0;
        if (starts)
            pool->level[i] = 0;
    }
    pool->limits = *limits;
}

int64_t quota_used(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns)
{
    return divide_up(level_at(pool, (int)dimension, now_ns), unit_weight((int)dimension));
}

int64_t quota_remaining(const struct quota_pool *pool, enum quota_dimension dimension,
                        int64_t now_ns)
{
    int64_t remaining = pool->limits.limit[dimension] - quota_used(pool, dimension, now_ns);
    return remaining > 0 ? remaining : 0;
}

int64_t quota_reset(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns)
{
    int64_t limit = pool->limits.limit[dimension];
    if (dimensions[dimension].window_ns == 0 || limit <= 0)
        return 0;
    return divide_up(level_at(pool, (int)dimension, now_ns), limit);
}
