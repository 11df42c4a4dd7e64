/* Retry policies, read from JSON and then asked for decisions. */
#include "client/policy_json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decide(const struct retry_policy *policy)
{
    static const struct retry_outcome outcomes[] = {
        {.status = 429, .error_type = "requests", .error_code = "rate_limit_exceeded"},
        {.status = 0},
        {.status = 503, .has_retry_after = true, .retry_after_ns = 1500000000},
    };
    struct random random;
    struct retry_state state = {.started_ns = 0};
    int64_t now_ns = 0;
    random_seed(&random, 1, 0);
    for (int attempt = 1; attempt <= policy->attempts_max; attempt++) {
        struct retry_decision decision =
            retry_decide(policy, &state, &outcomes[attempt % 3], &random, now_ns);
        assert(decision.reason != NULL && decision.wait_ns >= 0);
        if (!decision.retry)
            return;
        assert(attempt < policy->attempts_max);
        assert(policy->total_ns == 0 || now_ns + decision.wait_ns <= policy->total_ns);
        now_ns += decision.wait_ns;
    }
    assert(false && "a call that failed as often as it may must not be retried");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    struct json_reader reader = {.file = "fuzz.json", .error = &error};
    cJSON *root = json_parse((const char *)data, size, "fuzz.json", &error);
    if (root == NULL)
        return 0;
    struct retry_policy policy;
    if (retry_policy_from_json(&policy, &reader, root, "/client/policy"))
        decide(&policy);
    else
        assert(error.message[0] != '\0');
    cJSON_Delete(root);
    return 0;
}
