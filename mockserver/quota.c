#include "mockserver/quota.h"

#include "base/duration.h"
#include "mockserver/quota_log.h"

#include <assert.h>
#include <stdlib.h>

static const struct dimension {
    const char *name;
    const char *label;
    int64_t window_ns;
    /* What one unit weighs in a level: the window, so that a refill of `limit` per window is the
     * whole number `limit` a nanosecond. */
    int64_t weight;
    bool counts_tokens;
} dimensions[QUOTA_DIMENSION_COUNT] = {
    [QUOTA_REQUESTS_PER_MINUTE] = {"requests_per_minute", "requests per min (RPM)", NS_PER_MINUTE,
                                   NS_PER_MINUTE, false},
    [QUOTA_REQUESTS_PER_DAY] = {"requests_per_day", "requests per day (RPD)", NS_PER_DAY,
                                NS_PER_DAY, false},
    [QUOTA_TOKENS_PER_MINUTE] = {"tokens_per_minute", "tokens per min (TPM)", NS_PER_MINUTE,
                                 NS_PER_MINUTE, true},
    [QUOTA_TOKENS_PER_DAY] = {"tokens_per_day", "tokens per day (TPD)", NS_PER_DAY, NS_PER_DAY,
                              true},
    [QUOTA_IMAGES_PER_MINUTE] = {"images_per_minute", "images per minute", NS_PER_MINUTE,
                                 NS_PER_MINUTE, false},
    [QUOTA_CONCURRENT_REQUESTS] = {"concurrent_requests", "concurrent requests", 0, 1, false},
    [QUOTA_REQUESTS_TOTAL] = {"requests_total", "requests in total", 0, 1, false},
};

const char *const quota_enforcement_names[QUOTA_ENFORCEMENT_COUNT + 1] = {
    "continuous", "fixed_window", "sliding_window", "per_second", NULL};

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

/* Of two that are not negative: one multiplication, where 128 bits by 128 are three. */
static quota_level product(int64_t a, int64_t b)
{
    return (quota_level)(uint64_t)a * (uint64_t)b;
}

/* Most levels fit in 64 bits, whose division the processor does several times faster. */
static int64_t divide_up(quota_level dividend, int64_t divisor)
{
    if (dividend <= UINT64_MAX) {
        uint64_t by = (uint64_t)divisor;
        uint64_t quotient = (uint64_t)dividend / by;
        return (int64_t)(quotient + (quotient * by != (uint64_t)dividend));
    }
    quota_level by = (quota_level)divisor;
    quota_level quotient = dividend / by;
    return (int64_t)quotient + (quotient * by != dividend);
}

void quota_limits_init(struct quota_limits *limits)
{
    *limits = (struct quota_limits){.batch_queue_tokens = QUOTA_UNLIMITED,
                                    .enforcement = QUOTA_CONTINUOUS};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        limits->limit[i] = QUOTA_UNLIMITED;
}

static bool is_timed(int dimension)
{
    return dimensions[dimension].window_ns > 0;
}

/* What has no window is a plain count, whatever the enforcement. */
static enum quota_enforcement enforcement_of(const struct quota_limits *limits, int dimension)
{
    if (!is_timed(dimension))
        return QUOTA_CONTINUOUS;
    if (limits->enforcement == QUOTA_PER_SECOND && dimensions[dimension].window_ns != NS_PER_MINUTE)
        return QUOTA_CONTINUOUS;
    return limits->enforcement;
}

/* --- continuous ------------------------------------------------------------------------------- */

static quota_level level_at(const struct quota_pool *pool, int dimension, int64_t now_ns)
{
    int64_t limit = pool->limits->limit[dimension];
    quota_level level = pool->use[dimension].level;
    if (!is_timed(dimension))
        return level;
    quota_level refill = product(limit, now_ns - pool->updated_ns);
    return refill < level ? level - refill : 0;
}

/* --- fixed window, and per second, which is one of a period ------------------------------------
 */

enum { PERIODS_MAX = 120 }; /* that one request can take: the limit over a sixtieth of it, cut */

struct period {
    int64_t length_ns;
    int64_t share; /* units in it */
};

static struct period period_of(const struct quota_limits *limits, int dimension)
{
    int64_t limit = limits->limit[dimension];
    int64_t window_ns = dimensions[dimension].window_ns;
    if (limits->enforcement != QUOTA_PER_SECOND || limit == 0)
        return (struct period){window_ns, limit};
    if (limit < NS_PER_MINUTE / NS_PER_S)
        return (struct period){(window_ns + limit - 1) / limit, 1};
    return (struct period){NS_PER_S, limit / (NS_PER_MINUTE / NS_PER_S)};
}

/* When what is used comes back. */
static int64_t window_end(const struct quota_pool *pool, int dimension)
{
    const union quota_use *use = &pool->use[dimension];
    struct period period = period_of(pool->limits, dimension);
    int64_t count = 1;
    if (pool->limits->enforcement == QUOTA_PER_SECOND && use->window.used > period.share)
        count = period.share > 0 ? (use->window.used + period.share - 1) / period.share : 1;
    return use->window.start_ns + (count < PERIODS_MAX ? count : PERIODS_MAX) * period.length_ns;
}

static int64_t window_used(const struct quota_pool *pool, int dimension, int64_t now_ns)
{
    int64_t used = pool->use[dimension].window.used;
    return used > 0 && now_ns < window_end(pool, dimension) ? used : 0;
}

/* --- all of them ------------------------------------------------------------------------------ */

static void empty(struct quota_pool *pool, int dimension)
{
    if (enforcement_of(pool->limits, dimension) == QUOTA_SLIDING_WINDOW)
        free(pool->use[dimension].log);
    pool->use[dimension] = (union quota_use){.level = 0};
}

/* What is in flight and what the plan has paid for is counted even where it is not limited: a
 * limit may be set later. */
static void set_limits(struct quota_pool *pool, const struct quota_limits *limits)
{
    unsigned limited = 0;
    unsigned untimed = 0;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        limited |= (limits->limit[i] != QUOTA_UNLIMITED ? 1U : 0U) << i;
        untimed |= (is_timed(i) ? 0U : 1U) << i;
    }
    pool->limits = limits;
    pool->limited = (uint8_t)limited;
    pool->counted = (uint8_t)(limited | untimed);
}

/* Most pools have few limits: walks the dimensions whose bit is set. */
static int next_dimension(unsigned *left)
{
    int dimension = __builtin_ctz(*left);
    *left &= *left - 1;
    return dimension;
}

void quota_init(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns)
{
    *pool = (struct quota_pool){.updated_ns = now_ns};
    set_limits(pool, limits);
}

void quota_free(struct quota_pool *pool)
{
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        empty(pool, i);
}

/* Gives back what has come back by now. */
static void bring_to(struct quota_pool *pool, int64_t now_ns)
{
    assert(now_ns >= pool->updated_ns);
    for (unsigned left = pool->limited; left != 0;) {
        int i = next_dimension(&left);
        switch (enforcement_of(pool->limits, i)) {
        case QUOTA_FIXED_WINDOW:
        case QUOTA_PER_SECOND:
            pool->use[i].window.used = window_used(pool, i, now_ns);
            break;
        case QUOTA_SLIDING_WINDOW:
            quota_log_expire(pool->use[i].log, dimensions[i].window_ns, now_ns);
            break;
        default:
            pool->use[i].level = level_at(pool, i, now_ns);
        }
    }
    pool->updated_ns = now_ns;
}

static int64_t cost_in(int dimension, const struct quota_cost *cost)
{
    if (dimensions[dimension].counts_tokens)
        return cost->tokens;
    return dimension == QUOTA_IMAGES_PER_MINUTE ? cost->images : cost->requests;
}

/* Whole units at the time that the pool was brought to. */
static int64_t used_now(const struct quota_pool *pool, int dimension)
{
    const union quota_use *use = &pool->use[dimension];
    switch (enforcement_of(pool->limits, dimension)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        return use->window.used;
    case QUOTA_SLIDING_WINDOW:
        return quota_log_kept(use->log);
    default:
        return divide_up(use->level, dimensions[dimension].weight);
    }
}

static bool has_room(const struct quota_pool *pool, int dimension, int64_t cost)
{
    int64_t limit = pool->limits->limit[dimension];
    if (cost == 0 && dimension == QUOTA_IMAGES_PER_MINUTE)
        return true;
    const union quota_use *use = &pool->use[dimension];
    switch (enforcement_of(pool->limits, dimension)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        if (use->window.used == 0)
            return cost <= limit;
        return use->window.used + cost <= period_of(pool->limits, dimension).share;
    case QUOTA_SLIDING_WINDOW:
        return used_now(pool, dimension) + cost <= limit;
    default: {
        int64_t weight = dimensions[dimension].weight;
        return use->level + product(cost, weight) <= product(limit, weight);
    }
    }
}

static int64_t wait_for_room(const struct quota_pool *pool, int dimension, int64_t cost)
{
    int64_t limit = pool->limits->limit[dimension];
    const union quota_use *use = &pool->use[dimension];
    if (!is_timed(dimension) || limit == 0 || cost > limit)
        return -1;
    switch (enforcement_of(pool->limits, dimension)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        return window_end(pool, dimension) - pool->updated_ns;
    case QUOTA_SLIDING_WINDOW:
        return quota_log_wait(use->log, dimensions[dimension].window_ns, pool->updated_ns,
                              used_now(pool, dimension) + cost - limit);
    default: {
        int64_t weight = dimensions[dimension].weight;
        return divide_up(use->level + product(cost, weight) - product(limit, weight), limit);
    }
    }
}

static int64_t used_nearest(const struct quota_pool *pool, int dimension)
{
    if (enforcement_of(pool->limits, dimension) != QUOTA_CONTINUOUS)
        return used_now(pool, dimension);
    quota_level weight = (quota_level)dimensions[dimension].weight;
    quota_level level = pool->use[dimension].level + weight / 2;
    if (level <= UINT64_MAX)
        return (int64_t)((uint64_t)level / (uint64_t)weight);
    return (int64_t)(level / weight);
}

static struct quota_answer refuse(const struct quota_pool *pool, int dimension, int64_t cost)
{
    int64_t limit = pool->limits->limit[dimension];
    return (struct quota_answer){
        .stopped_by = (enum quota_dimension)dimension,
        .too_large = dimensions[dimension].counts_tokens && cost > limit,
        .limit = limit,
        .used = used_nearest(pool, dimension),
        .requested = cost,
        .wait_ns = wait_for_room(pool, dimension, cost),
    };
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

static void note_level_peak(struct quota_pool *pool, int dimension)
{
    quota_level level = pool->use[dimension].level;
    int64_t weight = dimensions[dimension].weight;
    int64_t *peak = &pool->peak[dimension];
    if (level <= product(*peak, weight))
        return;
    /* It mostly rises by one request, which needs no division. */
    bool is_next = level <= product(*peak + 1, weight);
    *peak = is_next ? *peak + 1 : divide_up(level, weight);
}

static void note_peak(struct quota_pool *pool, int dimension)
{
    if (enforcement_of(pool->limits, dimension) == QUOTA_CONTINUOUS) {
        note_level_peak(pool, dimension);
        return;
    }
    int64_t used = used_now(pool, dimension);
    if (used > pool->peak[dimension])
        pool->peak[dimension] = used;
}

static void take(struct quota_pool *pool, int dimension, int64_t cost)
{
    union quota_use *use = &pool->use[dimension];
    switch (enforcement_of(pool->limits, dimension)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        if (use->window.used == 0)
            use->window.start_ns = pool->updated_ns;
        use->window.used += cost;
        break;
    case QUOTA_SLIDING_WINDOW:
        quota_log_take(&use->log, dimensions[dimension].window_ns, pool->updated_ns, cost);
        break;
    default:
        use->level += product(cost, dimensions[dimension].weight);
    }
}

/* A refused request uses up a request, or what is left of one. */
static void count_refused(struct quota_pool *pool, int64_t requests)
{
    static const int counted[] = {QUOTA_REQUESTS_PER_MINUTE, QUOTA_REQUESTS_PER_DAY};
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
        int dimension = counted[i];
        int64_t limit = pool->limits->limit[dimension];
        union quota_use *use = &pool->use[dimension];
        if (limit == QUOTA_UNLIMITED)
            continue;
        if (has_room(pool, dimension, requests)) {
            take(pool, dimension, requests);
        } else if (enforcement_of(pool->limits, dimension) == QUOTA_CONTINUOUS) {
            quota_level full = product(limit, dimensions[dimension].weight);
            if (use->level < full)
                use->level = full;
        }
        note_peak(pool, dimension);
    }
}

static struct quota_answer gravest_refusal(const struct quota_pool *pool,
                                           const struct quota_cost *cost)
{
    struct quota_answer gravest = {.admitted = true};
    for (unsigned left = pool->limited; left != 0;) {
        int i = next_dimension(&left);
        int64_t cost_here = cost_in(i, cost);
        if (has_room(pool, i, cost_here))
            continue;
        struct quota_answer refusal = refuse(pool, i, cost_here);
        if (gravest.admitted || is_graver(&refusal, &gravest))
            gravest = refusal;
    }
    return gravest;
}

/* The usual admission in one pass: limits refill continuously, and there is room in all of them.
 * False, with nothing changed, where that is not so; then the rules above decide. */
static bool admit_at_once(struct quota_pool *pool, int64_t now_ns, const struct quota_cost *cost)
{
    quota_level levels[QUOTA_DIMENSION_COUNT];
    if (pool->limits->enforcement != QUOTA_CONTINUOUS)
        return false;
    for (unsigned left = pool->limited; left != 0;) {
        int i = next_dimension(&left);
        int64_t cost_here = cost_in(i, cost);
        int64_t weight = dimensions[i].weight;
        levels[i] = level_at(pool, i, now_ns) + product(cost_here, weight);
        if (levels[i] > product(pool->limits->limit[i], weight) &&
            (cost_here > 0 || i != QUOTA_IMAGES_PER_MINUTE))
            return false;
    }
    for (unsigned left = pool->limited; left != 0;) {
        int i = next_dimension(&left);
        pool->use[i].level = levels[i];
        note_level_peak(pool, i);
    }
    for (unsigned left = pool->counted ^ pool->limited; left != 0;) {
        int i = next_dimension(&left);
        pool->use[i].level += product(cost->requests, 1);
        note_level_peak(pool, i);
    }
    pool->updated_ns = now_ns;
    return true;
}

struct quota_answer quota_admit_cost(struct quota_pool *pool, int64_t now_ns,
                                     const struct quota_cost *cost)
{
    assert(cost->tokens >= 0 && cost->images >= 0 && cost->requests >= 0);
    assert(now_ns >= pool->updated_ns);
    if (admit_at_once(pool, now_ns, cost))
        return (struct quota_answer){.admitted = true};
    bring_to(pool, now_ns);
    bool is_refused =
        pool->limits->enforcement == QUOTA_CONTINUOUS || !gravest_refusal(pool, cost).admitted;
    if (is_refused) {
        /* It may change which limit makes it wait longest. */
        if (pool->limits->refused_count)
            count_refused(pool, cost->requests);
        return gravest_refusal(pool, cost);
    }
    for (unsigned left = pool->counted; left != 0;) {
        int i = next_dimension(&left);
        int64_t cost_here = cost_in(i, cost);
        if (cost_here == 0)
            continue;
        take(pool, i, cost_here);
        note_peak(pool, i);
    }
    return (struct quota_answer){.admitted = true};
}

struct quota_answer quota_admit(struct quota_pool *pool, int64_t now_ns, int64_t tokens)
{
    return quota_admit_cost(pool, now_ns, &(struct quota_cost){.requests = 1, .tokens = tokens});
}

/* A window that has come back since then owes nothing. */
static void give_back(struct quota_pool *pool, int dimension, int64_t taken_ns, int64_t amount)
{
    union quota_use *use = &pool->use[dimension];
    switch (enforcement_of(pool->limits, dimension)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        if (use->window.start_ns <= taken_ns)
            use->window.used -= amount < use->window.used ? amount : use->window.used;
        break;
    case QUOTA_SLIDING_WINDOW:
        if (taken_ns > pool->updated_ns - dimensions[dimension].window_ns)
            quota_log_give_back(use->log, amount);
        break;
    default: {
        quota_level less = product(amount, dimensions[dimension].weight);
        use->level -= less < use->level ? less : use->level;
    }
    }
}

void quota_settle(struct quota_pool *pool, int64_t now_ns, int64_t taken_ns, int64_t charged_tokens,
                  int64_t actual_tokens)
{
    bring_to(pool, now_ns);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (!dimensions[i].counts_tokens || pool->limits->limit[i] == QUOTA_UNLIMITED)
            continue;
        if (actual_tokens > charged_tokens)
            take(pool, i, actual_tokens - charged_tokens);
        else if (actual_tokens < charged_tokens)
            give_back(pool, i, taken_ns, charged_tokens - actual_tokens);
        note_peak(pool, i);
    }
}

void quota_finish(struct quota_pool *pool)
{
    assert(pool->use[QUOTA_CONCURRENT_REQUESTS].level > 0);
    pool->use[QUOTA_CONCURRENT_REQUESTS].level--;
}

int64_t quota_in_flight(const struct quota_pool *pool)
{
    return (int64_t)pool->use[QUOTA_CONCURRENT_REQUESTS].level;
}

void quota_change(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns)
{
    bring_to(pool, now_ns);
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        /* Without a limit nothing refills, so what was used then says nothing of the new window;
         * another enforcement counts in another way. */
        bool starts = is_timed(i) && (pool->limits->limit[i] == QUOTA_UNLIMITED ||
                                      limits->limit[i] == QUOTA_UNLIMITED ||
                                      enforcement_of(limits, i) != enforcement_of(pool->limits, i));
        if (starts)
            empty(pool, i);
    }
    set_limits(pool, limits);
}

void quota_refill(struct quota_pool *pool, int64_t now_ns)
{
    union quota_use in_flight = pool->use[QUOTA_CONCURRENT_REQUESTS];
    quota_free(pool);
    quota_init(pool, pool->limits, now_ns);
    pool->use[QUOTA_CONCURRENT_REQUESTS] = in_flight;
}

int64_t quota_used(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns)
{
    int i = (int)dimension;
    if ((pool->counted >> i & 1) == 0)
        return 0;
    switch (enforcement_of(pool->limits, i)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        return window_used(pool, i, now_ns);
    case QUOTA_SLIDING_WINDOW:
        return quota_log_used(pool->use[i].log, dimensions[i].window_ns, now_ns);
    default:
        return divide_up(level_at(pool, i, now_ns), dimensions[i].weight);
    }
}

int64_t quota_remaining(const struct quota_pool *pool, enum quota_dimension dimension,
                        int64_t now_ns)
{
    int i = (int)dimension;
    int64_t limit = pool->limits->limit[i];
    if (enforcement_of(pool->limits, i) == QUOTA_PER_SECOND)
        limit = period_of(pool->limits, i).share;
    int64_t remaining = limit - quota_used(pool, dimension, now_ns);
    return remaining > 0 ? remaining : 0;
}

int64_t quota_reset(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns)
{
    int i = (int)dimension;
    int64_t limit = pool->limits->limit[i];
    if (!is_timed(i) || limit <= 0)
        return 0;
    const struct quota_log *log = pool->use[i].log;
    switch (enforcement_of(pool->limits, i)) {
    case QUOTA_FIXED_WINDOW:
    case QUOTA_PER_SECOND:
        return window_used(pool, i, now_ns) > 0 ? window_end(pool, i) - now_ns : 0;
    case QUOTA_SLIDING_WINDOW:
        if (quota_log_used(log, dimensions[i].window_ns, now_ns) == 0)
            return 0;
        return quota_log_last_ns(log) + dimensions[i].window_ns - now_ns;
    default:
        return divide_up(level_at(pool, i, now_ns), limit);
    }
}
