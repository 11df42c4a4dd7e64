#include "mockserver/ratelimit_headers.h"

#include "base/duration.h"
#include "base/text.h"
#include "mockserver/azure.h"

#include <inttypes.h>

struct name {
    const char *text;
    size_t length;
};

struct shown {
    enum quota_dimension preferred;
    enum quota_dimension otherwise;
    struct name limit;
    struct name remaining;
    struct name reset;
};

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#define SHOWN(preferred, otherwise, unit)                                                          \
    {                                                                                              \
        preferred, otherwise, NAME("x-ratelimit-limit-" unit),                                     \
            NAME("x-ratelimit-remaining-" unit), NAME("x-ratelimit-reset-" unit)                   \
    }

static const struct shown requests_and_tokens[] = {
    [RATELIMIT_REQUESTS] = SHOWN(QUOTA_REQUESTS_PER_DAY, QUOTA_REQUESTS_PER_MINUTE, "requests"),
    [RATELIMIT_TOKENS] = SHOWN(QUOTA_TOKENS_PER_MINUTE, QUOTA_TOKENS_PER_DAY, "tokens"),
};
static const struct shown images =
    SHOWN(QUOTA_IMAGES_PER_MINUTE, QUOTA_IMAGES_PER_MINUTE, "input-images");
static const struct shown project_tokens =
    SHOWN(QUOTA_TOKENS_PER_MINUTE, QUOTA_TOKENS_PER_DAY, "project-tokens");

/* The dimension to show, or QUOTA_DIMENSION_COUNT where none is limited. */
static enum quota_dimension shown_dimension(const struct shown *shown,
                                            const struct quota_pool *pool)
{
    if (pool->limits->limit[shown->preferred] != QUOTA_UNLIMITED)
        return shown->preferred;
    if (pool->limits->limit[shown->otherwise] != QUOTA_UNLIMITED)
        return shown->otherwise;
    return QUOTA_DIMENSION_COUNT;
}

static struct ratelimit_told told_in_full(const struct shown *shown, const struct quota_pool *pool,
                                          int64_t now_ns)
{
    enum quota_dimension dimension = shown_dimension(shown, pool);
    if (dimension == QUOTA_DIMENSION_COUNT)
        return (struct ratelimit_told){.is_told = false};
    int64_t reset_ns = quota_reset(pool, dimension, now_ns);
    return (struct ratelimit_told){
        .is_told = true,
        .limit = pool->limits->limit[dimension],
        .remaining = quota_remaining(pool, dimension, now_ns),
        .reset_ns = reset_ns - reset_ns % NS_PER_MS,
    };
}

struct ratelimit_told ratelimit_told(const struct quota_pool *pool, enum ratelimit_unit unit,
                                     int64_t now_ns)
{
    return told_in_full(&requests_and_tokens[unit], pool, now_ns);
}

static void add_whole(struct answer *answer, const struct name *name, int64_t value)
{
    char text[TEXT_WHOLE_SIZE];
    size_t length = text_whole(text, value);
    answer_header_add_bytes(answer, name->text, name->length, text, length);
}

static void add_full(struct answer *answer, const struct shown *shown,
                     const struct quota_pool *pool, int64_t now_ns)
{
    const struct ratelimit_told told = told_in_full(shown, pool, now_ns);
    if (!told.is_told)
        return;
    char reset[DURATION_TEXT_SIZE];
    duration_go(told.reset_ns, reset);
    add_whole(answer, &shown->limit, told.limit);
    add_whole(answer, &shown->remaining, told.remaining);
    answer_header_add_bytes(answer, shown->reset.text, shown->reset.length, reset, strlen(reset));
}

static int64_t seconds_up(int64_t ns)
{
    return ns < 0 ? -1 : (ns + NS_PER_S - 1) / NS_PER_S;
}

static void add_azure(struct answer *answer, const struct shown *shown,
                      const struct quota_pool *pool, int64_t now_ns)
{
    enum quota_dimension dimension = shown_dimension(shown, pool);
    bool is_limited = dimension != QUOTA_DIMENSION_COUNT;
    add_whole(answer, &shown->limit, is_limited ? pool->limits->limit[dimension] : -1);
    add_whole(answer, &shown->remaining,
              is_limited ? quota_remaining(pool, dimension, now_ns) : -1);
    add_whole(answer, &shown->reset,
              is_limited ? seconds_up(quota_reset(pool, dimension, now_ns)) : -1);
}

void ratelimit_headers_add(struct answer *answer, const struct limit_rules *rules,
                           const struct quota_pool *pool, const struct quota_answer *outcome,
                           int64_t now_ns)
{
    size_t count = sizeof requests_and_tokens / sizeof requests_and_tokens[0];
    if (rules->headers == LIMIT_HEADERS_NONE)
        return;
    if (rules->headers == LIMIT_HEADERS_AZURE) {
        for (size_t i = 0; i < count; i++)
            add_azure(answer, &requests_and_tokens[i], pool, now_ns);
        answer_header(answer, "x-ms-region", "%s", AZURE_REGION);
        if (outcome->admitted)
            return;
        bool is_tokens = quota_dimension_counts_tokens(outcome->stopped_by);
        answer_header(answer, "x-rate-limit-reset-tokens", "%" PRId64,
                      seconds_up(outcome->wait_ns));
        answer_header(answer, "policy-id", "DeploymentRatelimit-%s", is_tokens ? "Token" : "Call");
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_full(answer, &requests_and_tokens[i], pool, now_ns);
    add_full(answer, &images, pool, now_ns);
    if (rules->scope == LIMIT_PER_PROJECT)
        add_full(answer, &project_tokens, pool, now_ns);
}
