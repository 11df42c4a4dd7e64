#include "mockserver/tier.h"

#include <string.h>

#define NONE QUOTA_UNLIMITED

/* Sources: community.openai.com t/1028595 (tiers 1 to 4, batch queues of tier 1, 2024-11) and
 * t/1357016 (gpt-4.1 from tier 2 on), tier 5 of gpt-4o, gpt-4o-mini and embeddings as recorded
 * sessions of openai-dotnet show it; free: 3 a minute and 200 a day, as in openai/codex#797. No
 * number is known for gpt-4.1 in tier 1 (it has that of gpt-4o here), for batch queues above tier 1
 * (no limit), for models that are not named (those of gpt-4o) and fine-tuned models of an unknown
 * base (those of gpt-4o-mini): docs/server.md says so. */
static const struct tier tiers[] = {
    {"free",
     {{"gpt-4o", 3, 200, NONE, NONE},
      {"gpt-4o-mini", 3, 200, NONE, NONE},
      {"gpt-4.1", 3, 200, NONE, NONE},
      {"gpt-4", 3, 200, NONE, NONE},
      {"gpt-3.5-turbo", 3, 200, NONE, NONE},
      {"text-embedding-3-small", 3, 200, NONE, NONE},
      {"text-embedding-3-large", 3, 200, NONE, NONE},
      {"ft:*", 3, 200, NONE, NONE},
      {"*", 3, 200, NONE, NONE},
      {NULL, 0, 0, 0, 0}}},
    {"1",
     {{"gpt-4o", 500, NONE, 30000, 90000},
      {"gpt-4o-mini", 500, 10000, 200000, 2000000},
      {"gpt-4.1", 500, NONE, 30000, NONE},
      {"gpt-4", 500, 10000, 10000, 100000},
      {"gpt-3.5-turbo", 3500, 10000, 200000, 2000000},
      {"text-embedding-3-small", 3000, NONE, 1000000, 3000000},
      {"text-embedding-3-large", 3000, NONE, 1000000, 3000000},
      {"ft:*", 500, 10000, 200000, NONE},
      {"*", 500, NONE, 30000, NONE},
      {NULL, 0, 0, 0, 0}}},
    {"2",
     {{"gpt-4o", 5000, NONE, 450000, NONE},
      {"gpt-4o-mini", 5000, NONE, 2000000, NONE},
      {"gpt-4.1", 5000, NONE, 450000, NONE},
      {"gpt-4", 500, 10000, 10000, NONE},
      {"gpt-3.5-turbo", 3500, 10000, 200000, NONE},
      {"text-embedding-3-small", 3000, NONE, 1000000, NONE},
      {"text-embedding-3-large", 3000, NONE, 1000000, NONE},
      {"ft:*", 5000, NONE, 2000000, NONE},
      {"*", 5000, NONE, 450000, NONE},
      {NULL, 0, 0, 0, 0}}},
    {"3",
     {{"gpt-4o", 5000, NONE, 800000, NONE},
      {"gpt-4o-mini", 5000, NONE, 4000000, NONE},
      {"gpt-4.1", 5000, NONE, 800000, NONE},
      {"gpt-4", 500, 10000, 10000, NONE},
      {"gpt-3.5-turbo", 3500, 10000, 200000, NONE},
      {"text-embedding-3-small", 3000, NONE, 1000000, NONE},
      {"text-embedding-3-large", 3000, NONE, 1000000, NONE},
      {"ft:*", 5000, NONE, 4000000, NONE},
      {"*", 5000, NONE, 800000, NONE},
      {NULL, 0, 0, 0, 0}}},
    {"4",
     {{"gpt-4o", 10000, NONE, 2000000, NONE},
      {"gpt-4o-mini", 10000, NONE, 10000000, NONE},
      {"gpt-4.1", 10000, NONE, 2000000, NONE},
      {"gpt-4", 500, 10000, 10000, NONE},
      {"gpt-3.5-turbo", 3500, 10000, 200000, NONE},
      {"text-embedding-3-small", 3000, NONE, 1000000, NONE},
      {"text-embedding-3-large", 3000, NONE, 1000000, NONE},
      {"ft:*", 10000, NONE, 10000000, NONE},
      {"*", 10000, NONE, 2000000, NONE},
      {NULL, 0, 0, 0, 0}}},
    {"5",
     {{"gpt-4o", 10000, NONE, 30000000, NONE},
      {"gpt-4o-mini", 30000, NONE, 150000000, NONE},
      {"gpt-4.1", 10000, NONE, 30000000, NONE},
      {"gpt-4", 500, 10000, 10000, NONE},
      {"gpt-3.5-turbo", 3500, 10000, 200000, NONE},
      {"text-embedding-3-small", 10000, NONE, 10000000, NONE},
      {"text-embedding-3-large", 10000, NONE, 10000000, NONE},
      {"ft:*", 30000, NONE, 150000000, NONE},
      {"*", 10000, NONE, 30000000, NONE},
      {NULL, 0, 0, 0, 0}}},
};

const struct tier *tier_find(const char *name)
{
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        if (strcmp(tiers[i].name, name) == 0)
            return &tiers[i];
    }
    return NULL;
}

bool tier_apply(const struct tier *tier, struct pools *pools, int64_t now_ns)
{
    bool is_set = true;
    pools_begin_change(pools);
    pools_forget_limits(pools, POOLS_TIER);
    for (const struct tier_limits *row = tier->models; row->model != NULL && is_set; row++) {
        struct quota_limits limits;
        quota_limits_say_nothing(&limits);
        limits.limit[QUOTA_REQUESTS_PER_MINUTE] = row->requests_per_minute;
        limits.limit[QUOTA_REQUESTS_PER_DAY] = row->requests_per_day;
        limits.limit[QUOTA_TOKENS_PER_MINUTE] = row->tokens_per_minute;
        limits.batch_queue_tokens = row->batch_queue_tokens;
        is_set = pools_set_limits(pools, POOLS_TIER, row->model, &limits, now_ns);
    }
    pools_end_change(pools, now_ns);
    return is_set;
}
