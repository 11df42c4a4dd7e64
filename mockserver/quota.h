/* quota: the limits that one (key, model) shares, and what is used of them.
 *
 * A pool starts full; every request takes its cost out of each dimension, in all or in none. How
 * what was taken comes back is the enforcement, of which there are four:
 *
 *     continuous       linearly over the window (token bucket): 60 a minute admit 60 at once, and
 *                      then one a second
 *     fixed window     all of it when the window is over, which begins with the first request that
 *                      finds none open
 *     sliding window   a window after it was taken: never more than the limit in any window
 *     per second       as a fixed window of a second with a sixtieth of the limit (below 60 a
 *                      minute: 1 in 60 s / limit). A request that is larger than that, but not than
 *                      the limit, is admitted by a second that is unused, and takes the seconds
 *                      after it, too. Limits a day come back continuously.
 *
 * The numbers that OpenAI prints follow from the first (openai-facts: matches recorded traffic):
 *     reset = used / limit * window                        the time until the pool is full again
 *     wait  = (used + requested - limit) / limit * window  the time until this request is admitted
 *
 * Example: limit 3 requests per minute, three made at once, the fourth is refused with
 * "Limit 3, Used 3, Requested 1. Please try again in 20s".
 *
 * Refused requests may count (OpenAI: "unsuccessful requests contribute to your per-minute limit"):
 * one then uses up a request a minute and a day, as far as there is one left, and the wait that it
 * is told has that in it. So the one above is told 20s whenever it comes, as logged messages show.
 *
 * Arithmetic is exact: what is used is held in units of 1/window_ns, so neither time nor rounding
 * ever admits one request more, or one fewer, than the rule allows. A sliding window knows when
 * things were taken to 1/60,000 of itself (1 ms of a minute), rounded up.
 *
 * No I/O, no clock: the time comes in as an argument. Only sliding windows allocate.
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
    QUOTA_IMAGES_PER_MINUTE,
    QUOTA_CONCURRENT_REQUESTS, /* taken on admission, given back when the answer has ended */
    QUOTA_REQUESTS_TOTAL,      /* what the plan has paid for; never refills: insufficient_quota */
    QUOTA_DIMENSION_COUNT,
    QUOTA_TIMED_COUNT = QUOTA_CONCURRENT_REQUESTS, /* those before it come back with time */
};

/* The name in files and reports ("requests_per_minute"). */
const char *quota_dimension_name(enum quota_dimension dimension);
/* How OpenAI names it in a message ("requests per min (RPM)"). */
const char *quota_dimension_label(enum quota_dimension dimension);
/* 60 s or 86,400 s in ns; 0 for the two that do not refill with time. */
int64_t quota_dimension_window_ns(enum quota_dimension dimension);
/* True for the dimensions that count tokens. */
bool quota_dimension_counts_tokens(enum quota_dimension dimension);

enum quota_enforcement {
    QUOTA_CONTINUOUS,
    QUOTA_FIXED_WINDOW,
    QUOTA_SLIDING_WINDOW,
    QUOTA_PER_SECOND,
    QUOTA_ENFORCEMENT_COUNT,
};

/* The names in files ("continuous"), with a NULL at the end. */
extern const char *const quota_enforcement_names[QUOTA_ENFORCEMENT_COUNT + 1];

/* A limit that is not set. */
#define QUOTA_UNLIMITED INT64_C(-1)
/* A limit of which nothing is said, and which somebody else may say. No pool has it. */
#define QUOTA_NOT_SAID INT64_C(-2)
/* The largest limit: keeps limit * window_ns * 2 inside 128 bits with room to spare. */
#define QUOTA_LIMIT_MAX INT64_C(1000000000000)

struct quota_limits {
    int64_t limit[QUOTA_DIMENSION_COUNT]; /* QUOTA_UNLIMITED, or 0 and more */
    int64_t batch_queue_tokens; /* of the batches that have not ended: no dimension of a pool */
    enum quota_enforcement enforcement;
    bool refused_count; /* refused requests use up requests a minute and a day */
};

struct quota_cost {
    int64_t requests;
    int64_t tokens;
    int64_t images;
};

__extension__ typedef unsigned __int128 quota_level;
typedef quota_level quota_packed_level __attribute__((aligned(8)));

struct quota_log; /* what a sliding window has seen */

/* What is used of one dimension, by its enforcement, and the most that was used at any admission.
 * Packed, so that the first three, which OpenAI's accounts mostly have, are few lines of a cache.
 */
struct quota_use {
    union {
        quota_packed_level level; /* continuous: used times the window in ns */
        struct {
            int64_t used;
            int64_t start_ns; /* of the window or the period, where anything is used */
        } window;
        struct quota_log *log; /* sliding window; NULL: nothing yet */
    };
    int64_t peak;
};

struct quota_pool {
    const struct quota_limits *limits; /* not owned */
    int64_t updated_ns;
    uint8_t limited; /* a bit for each dimension that has a limit */
    int64_t in_flight;
    int64_t in_flight_peak;
    int64_t total; /* what was admitted, where the plan pays for so many */
    struct quota_use use[QUOTA_TIMED_COUNT];
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

/* All dimensions unlimited, continuous, refused requests do not count. */
void quota_limits_init(struct quota_limits *limits);

/* Nothing is said, nor of the enforcement: that is QUOTA_ENFORCEMENT_COUNT. */
void quota_limits_say_nothing(struct quota_limits *limits);

/* A full pool at time now_ns. `limits` must stay until they are changed or the pool is freed. */
void quota_init(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns);
void quota_free(struct quota_pool *pool);

/* Admits a request of this cost, in every dimension or in none; one without images does not
 * ask for them. now_ns may not go back. */
struct quota_answer quota_admit_cost(struct quota_pool *pool, int64_t now_ns,
                                     const struct quota_cost *cost);
/* The same for one request that costs `tokens`. */
struct quota_answer quota_admit(struct quota_pool *pool, int64_t now_ns, int64_t tokens);

/* Puts right what a request that was admitted at taken_ns was charged, when it is known what it
 * really used: the difference is taken, beyond the limit if need be, or given back as far as it is
 * still out. A sliding window gives back what was taken last. */
void quota_settle(struct quota_pool *pool, int64_t now_ns, int64_t taken_ns, int64_t charged_tokens,
                  int64_t actual_tokens);

/* Gives back the place of an admitted request in QUOTA_CONCURRENT_REQUESTS. */
void quota_finish(struct quota_pool *pool);
/* How many places are taken. */
int64_t quota_in_flight(const struct quota_pool *pool);

/* Takes new limits; what is used stays used. Raising a limit makes the difference free at once.
 * With another enforcement all that comes back with time starts full. */
void quota_change(struct quota_pool *pool, const struct quota_limits *limits, int64_t now_ns);

/* Fills the pool again; what is in flight stays counted. */
void quota_refill(struct quota_pool *pool, int64_t now_ns);

/* What is used at now_ns, in whole units, rounded up; what remains, rounded down, never below 0 (of
 * this second, where that is the enforcement). */
int64_t quota_used(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns);
int64_t quota_remaining(const struct quota_pool *pool, enum quota_dimension dimension,
                        int64_t now_ns);

/* The most that was used at any admission, in whole units, rounded up. */
int64_t quota_peak(const struct quota_pool *pool, enum quota_dimension dimension);

/* The time until the dimension is full again, in ns, rounded up; 0 when it does not refill. For a
 * pool per second: until its next second. */
int64_t quota_reset(const struct quota_pool *pool, enum quota_dimension dimension, int64_t now_ns);

#endif
