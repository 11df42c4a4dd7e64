/* strategy: how a program lives with a limit: a retry policy, perhaps a loop of its own around it,
 * and a gate in front.
 *
 *     {"strategy": "semaphore", "in_flight_max": 8}      with what the table says for the rest
 *     "openai-python"                                    the table's row as it is
 *
 * The table in strategy.c holds those that ship, each with its source. To add one, add its row.
 *
 * The outer loop is the retry loop that programs write around an SDK which retries by itself: when
 * the inner policy gives up an attempt that waiting might have mended, the outer one decides
 * whether the whole call is made again. Three attempts outside and three inside make nine.
 */
#ifndef TOOMANY_CLIENT_STRATEGY_H
#define TOOMANY_CLIENT_STRATEGY_H

#include "base/json.h"
#include "client/gate.h"
#include "client/retry.h"

enum {
    STRATEGY_NAME_SIZE = 64,
    STRATEGY_IN_FLIGHT_MAX = 1000000,
};

struct strategy {
    char name[STRATEGY_NAME_SIZE];  /* of the table's row */
    char label[STRATEGY_NAME_SIZE]; /* as reports show it: what the file says, else the name; "" in
                                       the table */
    const char *description;        /* one line; static */
    const char *source;             /* where the rule comes from; static */
    struct retry_policy policy;
    struct retry_policy outer; /* kind RETRY_NONE: no loop around it; never decorrelated */
    struct gate_settings gate;
    /* The gate takes its rate from the quota that the caller knows: this share of it. 0: it has
     * rates of its own, or none. */
    double quota_share;
};

/* The strategies that ship, in the order of docs; ends with a row whose name is "". */
const struct strategy *strategy_table(void);

/* NULL when there is none of that name. */
const struct strategy *strategy_find(const char *name);

/* Reads a name, or an object: {"strategy": NAME, "label": TEXT, and what its policy and its gate
 * have a use for}:
 *     max_attempts, base, factor, cap, jitter, honour_retry_after, retry_after_cap, total
 *     outer_attempts, outer_base, outer_factor
 *     in_flight_max, requests_per_minute, tokens_per_minute, quota_share, pause,
 *     in_flight_start, increase, decrease
 * False, with the reader's error filled, when it is none. */
bool strategy_from_json(struct strategy *strategy, const struct json_reader *reader,
                        const cJSON *item, const char *pointer);

/* Tells a strategy that paces by a known quota what the quota is; 0: no limit in that dimension.
 * Does nothing for others. */
void strategy_know_quota(struct strategy *strategy, int64_t requests_per_minute,
                         int64_t tokens_per_minute);

/* The longest that a strategy can make of a call: attempts outside times attempts inside. */
int strategy_attempts_max(const struct strategy *strategy);

/* Of one call. Start with {.inner.started_ns = now, .started_ns = now}. */
struct strategy_state {
    struct retry_state inner;
    int64_t started_ns;
    int attempts;     /* of the call, all counted */
    int outer_rounds; /* of the outer loop, that have ended */
};

/* As retry_decide, with the outer loop asked where the policy gives up. */
struct retry_decision strategy_decide(const struct strategy *strategy, struct strategy_state *state,
                                      const struct retry_outcome *outcome, struct random *random,
                                      int64_t now_ns);

#endif
