#include "mockserver/ratelimit_headers.h"

#include "base/duration.h"
#include "base/text.h"
#include "mockserver/azure.h"

#include <inttypes.h>

struct name {
    const char *text;
    size_t length;
};

/* Which limit is told: the second where the first is not set. */
struct source {
    enum quota_dimension preferred;
    enum quota_dimension otherwise;
};

static const struct source sources[] = {
    [RATELIMIT_REQUESTS] = {QUOTA_REQUESTS_PER_DAY, QUOTA_REQUESTS_PER_MINUTE},
    [RATELIMIT_TOKENS] = {QUOTA_TOKENS_PER_MINUTE, QUOTA_TOKENS_PER_DAY},
};
static const struct source source_of_images = {QUOTA_IMAGES_PER_MINUTE, QUOTA_IMAGES_PER_MINUTE};

/* Under which names. */
struct names {
    struct name limit;
    struct name remaining;
    struct name reset;
};

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#define NAMES(unit)                                                                                \
    {                                                                                              \
        NAME("x-ratelimit-limit-" unit), NAME("x-ratelimit-remaining-" unit),                      \
            NAME("x-ratelimit-reset-" unit)                                                        \
    }

static const struct names unit_names[] = {
    [RATELIMIT_REQUESTS] = NAMES("requests"),
    [RATELIMIT_TOKENS] = NAMES("tokens"),
};
static const struct names image_names = NAMES("input-images");
static const struct names project_token_names = NAMES("project-tokens");

enum { UNIT_COUNT = sizeof unit_names / sizeof unit_names[0] };

static struct ratelimit_told tell(const struct quota_pool *pool, const struct source *source,
                                  int64_t now_ns)
{
    const int64_t *limits = pool->limits->limit;
    enum quota_dimension dimension =
        limits[source->preferred] != QUOTA_UNLIMITED ? source->preferred : source->otherwise;
    if (limits[dimension] == QUOTA_UNLIMITED)
        return (struct ratelimit_told){.is_told = false};
    return (struct ratelimit_told){
        .is_told = true,
        .limit = limits[dimension],
        .remaining = quota_remaining(pool, dimension, now_ns),
        .reset_ns = quota_reset(pool, dimension, now_ns),
    };
}

static int64_t cut_to_ms(int64_t ns)
{
    return ns - ns % NS_PER_MS;
}

struct ratelimit_told ratelimit_told(const struct quota_pool *pool, enum ratelimit_unit unit,
                                     int64_t now_ns)
{
    struct ratelimit_told told = tell(pool, &sources[unit], now_ns);
    if (told.is_told)
        told.reset_ns = cut_to_ms(told.reset_ns);
    return told;
}

void ratelimit_tell_all(const struct quota_pool *pool, int64_t now_ns,
                        struct ratelimit_told_all *told)
{
    for (size_t i = 0; i < UNIT_COUNT; i++)
        told->unit[i] = tell(pool, &sources[i], now_ns);
    told->images = tell(pool, &source_of_images, now_ns);
}

static void add_whole(struct answer *answer, const struct name *name, int64_t value)
{
    char text[TEXT_WHOLE_SIZE];
    size_t length = text_whole(text, value);
    answer_header_add_bytes(answer, name->text, name->length, text, length);
}

static void add_full(struct answer *answer, const struct names *names,
                     const struct ratelimit_told *told)
{
    if (!told->is_told)
        return;
    char reset[DURATION_TEXT_SIZE];
    duration_go(cut_to_ms(told->reset_ns), reset);
    add_whole(answer, &names->limit, told->limit);
    add_whole(answer, &names->remaining, told->remaining);
    answer_header_add_bytes(answer, names->reset.text, names->reset.length, reset, strlen(reset));
}

static int64_t seconds_up(int64_t ns)
{
    return ns < 0 ? -1 : (ns + NS_PER_S - 1) / NS_PER_S;
}

static void add_azure(struct answer *answer, const struct names *names,
                      const struct ratelimit_told *told)
{
    add_whole(answer, &names->limit, told->is_told ? told->limit : -1);
    add_whole(answer, &names->remaining, told->is_told ? told->remaining : -1);
    add_whole(answer, &names->reset, told->is_told ? seconds_up(told->reset_ns) : -1);
}

void ratelimit_headers_add(struct answer *answer, const struct limit_rules *rules,
                           const struct ratelimit_told_all *told,
                           const struct quota_answer *outcome)
{
    if (rules->headers == LIMIT_HEADERS_NONE)
        return;
    if (rules->headers == LIMIT_HEADERS_AZURE) {
        for (size_t i = 0; i < UNIT_COUNT; i++)
            add_azure(answer, &unit_names[i], &told->unit[i]);
        answer_header(answer, "x-ms-region", "%s", AZURE_REGION);
        if (outcome->admitted)
            return;
        bool is_tokens = quota_dimension_counts_tokens(outcome->stopped_by);
        answer_header(answer, "x-rate-limit-reset-tokens", "%" PRId64,
                      seconds_up(outcome->wait_ns));
        answer_header(answer, "policy-id", "DeploymentRatelimit-%s", is_tokens ? "Token" : "Call");
        return;
    }
    for (size_t i = 0; i < UNIT_COUNT; i++)
        add_full(answer, &unit_names[i], &told->unit[i]);
    add_full(answer, &image_names, &told->images);
    if (rules->scope == LIMIT_PER_PROJECT)
        add_full(answer, &project_token_names, &told->unit[RATELIMIT_TOKENS]);
}
