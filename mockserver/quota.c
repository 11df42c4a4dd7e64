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
    enum unit { REQUESTS, TOKENS, IMAGES, UNIT_COUNT } unit;
} dimensions[QUOTA_DIMENSION_COUNT] = {
    [QUOTA_REQUESTS_PER_MINUTE] = {"requests_per_minute", "requests per min (RPM)", NS_PER_MINUTE,
                                   NS_PER_MINUTE, REQUESTS},
    [QUOTA_REQUESTS_PER_DAY] = {"requests_per_day", "requests per day (RPD)", NS_PER_DAY,
                                NS_PER_DAY, REQUESTS},
    [QUOTA_TOKENS_PER_MINUTE] = {"tokens_per_minute", "tokens per min (TPM)", NS_PER_MINUTE,
                                 NS_PER_MINUTE, TOKENS},
    [QUOTA_TOKENS_PER_DAY] = {"tokens_per_day", "tokens per day (TPD)", NS_PER_DAY, NS_PER_DAY,
                              TOKENS},
    [QUOTA_IMAGES_PER_MINUTE] = {"images_per_minute", "images per minute", NS_PER_MINUTE,
                                 NS_PER_MINUTE, IMAGES},
    [QUOTA_CONCURRENT_REQUESTS] = {"concurrent_requests", "concurrent requests", 0, 1, REQUESTS},
    [QUOTA_REQUESTS_TOTAL] = {"requests_total", "requests in total", 0, 1, REQUESTS},
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
    return dimensions[dimension].unit == TOKENS;
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

void quota_limits_say_nothing(struct quota_limits *limits)
{
    *limits = (struct quota_limits){.batch_queue_tokens = QUOTA_NOT_SAID,
                                    .enforcement = QUOTA_ENFORCEMENT_COUNT};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        limits->limit[i] = QUOTA_NOT_SAID;
}

static bool is_timed(int dimension)
{
    return dimension < QUOTA_TIMED_COUNT;
}

/* Of a dimension that is timed. */
static enum quota_enforcement enforcement_of(const struct quota_limits *limits, int dimension)
{
    if (limits->enforcement == QUOTA_PER_SECOND && dimensions[dimension].window_ns != NS_PER_MINUTE)
        return QUOTA_CONTINUOUS;
    return limits->enforcement;
}

/* --- continuous ------------------------------------------------------------------------------- */

static quota_level level_at(const struct quota_pool *pool, int dimension, int64_t now_ns)
{
    int64_t limit = pool->limits->limit[dimension];
    quota_level level = pool->use[dimension].level;
    quota_level refill = product(limit, now_ns - pool->updated_ns);
    return refill < level ? level - refill : 0;
}

/* --- fixed window, and per second, which is one of a period ----------------------------------- */

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
    const struct quota_use *use = &pool->use[dimension];
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
    pool->use[dimension].level = 0;
}

static void set_limits(struct quota_pool *pool, const struct quota_limits *limits)
{
    unsigned limited = 0;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        assert(limits->limit[i] >= QUOTA_UNLIMITED);
        limited |= (limits->limit[i] != QUOTA_UNLIMITED ? 1U : 0U) << i;
    }
    pool->limits = limits;
    pool->limited = (uint8_t)limited;
}

/* The bits of the dimensions that have a limit and come back with time. */
static unsigned timed_of(const struct quota_pool *pool)
{
    return pool->limited & ((1U << QUOTA_TIMED_COUNT) - 1);
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
    for (int i = 0; i < QUOTA_TIMED_COUNT; i++)
        empty(pool, i);
}

/* Gives back what has come back by now. */
static void bring_to(struct quota_pool *pool, int64_t now_ns)
{
    assert(now_ns >= pool->updated_ns);
    for (unsigned left = timed_of(pool); left != 0;) {
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
    const int64_t costs[UNIT_COUNT] = {cost->requests, cost->tokens, cost->images};
    return costs[dimensions[dimension].unit];
}

static int64_t plain_count(const struct quota_pool *pool, int dimension)
{
    return dimension == QUOTA_CONCURRENT_REQUESTS ? pool->in_flight : pool->total;
}

/* Whole units at the time that the pool was brought to. */
static int64_t used_now(const struct quota_pool *pool, int dimension)
{
    if (!is_timed(dimension))
        return plain_count(pool, dimension);
    const struct quota_use *use = &pool->use[dimension];
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
    if (!is_timed(dimension))
        return plain_count(pool, dimension) + cost <= limit;
    const struct quota_use *use = &pool->use[dimension];
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
    if (!is_timed(dimension) || limit == 0 || cost > limit)
        return -1;
    const struct quota_use *use = &pool->use[dimension];
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
    if (!is_timed(dimension) || enforcement_of(pool->limits, dimension) != QUOTA_CONTINUOUS)
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
        .too_large = dimensions[dimension].unit == TOKENS && cost > limit,
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

static void raise_peak(struct quota_use *use, int64_t weight)
{
    /* It mostly rises by one request, which needs no division. */
    bool is_next = use->level <= product(use->peak + 1, weight);
    use->peak = is_next ? use->peak + 1 : divide_up(use->level, weight);
}

static inline void note_level_peak(struct quota_use *use, int64_t weight)
{
    if (use->level > product(use->peak, weight))
        raise_peak(use, weight);
}

static void note_peak(struct quota_pool *pool, int dimension)
{
    if (enforcement_of(pool->limits, dimension) == QUOTA_CONTINUOUS) {
        note_level_peak(&pool->use[dimension], dimensions[dimension].weight);
        return;
    }
    int64_t used = used_now(pool, dimension);
    if (used > pool->use[dimension].peak)
        pool->use[dimension].peak = used;
}

static void take(struct quota_pool *pool, int dimension, int64_t cost)
{
    struct quota_use *use = &pool->use[dimension];
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
        struct quota_use *use = &pool->use[dimension];
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

/* Counted even where they are not limited: a limit may be set later. */
static void count_admitted(struct quota_pool *pool, int64_t requests)
{
    pool->in_flight += requests;
    pool->total += requests;
    if (pool->in_flight > pool->in_flight_peak)
        pool->in_flight_peak = pool->in_flight;
}

/* Brings the pool to now_ns, and takes the cost from all limits or from none. Unrolled, weights are
 * constants. */
static bool admit_continuous(struct quota_pool *pool, int64_t now_ns, const struct quota_cost *cost)
{
    const int64_t costs[UNIT_COUNT] = {cost->requests, cost->tokens, cost->images};
    bool is_admitted = true;
#pragma GCC unroll 5
    for (int i = 0; i < QUOTA_TIMED_COUNT; i++) {
        if ((pool->limited >> i & 1) == 0)
            continue;
        struct quota_use *use = &pool->use[i];
        int64_t weight = dimensions[i].weight;
        quota_level level = level_at(pool, i, now_ns) + product(costs[dimensions[i].unit], weight);
        use->level = level;
        is_admitted &= level <= product(pool->limits->limit[i], weight) ||
                       (i == QUOTA_IMAGES_PER_MINUTE && cost->images == 0);
    }
    for (unsigned left = pool->limited ^ timed_of(pool); left != 0;)
        is_admitted &= has_room(pool, next_dimension(&left), cost->requests);
#pragma GCC unroll 5
    for (int i = 0; i < QUOTA_TIMED_COUNT; i++) {
        if ((pool->limited >> i & 1) == 0)
            continue;
        if (is_admitted)
            note_level_peak(&pool->use[i], dimensions[i].weight);
        else
            pool->use[i].level -= product(costs[dimensions[i].unit], dimensions[i].weight);
    }
    pool->updated_ns = now_ns;
    return is_admitted;
}

static bool admit_windowed(struct quota_pool *pool, int64_t now_ns, const struct quota_cost *cost)
{
    bring_to(pool, now_ns);
    if (!gravest_refusal(pool, cost).admitted)
        return false;
    for (unsigned left = timed_of(pool); left != 0;) {
        int i = next_dimension(&left);
        int64_t cost_here = cost_in(i, cost);
        if (cost_here == 0)
            continue;
        take(pool, i, cost_here);
        note_peak(pool, i);
    }
    return true;
}

struct quota_answer quota_admit_cost(struct quota_pool *pool, int64_t now_ns,
                                     const struct quota_cost *cost)
{
    assert(cost->tokens >= 0 && cost->images >= 0 && cost->requests >= 0);
    assert(now_ns >= pool->updated_ns);
    bool is_admitted = pool->limits->enforcement == QUOTA_CONTINUOUS
                           ? admit_continuous(pool, now_ns, cost)
                           : admit_windowed(pool, now_ns, cost);
    if (is_admitted) {
        count_admitted(pool, cost->requests);
        return (struct quota_answer){.admitted = true};
    }
    /* It may change which limit makes it wait longest. */
    if (pool->limits->refused_count)
        count_refused(pool, cost->requests);
    return gravest_refusal(pool, cost);
}

struct quota_answer quota_admit(struct quota_pool *pool, int64_t now_ns, int64_t tokens)
{
    return quota_admit_cost(pool, now_ns, &(struct quota_cost){.requests = 1, .tokens = tokens});
}

/* A window that has come back since then owes nothing. */
static void give_back(struct quota_pool *pool, int dimension, int64_t taken_ns, int64_t amount)
{
    struct quota_use *use = &pool->use[dimension];
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
    for (int i = 0; i < QUOTA_TIMED_COUNT; i++) {
        if (dimensions[i].unit != TOKENS || pool->limits->limit[i] == QUOTA_UNLIMITED)
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
    assert(pool->in_flight > 0);
    pool->in_flight--;
}

int64_t quota_in_flight(const struct quota_pool *pool)
{
    return pool->in_flight;
}

void quota_change(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns)
{
    bring_to(pool, now_ns);
    for (int i = 0; i < QUOTA_TIMED_COUNT; i++) {
        /* Without a limit nothing refills, so what was used then says nothing of the new window;
         * another enforcement counts in another way. */
        bool starts = pool->limits->limit[i] == QUOTA_UNLIMITED ||
                      limits->limit[i] == QUOTA_UNLIMITED ||
                      enforcement_of(limits, i) != enforcement_of(pool->limits, i);
        if (starts)
            empty(pool, i);
    }
    set_limits(pool, limits);
}

void quota_refill(struct quota_pool *pool, int64_t now_ns)
{
    int64_t in_flight = pool->in_flight;
    quota_free(pool);
    quota_init(pool, pool->limits, now_ns);
    pool->in_flight = in_flight;
}

int64_t quota_used(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns)
{
    int i = (int)dimension;
    if (!is_timed(i))
        return plain_count(pool, i);
    if (pool->limits->limit[i] == QUOTA_UNLIMITED)
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
    if (is_timed(i) && enforcement_of(pool->limits, i) == QUOTA_PER_SECOND)
        limit = period_of(pool->limits, i).share;
    int64_t remaining = limit - quota_used(pool, dimension, now_ns);
    return remaining > 0 ? remaining : 0;
}

int64_t quota_peak(const struct quota_pool *pool, enum quota_dimension dimension)
{
    if (dimension == QUOTA_CONCURRENT_REQUESTS)
        return pool->in_flight_peak;
    return dimension == QUOTA_REQUESTS_TOTAL ? pool->total : pool->use[dimension].peak;
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
