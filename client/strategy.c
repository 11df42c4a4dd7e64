#include "client/strategy.h"

#include "base/duration.h"
#include "client/policy_json.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define AWS_JITTER "AWS Architecture Blog, \"Exponential Backoff And Jitter\" (2015)"

/* Six attempts between 1 s and 60 s, as the cookbook's notebook has it (tenacity,
 * wait_random_exponential(min=1, max=60), stop_after_attempt(6)). */
#define PATIENT                                                                                    \
    .kind = RETRY_EXPONENTIAL, .attempts_max = 6, .base_ns = NS_PER_S, .factor = 2,                \
    .cap_ns = 60 * NS_PER_S, .retry_after_cap_ns = 120 * NS_PER_S

/* min(0.5 s * 2^n, 8 s) less up to a quarter, two retries, Retry-After as it is. */
#define OPENAI_SDK                                                                                 \
    .kind = RETRY_EXPONENTIAL, .jitter = RETRY_JITTER_QUARTER, .attempts_max = 3,                  \
    .base_ns = 500 * NS_PER_MS, .factor = 2, .cap_ns = 8 * NS_PER_S, .honours_retry_after = true

/* The loop that programs write themselves: three attempts, 1 s and then 2 s between them. */
#define THREE_ATTEMPTS                                                                             \
    .kind = RETRY_EXPONENTIAL, .attempts_max = 3, .base_ns = NS_PER_S, .factor = 2,                \
    .cap_ns = 60 * NS_PER_S

static const struct strategy table[] = {
    {
        .name = "none",
        .description = "One attempt, no retry",
        .source = "what a program does that does nothing",
        .policy = {.kind = RETRY_NONE, .attempts_max = 1},
    },
    {
        .name = "fixed",
        .description = "The same delay before each retry",
        .source = "the commonest hand-written loop: time.sleep(1)",
        .policy = {.kind = RETRY_FIXED, .attempts_max = 6, .base_ns = NS_PER_S},
    },
    {
        .name = "exponential",
        .description = "Delays that double, without jitter",
        .source = AWS_JITTER ", \"Exponential\"",
        .policy = {PATIENT},
    },
    {
        .name = "full-jitter",
        .description = "Delays drawn from 0 to one that doubles",
        .source = AWS_JITTER ", \"Full Jitter\"",
        .policy = {PATIENT, .jitter = RETRY_JITTER_FULL},
    },
    {
        .name = "equal-jitter",
        .description = "Delays drawn from the upper half of one that doubles",
        .source = AWS_JITTER ", \"Equal Jitter\"",
        .policy = {PATIENT, .jitter = RETRY_JITTER_EQUAL},
    },
    {
        .name = "decorrelated-jitter",
        .description = "Delays drawn from the base to three times the delay before",
        .source = AWS_JITTER ", \"Decorrelated Jitter\"",
        .policy = {PATIENT, .jitter = RETRY_JITTER_DECORRELATED},
    },
    {
        .name = "retry-after",
        .description = "Waits exactly as long as Retry-After asks",
        .source = "RFC 9110, 10.2.3; RFC 6585, 4",
        .policy = {PATIENT, .honours_retry_after = true},
    },
    {
        .name = "retry-after-jitter",
        .description = "Waits as long as Retry-After asks and up to a tenth longer",
        .source = "RFC 9110, 10.2.3, with the jitter of client/retry.h",
        .policy = {PATIENT, .jitter = RETRY_JITTER_FULL, .honours_retry_after = true},
    },
    {
        .name = "openai-python",
        .description = "openai-python 3.3.1 with its two retries; gives up above 120 s",
        .source = "openai/openai-python@e43b4224 src/openai/_base_client.py, _constants.py",
        .policy = {OPENAI_SDK, .retry_after_cap_ns = 120 * NS_PER_S,
                   .above_cap = RETRY_ABOVE_CAP_GIVE_UP},
    },
    {
        .name = "openai-node",
        .description = "openai-node 7.5.0 with its two retries; own backoff above 60 s",
        .source = "openai/openai-node@7b7d6ca7 src/client.ts",
        .policy = {OPENAI_SDK, .retry_after_cap_ns = 60 * NS_PER_S,
                   .above_cap = RETRY_ABOVE_CAP_BACKOFF},
    },
    {
        .name = "openai-python-nested",
        .description = "openai-python inside a loop of three attempts: up to nine",
        .source = "openai/openai-python@e43b4224, with a loop that sleeps 1 s and 2 s around it",
        .policy = {OPENAI_SDK, .retry_after_cap_ns = 120 * NS_PER_S,
                   .above_cap = RETRY_ABOVE_CAP_GIVE_UP},
        .outer = {THREE_ATTEMPTS},
    },
    {
        .name = "openai-node-nested",
        .description = "openai-node inside a loop of three attempts: up to nine",
        .source = "openai/openai-node@7b7d6ca7, with a loop that sleeps 1 s and 2 s around it",
        .policy = {OPENAI_SDK, .retry_after_cap_ns = 60 * NS_PER_S,
                   .above_cap = RETRY_ABOVE_CAP_BACKOFF},
        .outer = {THREE_ATTEMPTS},
    },
    {
        .name = "cookbook",
        .description = "Paced to the quota, and a pause of 15 s for all after a 429",
        .source = "openai/openai-cookbook@04a30903 examples/api_request_parallel_processor.py, "
                  "with its check for rate limits mended (it looks for a code \"429\")",
        .policy = {.kind = RETRY_FIXED, .attempts_max = 5, .base_ns = 0},
        .gate = {.kind = GATE_PACED,
                 .retries_first = true,
                 .spacing_ns = NS_PER_MS,
                 .pause_ns = 15 * NS_PER_S},
        .quota_share = 1,
    },
    {
        .name = "semaphore",
        .description = "So many calls at a time (8), each retried as \"retry-after-jitter\"",
        .source = "asyncio.Semaphore around the call, as client/client.h does it",
        .policy = {PATIENT, .jitter = RETRY_JITTER_FULL, .honours_retry_after = true},
        .gate = {.kind = GATE_PLAIN, .in_flight_max = 8, .holds_for_call = true},
    },
    {
        .name = "paced",
        .description = "Every attempt paced by a token bucket at the known quota",
        .source = "the server's own rule at the client; OpenAI, \"Rate limits\": leave headroom",
        .policy = {PATIENT, .jitter = RETRY_JITTER_FULL, .honours_retry_after = true},
        .gate = {.kind = GATE_PACED},
        .quota_share = 1,
    },
    {
        .name = "adaptive",
        .description = "Concurrency that grows by one a round and halves on 429 (AIMD)",
        .source = "Chiu and Jain (1989); RFC 5681, 3.1; Netflix concurrency-limits, AIMDLimit",
        .policy = {PATIENT, .jitter = RETRY_JITTER_FULL, .honours_retry_after = true},
        .gate = {.kind = GATE_ADAPTIVE, .in_flight_start = 1, .increase = 1, .decrease = 0.5},
    },
    {
        .name = "headers",
        .description = "Paced by what the x-ratelimit headers say remains and comes back",
        .source = "OpenAI, \"Rate limits\", x-ratelimit-remaining-* and x-ratelimit-reset-*",
        .policy = {PATIENT, .jitter = RETRY_JITTER_FULL, .honours_retry_after = true},
        .gate = {.kind = GATE_HEADERS},
    },
    {.name = ""},
};

const struct strategy *strategy_table(void)
{
    return table;
}

const struct strategy *strategy_find(const char *name)
{
    for (const struct strategy *row = table; row->name[0] != '\0'; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

static const char *const known[] = {"strategy",
                                    "label",
                                    "max_attempts",
                                    "base",
                                    "factor",
                                    "cap",
                                    "jitter",
                                    "honour_retry_after",
                                    "retry_after_cap",
                                    "retry_after_above_cap",
                                    "delay_min",
                                    "total",
                                    "outer_attempts",
                                    "outer_base",
                                    "outer_factor",
                                    "in_flight_max",
                                    "pause",
                                    "requests_per_minute",
                                    "tokens_per_minute",
                                    "quota_share",
                                    "in_flight_start",
                                    "increase",
                                    "decrease",
                                    NULL};

/* All names, for the message of one that is none of them. */
static const char *names(char *text, size_t size)
{
    size_t length = 0;
    for (const struct strategy *row = table; row->name[0] != '\0'; row++) {
        int written = snprintf(text + length, size - length, "%s\"%s\"",
                               row == table ? "one of " : ", ", row->name);
        assert(written > 0 && (size_t)written < size - length);
        length += (size_t)written;
    }
    return text;
}

static bool take_row(struct strategy *strategy, const struct json_reader *reader, const cJSON *item,
                     const char *pointer)
{
    char text[512];
    const struct strategy *row =
        cJSON_IsString(item) ? strategy_find(cJSON_GetStringValue(item)) : NULL;
    if (row == NULL)
        return json_wrong(reader, pointer, item, "%s", names(text, sizeof text));
    *strategy = *row;
    memcpy(strategy->label, row->name, sizeof strategy->label);
    return true;
}

static bool read_label(struct strategy *strategy, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    const char *label = strategy->name;
    char place[JSON_POINTER_SIZE];
    if (!json_read_string(reader, object, pointer, "label", &label))
        return false;
    size_t length = strlen(label);
    if (length == 0 || length >= sizeof strategy->label)
        return json_wrong(reader, json_pointer_member(place, pointer, "label"),
                          cJSON_GetObjectItemCaseSensitive(object, "label"),
                          "a text of 1 to %d bytes", STRATEGY_NAME_SIZE - 1);
    memcpy(strategy->label, label, length + 1);
    return true;
}

static bool read_duration(const struct json_reader *reader, const cJSON *object,
                          const char *pointer, const char *name, int64_t *ns)
{
    int64_t value_ns = *ns;
    char place[JSON_POINTER_SIZE];
    if (!json_read_duration(reader, object, pointer, name, &value_ns))
        return false;
    if (value_ns > NS_PER_DAY)
        return json_wrong(reader, json_pointer_member(place, pointer, name),
                          cJSON_GetObjectItemCaseSensitive(object, name), "at most 24h");
    *ns = value_ns;
    return true;
}

static bool read_outer(struct strategy *strategy, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    struct retry_policy outer = {THREE_ATTEMPTS};
    if (strategy->outer.kind != RETRY_NONE)
        outer = strategy->outer;
    int64_t attempts = strategy->outer.kind != RETRY_NONE ? outer.attempts_max : 1;
    if (!json_read_whole(reader, object, pointer, "outer_attempts", 1, RETRY_ATTEMPTS_MAX,
                         &attempts) ||
        !read_duration(reader, object, pointer, "outer_base", &outer.base_ns) ||
        !json_read_number(reader, object, pointer, "outer_factor", 1, RETRY_FACTOR_MAX,
                          &outer.factor))
        return false;
    if (outer.cap_ns < outer.base_ns)
        outer.cap_ns = outer.base_ns;
    outer.attempts_max = (int)attempts;
    strategy->outer =
        attempts > 1 ? outer : (struct retry_policy){.kind = RETRY_NONE, .attempts_max = 1};
    return true;
}

static bool refuse_unless(bool is_of_use, const struct strategy *strategy,
                          const struct json_reader *reader, const cJSON *object,
                          const char *pointer, const char *const keys[])
{
    char place[JSON_POINTER_SIZE];
    for (size_t i = 0; !is_of_use && keys[i] != NULL; i++) {
        if (cJSON_GetObjectItemCaseSensitive(object, keys[i]) == NULL)
            continue;
        error_set(reader->error, json_pointer_member(place, pointer, keys[i]),
                  "the strategy \"%s\" has no use for this", strategy->name);
        error_prefix_place(reader->error, reader->file);
        return false;
    }
    return true;
}

static bool read_paced(struct strategy *strategy, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    static const int64_t rate_max = INT64_C(1000000000000); /* as the server's limits */
    struct gate_settings *gate = &strategy->gate;
    if (!json_read_whole(reader, object, pointer, "requests_per_minute", 1, rate_max,
                         &gate->requests_per_minute) ||
        !json_read_whole(reader, object, pointer, "tokens_per_minute", 1, rate_max,
                         &gate->tokens_per_minute) ||
        !json_read_number(reader, object, pointer, "quota_share", 0.001, 1000,
                          &strategy->quota_share))
        return false;
    /* Rates of its own take the place of the quota's. */
    bool has_own = gate->requests_per_minute > 0 || gate->tokens_per_minute > 0;
    if (has_own && cJSON_GetObjectItemCaseSensitive(object, "quota_share") == NULL)
        strategy->quota_share = 0;
    return true;
}

static bool read_gate(struct strategy *strategy, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    static const char *const of_paced[] = {"requests_per_minute", "tokens_per_minute",
                                           "quota_share", NULL};
    static const char *const of_adaptive[] = {"in_flight_start", "increase", "decrease", NULL};
    struct gate_settings *gate = &strategy->gate;
    int64_t in_flight_max = gate->in_flight_max;
    int64_t in_flight_start = gate->in_flight_start;
    if (!refuse_unless(gate->kind == GATE_PACED, strategy, reader, object, pointer, of_paced) ||
        !refuse_unless(gate->kind == GATE_ADAPTIVE, strategy, reader, object, pointer,
                       of_adaptive) ||
        !json_read_whole(reader, object, pointer, "in_flight_max", 1, STRATEGY_IN_FLIGHT_MAX,
                         &in_flight_max) ||
        !json_read_whole(reader, object, pointer, "in_flight_start", 1, STRATEGY_IN_FLIGHT_MAX,
                         &in_flight_start) ||
        !json_read_number(reader, object, pointer, "increase", 0.001, 1000, &gate->increase) ||
        !json_read_number(reader, object, pointer, "decrease", 0.001, 0.999, &gate->decrease) ||
        !read_duration(reader, object, pointer, "pause", &gate->pause_ns))
        return false;
    gate->in_flight_max = (int)in_flight_max;
    gate->in_flight_start = (int)in_flight_start;
    /* A plain gate is a semaphore around the call. */
    if (gate->kind == GATE_PLAIN && in_flight_max > 0)
        gate->holds_for_call = true;
    return gate->kind != GATE_PACED || read_paced(strategy, reader, object, pointer);
}

bool strategy_from_json(struct strategy *strategy, const struct json_reader *reader,
                        const cJSON *item, const char *pointer)
{
    struct strategy read;
    char place[JSON_POINTER_SIZE];
    if (cJSON_IsString(item))
        return take_row(strategy, reader, item, pointer);
    if (!cJSON_IsObject(item))
        return json_wrong(reader, pointer, item, "a strategy's name, or an object with it");
    if (!json_known_members(reader, item, pointer, known) ||
        !take_row(&read, reader, cJSON_GetObjectItemCaseSensitive(item, "strategy"),
                  json_pointer_member(place, pointer, "strategy")) ||
        !read_label(&read, reader, item, pointer) ||
        !retry_policy_override(&read.policy, reader, item, pointer) ||
        !read_outer(&read, reader, item, pointer) || !read_gate(&read, reader, item, pointer))
        return false;
    *strategy = read;
    return true;
}

/* --- deciding --------------------------------------------------------------------------------- */

/* A limit that is there stays one: a share of it below 1 is still 1. */
static int64_t share_of(int64_t limit, double share)
{
    int64_t part = (int64_t)((double)limit * share);
    return limit > 0 && part < 1 ? 1 : part;
}

void strategy_know_quota(struct strategy *strategy, int64_t requests_per_minute,
                         int64_t tokens_per_minute)
{
    if (strategy->gate.kind != GATE_PACED || strategy->quota_share <= 0)
        return;
    strategy->gate.requests_per_minute = share_of(requests_per_minute, strategy->quota_share);
    strategy->gate.tokens_per_minute = share_of(tokens_per_minute, strategy->quota_share);
}

static int attempts_of(const struct retry_policy *policy)
{
    return policy->kind == RETRY_NONE ? 1 : policy->attempts_max;
}

int strategy_attempts_max(const struct strategy *strategy)
{
    return attempts_of(&strategy->policy) * attempts_of(&strategy->outer);
}

struct retry_decision strategy_decide(const struct strategy *strategy, struct strategy_state *state,
                                      const struct retry_outcome *outcome, struct random *random,
                                      int64_t now_ns)
{
    state->attempts++;
    struct retry_decision decision =
        retry_decide(&strategy->policy, &state->inner, outcome, random, now_ns);
    if (decision.retry || strategy->outer.kind == RETRY_NONE)
        return decision;
    struct retry_state outer = {.started_ns = state->started_ns, .attempts = state->outer_rounds};
    decision = retry_decide(&strategy->outer, &outer, outcome, random, now_ns);
    state->outer_rounds = outer.attempts;
    if (decision.retry) {
        decision.reason = "backoff of the outer loop";
        state->inner = (struct retry_state){.started_ns = now_ns + decision.wait_ns};
    }
    return decision;
}
