/* quota: the limits that one (key, model) shares, and what is used of them.
 *
 * Refill is continuous (token bucket): a pool starts full, every request takes its cost out of
 * each dimension, and what was taken comes back linearly over the dimension's window. So a limit
 * of 60 requests per minute admits 60 at once and then one a second.
 *
 * The numbers that OpenAI prints follow from that (openai-facts: matches recorded traffic):
 *     reset = used / limit * window                        the time until the pool is full again
 *     wait  = (used + requested - limit) / limit * window  the time until this request is admitted
 *
 * Example: limit 3 requests per minute, three made at once, the fourth is refused with
 * "Limit 3, Used 3, Requested 1. Please try again in 20s".
 *
 * Arithmetic is exact: what is used is held in units of 1/window_ns, so neither time nor rounding
 * ever admits one request more, or one fewer, than the rule allows.
 *
 * Pure: no I/O, no allocation, no clock; the time comes in as an argument.
 */
#ifndef TOOMANY_MOCKSERVER_QUOTA_H
#define TOOMANY_MOCKSERVER_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum quota_dimension {
    QUOTA_REQUESTS_PER_MINUTE,
    QUOTA_REQUESTS_PER_DAY,
    QUOTA_TOKENS_PER_MINUTE,
    QUOTA_TOKENS_PER_DAY,
    QUOTA_CONCURRENT_REQUESTS, /* taken on admission, given back when the answer has ended */
    QUOTA_REQUESTS_TOTAL,      /* what the plan has paid for; never refills: insufficient_quota */
    QUOTA_DIMENSION_COUNT,
};

/* The name in files and reports ("requests_per_minute"). */
const char *quota_dimension_name(enum quota_dimension dimension);
/* How OpenAI names it in a message ("requests per min (RPM)"). */
const char *quota_dimension_label(enum quota_dimension dimension);
/* 60 s or 86,400 s in ns; 0 for the two that do not refill with time. */
int64_t quota_dimension_window_ns(enum quota_dimension dimension);
/* True for the dimensions that count tokens. */
bool quota_dimension_counts_tokens(enum quota_dimension dimension);

/* A limit that is not set. */
#define QUOTA_UNLIMITED INT64_C(-1)
/* The largest limit: keeps limit * window_ns * 2 inside 128 bits with room to spare. */
#define QUOTA_LIMIT_MAX INT64_C(1000000000000)

struct quota_limits {
    int64_t limit[QUOTA_DIMENSION_COUNT]; /* QUOTA_UNLIMITED, or 0 and more */
};

__extension__ typedef unsigned __int128 quota_level;

struct quota_pool {
    struct quota_limits limits;
    quota_level level[QUOTA_DIMENSION_COUNT]; /* used, times the window in ns (times 1 without) */
    int64_t peak[QUOTA_DIMENSION_COUNT];      /* most that was used at any admission */
    int64_t updated_ns;
};

struct quota_answer {
    bool admitted;
    /* Where not admitted: */
    enum quota_dimension stopped_by; /* the limit that makes it wait longest */
    bool too_large;                  /* the cost alone is over the limit: waiting never helps */
    int64_t limit;
    int64_t used;      /* whole units, rounded to the nearest */
    int64_t requested; /* units */
    int64_t wait_ns;   /* until it would be admitted; -1: time alone does not help */
};

/* All dimensions unlimited. */
void quota_limits_init(struct quota_limits *limits);

/* A full pool at time now_ns. */
void quota_init(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns);

/* Admits a request that costs `tokens`, in every dimension or in none. now_ns may not go back. */
struct quota_answer quota_admit(struct quota_pool *pool, int64_t now_ns, int64_t tokens);

/* Gives back the place of an admitted request in QUOTA_CONCURRENT_REQUESTS. */
void quota_finish(struct quota_pool *pool);

/* Takes new limits; what is used stays used. Raising a limit makes the difference free at once. */
void quota_change(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns);

/* What is used at now_ns, in whole units, rounded up; what remains, rounded down, never below 0. */
int64_t quota_used(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns);
int64_t quota_remaining(const struct quota_pool *pool, enum quota_dimension dimension,
                        int64_t now_ns);

/* The time until the dimension is full again, in ns, rounded up; 0 when it does not refill. */
int64_t quota_reset(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns);

#endif
