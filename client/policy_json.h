/* policy_json: a retry policy as it stands in a scenario file.
 *
 *     {"kind": "exponential", "max_attempts": 5, "base": "500ms", "factor": 2, "cap": "8s",
 *      "jitter": "full", "delay_min": "1s", "honour_retry_after": true, "retry_after_cap": "2m",
 *      "retry_after_above_cap": "give_up", "total": "1m"}
 *     {"kind": "fixed", "max_attempts": 5, "base": "2s"}
 *     {"kind": "none"}
 *
 * What is not said is as in retry_policy_default(). A key that the kind has no use for (a factor
 * for "fixed") is an error, because whoever wrote it expects it to do something.
 */
#ifndef TOOMANY_CLIENT_POLICY_JSON_H
#define TOOMANY_CLIENT_POLICY_JSON_H

#include "base/json.h"
#include "client/retry.h"

enum {
    RETRY_ATTEMPTS_MAX = 1000, /* more is a hot loop, or a mistake */
    RETRY_FACTOR_MAX = 100,
};

/* Fills *policy. False, with the reader's error filled, when `object` is not a policy. */
bool retry_policy_from_json(struct retry_policy *policy, const struct json_reader *reader,
                            const cJSON *object, const char *pointer);

/* Takes what `object` says in place of what *policy says; the kind stays. Members that are no
 * policy's are the caller's. */
bool retry_policy_override(struct retry_policy *policy, const struct json_reader *reader,
                           const cJSON *object, const char *pointer);

#endif
