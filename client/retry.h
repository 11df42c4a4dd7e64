/* retry: what to do after an attempt that failed: wait how long, or give up and why.
 *
 * A pure core: the client, the simulator and the tests hand it the time, and random numbers with
 * a seed. It is asked once after each failed attempt of a call.
 *
 *     struct retry_policy policy = retry_policy_default();    exponential, 3 attempts, 1 s, x 2
 *     struct retry_state state = {.started_ns = now_ns};
 *     attempt 1 -> 429: retry_decide(...) = {.retry = true, .wait_ns = 1000000000}
 *     attempt 2 -> 429: retry_decide(...) = {.retry = true, .wait_ns = 2000000000}
 *     attempt 3 -> 429: retry_decide(...) = {.retry = false, .reason = "all attempts are used up"}
 *
 * The delay d before retry n (from 1) is base for a fixed policy, and min(cap, base * factor^(n-1))
 * for an exponential one. Jitter, as "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015)
 * names it, makes of d:
 *
 *     none          d
 *     full          0 to d
 *     equal         d/2 to d
 *     decorrelated  min(cap, base to 3 * the delay before), exponential policies only
 *     quarter       3d/4 to d, as the official SDKs of OpenAI do
 *
 * A delay drawn below delay_min_ns is raised to it.
 *
 * Retry-After, where it is honoured and longer than 0, takes the place of d: the wait is what was
 * asked, and with jitter up to a tenth more (never more than d), so that those who were sent
 * away together do not return together, and nobody returns early. With jitter "quarter" it is what
 * was asked and no more, because the SDKs add nothing.
 * A wait above retry_after_cap_ns is not cut short: coming back early is hammering, so the call
 * gives up (openai-python from 2.52 does the same, at 120 s). What others do can be chosen: take
 * the backoff instead (openai-node, above 60 s), or cut it to the cap (openai-go, openai-ruby).
 *
 * Retried are 408, 409, 429, 500 and above, and attempts without a whole answer, as the official
 * SDKs do; `x-should-retry` overrules that both ways. Never retried is what no waiting mends: a
 * quota that is used up until somebody pays (insufficient_quota and its kin).
 */
#ifndef TOOMANY_CLIENT_RETRY_H
#define TOOMANY_CLIENT_RETRY_H

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

enum retry_kind { RETRY_NONE, RETRY_FIXED, RETRY_EXPONENTIAL };

enum retry_jitter {
    RETRY_JITTER_NONE,
    RETRY_JITTER_FULL,
    RETRY_JITTER_EQUAL,
    RETRY_JITTER_DECORRELATED,
    RETRY_JITTER_QUARTER,
};

/* Of a Retry-After above retry_after_cap_ns. */
enum retry_above_cap { RETRY_ABOVE_CAP_GIVE_UP, RETRY_ABOVE_CAP_BACKOFF, RETRY_ABOVE_CAP_CLAMP };

struct retry_policy {
    enum retry_kind kind;
    enum retry_jitter jitter;
    int attempts_max;     /* the first one counted; a policy of kind none makes one */
    int64_t base_ns;      /* the first delay */
    double factor;        /* 1 or more */
    int64_t cap_ns;       /* most that a delay grows to */
    int64_t delay_min_ns; /* least that jitter leaves of a delay; not above cap_ns */
    bool honours_retry_after;
    int64_t retry_after_cap_ns; /* longest that Retry-After may ask for, see above_cap */
    enum retry_above_cap above_cap;
    int64_t total_ns; /* no wait ends later than this after the start; 0: no such limit */
};

/* Of one call. Start with {.started_ns = now}. */
struct retry_state {
    int64_t started_ns;
    int attempts;              /* that have ended */
    int64_t delay_previous_ns; /* of the backoff, for decorrelated jitter; 0: none yet */
};

enum retry_wish { RETRY_WISH_NONE, RETRY_WISH_YES, RETRY_WISH_NO }; /* x-should-retry */

/* How an attempt failed. */
struct retry_outcome {
    int status;             /* 0: no whole answer came (refused, reset, cut off, timed out) */
    const char *error_type; /* NULL where the body had none */
    const char *error_code;
    enum retry_wish wish;
    bool has_retry_after;
    int64_t retry_after_ns;
};

struct retry_decision {
    bool retry;
    int64_t wait_ns;    /* from now_ns */
    const char *reason; /* in a few words; static */
};

/* Exponential, 3 attempts, base 1 s, factor 2, cap 60 s, no jitter, Retry-After up to 120 s. */
struct retry_policy retry_policy_default(void);

/* To be asked after each failed attempt; counts it in *state. Draws from *random only what the
 * jitter needs. */
struct retry_decision retry_decide(const struct retry_policy *policy, struct retry_state *state,
                                   const struct retry_outcome *outcome, struct random *random,
                                   int64_t now_ns);

/* True for the errors that end when somebody pays or raises a limit, not with time. */
bool retry_is_quota_used_up(const char *error_type, const char *error_code);

#endif
