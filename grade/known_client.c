#include "grade/known_client.h"

#include "base/duration.h"
#include "grade/rule_bounds.h"

/* openai-python, -node, -go, -java and -ruby share the generator that wrote them, and the backoff;
 * they differ in what they make of Retry-After. */
#define OPENAI_RULE                                                                                \
    .rule = "0.5 s, doubled, at most 8 s, minus up to 25 %", .family = RULE_EXPONENTIAL,           \
    .base_s = 0.5, .factor = 2, .cap_s = 8, .share_low = 0.75, .share_high = 1, .attempts_max = 3

#define NO_JITTER .share_low = 1, .share_high = 1
#define FULL_JITTER .share_low = 0, .share_high = 1

static const struct known_client table[] = {
    {
        .name = "openai-python",
        .source = "openai/openai-python@e43b4224 src/openai/_base_client.py",
        OPENAI_RULE,
        .header = RULE_HEADER_GIVES_UP,
        .header_most_s = 120,
    },
    {
        .name = "openai-node",
        .source = "openai/openai-node@7b7d6ca7 src/client.ts",
        OPENAI_RULE,
        .header = RULE_HEADER_BACKOFF,
        .header_most_s = 60,
    },
    {
        .name = "openai-go",
        .source = "openai-go 3.96.0 internal/requestconfig/requestconfig.go",
        OPENAI_RULE,
        .header = RULE_HEADER_GIVES_UP,
        .header_most_s = 120,
    },
    {
        .name = "openai-python before 2.52",
        .source = "openai/openai-python before 7fa79464 src/openai/_base_client.py",
        OPENAI_RULE,
        .header = RULE_HEADER_BACKOFF,
        .header_most_s = 60,
    },
    {
        .name = "openai-node before 7.5",
        .source = "openai-node 6.49.0 to 7.4.0 client.mjs",
        OPENAI_RULE,
        .header = RULE_HEADER_HONOURED,
    },
    {
        .name = "openai-java",
        .source = "openai-java-core 4.101.0 com/openai/core/http/RetryingHttpClient.kt",
        OPENAI_RULE,
        .header = RULE_HEADER_CLAMPED,
        .header_most_s = 8,
    },
    {
        .name = "openai-ruby",
        .source = "openai/openai-ruby@edfb30b2 lib/openai/internal/transport/base_client.rb",
        OPENAI_RULE,
        .header = RULE_HEADER_CLAMPED,
        .header_most_s = 8,
    },
    {
        .name = "openai-go before 3.67",
        .source = "openai-go 3.53.0 to 3.66.0 internal/requestconfig/requestconfig.go",
        OPENAI_RULE,
        .header = RULE_HEADER_CLAMPED,
        .header_most_s = 8,
    },
    {
        .name = "openai-java before 4.71",
        .source = "openai-java-core 4.30.0 to 4.70.0 com/openai/core/http/RetryingHttpClient.kt",
        OPENAI_RULE,
        .header = RULE_HEADER_HONOURED,
    },
    {
        .name = "openai-dotnet",
        .rule = "0.8 s, doubled",
        .source = "Azure/azure-sdk-for-net@515190d3 System.ClientModel ClientRetryPolicy.cs",
        .family = RULE_EXPONENTIAL,
        .base_s = 0.8,
        .factor = 2,
        NO_JITTER,
        .attempts_max = 4,
        .header = RULE_HEADER_FLOOR,
    },
    {
        .name = "async-openai",
        .rule = "0.1 s, doubled, at most 8 s",
        .source = "64bit/async-openai@ca746070 async-openai/src/middleware/retry/openai.rs",
        .family = RULE_EXPONENTIAL,
        .base_s = 0.1,
        .factor = 2,
        .cap_s = 8,
        NO_JITTER,
        .attempts_max = 4,
        .header = RULE_HEADER_HONOURED,
    },
    {
        .name = "Vercel AI SDK",
        .rule = "2 s, doubled",
        .source = "vercel/ai@ed857f50 packages/ai/src/util/retry-with-exponential-backoff.ts",
        .family = RULE_EXPONENTIAL,
        .base_s = 2,
        .factor = 2,
        NO_JITTER,
        .attempts_max = 3,
        .header = RULE_HEADER_BACKOFF,
        .header_most_s = 60,
    },
    {
        .name = "LangChain.js",
        .rule = "1 s, doubled, plus up to 100 %",
        .source = "langchain-ai/langchainjs@62fc484b utils/async_caller.ts, utils/p-retry/index.js",
        .family = RULE_EXPONENTIAL,
        .base_s = 1,
        .factor = 2,
        .share_low = 1,
        .share_high = 2,
        .attempts_max = 7,
        .header = RULE_HEADER_GIVES_UP,
        .header_most_s = 60,
    },
    {
        .name = "LiteLLM",
        .rule = "0.5 s, doubled, at most 8 s, plus up to 0.75 s",
        .source = "BerriAI/litellm@000db7e8 litellm/constants.py, utils.py",
        .family = RULE_EXPONENTIAL,
        .base_s = 0.5,
        .factor = 2,
        .cap_s = 8,
        .share_low = 1,
        .share_high = 1,
        .jitter_s = 0.75,
        .attempts_max = 3,
        .header = RULE_HEADER_BACKOFF,
        .header_most_s = 60,
    },
    {
        .name = "the cookbook's tenacity, wait_random_exponential(min=1, max=60)",
        .rule = "from 1 s to 1 s doubled, at most 60 s",
        .source = "openai/openai-cookbook@11609296 examples/How_to_handle_rate_limits.ipynb; "
                  "tenacity 9.2.1 tenacity/wait.py",
        .family = RULE_EXPONENTIAL,
        .base_s = 1,
        .factor = 2,
        .cap_s = 60,
        .floor_s = 1,
        FULL_JITTER,
        .attempts_max = 6,
        .header = RULE_HEADER_IGNORED,
    },
    {
        .name = "backoff.expo with full jitter",
        .rule = "from 0 to 1 s, doubled",
        .source = "backoff 2.2.1 backoff/_wait_gen.py, _jitter.py",
        .family = RULE_EXPONENTIAL,
        .base_s = 1,
        .factor = 2,
        FULL_JITTER,
        .header = RULE_HEADER_IGNORED,
    },
    {
        .name = "the cookbook's own loop",
        .rule = "1 s, times 2 to 4 each time",
        .source = "openai/openai-cookbook@11609296 examples/How_to_handle_rate_limits.ipynb",
        .family = RULE_COMPOUNDING,
        .base_s = 1,
        .factor = 2,
        .share_low = 1,
        .share_high = 2,
        .attempts_max = 11,
        .header = RULE_HEADER_IGNORED,
    },
    {
        .name = "the fixed program in examples/",
        .rule = "1 s, doubled",
        .source = "examples/python/fixed.py",
        .family = RULE_EXPONENTIAL,
        .base_s = 1,
        .factor = 2,
        NO_JITTER,
        .attempts_max = 3,
        .header = RULE_HEADER_IGNORED,
    },
    {
        .name = "toomany's C client",
        .rule = "from 0 to 1 s, doubled, at most 60 s",
        .source = "client/retry.c, client/public.c",
        .family = RULE_EXPONENTIAL,
        .base_s = 1,
        .factor = 2,
        .cap_s = 60,
        FULL_JITTER,
        .attempts_max = 3,
        .header = RULE_HEADER_GIVES_UP,
        .header_most_s = 120,
    },
    {
        .name = "curl --retry",
        .rule = "1 s, doubled, at most 10 minutes",
        .source = "curl(1), --retry",
        .family = RULE_EXPONENTIAL,
        .base_s = 1,
        .factor = 2,
        .cap_s = 600,
        NO_JITTER,
        .header = RULE_HEADER_HONOURED,
    },
    {.name = NULL},
};

const struct known_client *known_client_table(void)
{
    return table;
}

static struct rule_number exactly(double value)
{
    return (struct rule_number){value != 0, value, value, value, value};
}

/* 0 is a share like any other. */
static struct rule_number exactly_share(double share)
{
    return (struct rule_number){true, share, share, share, share};
}

struct rule known_client_rule(const struct known_client *client)
{
    double s = (double)NS_PER_S;
    struct rule rule = {
        .family = client->family,
        .first_immediate = client->first_immediate,
        .base_ns = exactly(client->base_s * s),
        .step_ns = exactly(client->step_s * s),
        .factor = exactly(client->factor),
        .cap_ns = exactly(client->cap_s * s),
        .cap_is_last = client->cap_is_last,
        .floor_ns = exactly(client->floor_s * s),
        .share_low = exactly_share(client->share_low),
        .share_high = exactly(client->share_high),
        .jitter_ns = exactly(client->jitter_s * s),
    };
    return rule;
}

/* Whether what was seen of Retry-After may be what the client does. */
static bool is_header_compatible(const struct rule *rule, const struct known_client *client)
{
    double most_ns = client->header_most_s * (double)NS_PER_S;
    bool has_most = client->header_most_s > 0;
    switch (rule->header) {
    case RULE_HEADER_UNSEEN:
    case RULE_HEADER_OTHER:
        return true;
    case RULE_HEADER_IGNORED:
        return client->header == RULE_HEADER_IGNORED;
    case RULE_HEADER_HONOURED:
        return client->header != RULE_HEADER_IGNORED &&
               (!has_most || !rule->header_most_ns.known || most_ns >= rule->header_most_ns.low);
    default:
        return client->header == rule->header &&
               (!has_most || !rule->header_most_ns.known ||
                (most_ns >= rule->header_most_ns.low && most_ns <= rule->header_most_ns.high));
    }
}

static bool has_jitter(const struct known_client *client)
{
    return client->share_low < client->share_high || client->jitter_s > 0 ||
           client->family == RULE_DECORRELATED;
}

static bool is_followed(const struct known_client *client, const struct rule_data *data)
{
    if (has_jitter(client) && data->run_count < 2)
        return false;
    static const double chance_min = 1e-3;
    struct rule rule = known_client_rule(client);
    struct rule_fill fill = rule_fill(&rule, data);
    return fill.holds_all && fill.gap_chance >= chance_min / 2 &&
           fill.even_chance >= chance_min / 2;
}

static bool makes_as_many_attempts(const struct rule *rule, const struct known_client *client)
{
    return client->attempts_max == 0 || !rule->attempts_max.known ||
           rule->attempts_max.value == client->attempts_max;
}

void known_client_find(struct rule *rule, const struct rule_data *data)
{
    rule->known = NULL;
    size_t also = 0;
    if (data->index_count < 2)
        return;
    /* First those whose defaults they are. */
    for (int same_attempts = 1; same_attempts >= 0 && rule->known == NULL; same_attempts--) {
        for (const struct known_client *client = table; client->name != NULL; client++) {
            if (makes_as_many_attempts(rule, client) != same_attempts ||
                !is_header_compatible(rule, client) || !is_followed(client, data))
                continue;
            if (rule->known == NULL)
                rule->known = client;
            else if (also < RULE_ALSO_MAX)
                rule->known_also[also++] = client;
        }
    }
    rule->known_also[also] = NULL;
}
