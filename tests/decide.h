/* decide: the three steps of a decision at once, for tests in which nobody else decides. */
#ifndef TOOMANY_TESTS_DECIDE_H
#define TOOMANY_TESTS_DECIDE_H

#include "mockserver/decision.h"

/* Fills the deciding fields of `entry` and *outcome, whose answer the caller frees. */
static inline void decide(struct api *api, const struct api_request *request, int64_t now_ns,
                          int64_t wall_ns, struct journal_entry *entry, struct api_outcome *outcome)
{
    struct decision decision;
    decision_read(&decision, api, request, entry, outcome);
    decision_choose(&decision, now_ns, wall_ns);
    decision_answer(&decision);
    decision_free(&decision);
}

#endif
