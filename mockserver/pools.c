#include "mockserver/pools.h"

#include "base/digest.h"
#include "base/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct pool_id {
    uint64_t key_digest;
    char model[POOLS_MODEL_SIZE]; /* zero-filled to its end: it is hashed whole */
};

struct pool_entry {
    struct pool_id id;
    struct pool pool;
    UT_hash_handle hh;
};

struct limits_entry {
    char model[POOLS_MODEL_SIZE];
    struct quota_limits limits;
    UT_hash_handle hh;
};

struct pools {
    struct pool_entry *pools;
    struct limits_entry *limits;
};

struct pools *pools_new(void)
{
    return calloc(1, sizeof(struct pools));
}

static void free_limits(struct pools *pools)
{
    struct limits_entry *limits;
    struct limits_entry *next;
    HASH_ITER (hh, pools->limits, limits, next) {
        HASH_DEL(pools->limits, limits);
        free(limits);
    }
}

void pools_free(struct pools *pools)
{
    if (pools == NULL)
        return;
    struct pool_entry *pool;
    struct pool_entry *pool_next;
    HASH_ITER (hh, pools->pools, pool, pool_next) {
        HASH_DEL(pools->pools, pool);
        free(pool);
    }
    free_limits(pools);
    free(pools);
}

struct quota_limits pools_limits(const struct pools *pools, const char *model)
{
    struct limits_entry *entry = NULL;
    HASH_FIND_STR(pools->limits, model, entry);
    if (entry == NULL)
        HASH_FIND_STR(pools->limits, "*", entry);
    struct quota_limits unlimited;
    quota_limits_init(&unlimited);
    return entry != NULL ? entry->limits : unlimited;
}

static void apply_limits(struct pools *pools, int64_t now_ns)
{
    for (struct pool_entry *entry = pools->pools; entry != NULL; entry = entry->hh.next) {
        struct quota_limits current = pools_limits(pools, entry->pool.model);
        quota_change(&entry->pool.quota, &current, now_ns);
    }
}

bool pools_set_limits(struct pools *pools, const char *model, const struct quota_limits *limits,
                      int64_t now_ns)
{
    struct limits_entry *entry = NULL;
    HASH_FIND_STR(pools->limits, model, entry);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return false;
        snprintf(entry->model, sizeof entry->model, "%s", model);
        HASH_ADD_STR(pools->limits, model, entry);
    }
    entry->limits = *limits;
    apply_limits(pools, now_ns);
    return true;
}

void pools_forget_limits(struct pools *pools, int64_t now_ns)
{
    free_limits(pools);
    apply_limits(pools, now_ns);
}

struct pool *pools_get(struct pools *pools, const char *key, const char *model, int64_t now_ns)
{
    struct pool_id id = {.key_digest = digest_bytes(key, strlen(key))};
    snprintf(id.model, sizeof id.model, "%s", model);
    struct pool_entry *entry = NULL;
    HASH_FIND(hh, pools->pools, &id, sizeof id, entry);
    if (entry != NULL)
        return &entry->pool;
    if (HASH_COUNT(pools->pools) >= POOLS_MAX)
        return NULL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->id = id;
    struct quota_limits limits = pools_limits(pools, model);
    quota_init(&entry->pool.quota, &limits, now_ns);
    snprintf(entry->pool.model, sizeof entry->pool.model, "%s", id.model);
    size_t length = strlen(key);
    snprintf(entry->pool.key_tail, sizeof entry->pool.key_tail, "%s",
             length > 8 ? key + length - 4 : "");
    json_make_utf8(entry->pool.key_tail);
    HASH_ADD(hh, pools->pools, id, sizeof entry->id, entry);
    return &entry->pool;
}

void pools_each(const struct pools *pools, void (*visit)(void *owner, const struct pool *pool),
                void *owner)
{
    for (const struct pool_entry *entry = pools->pools; entry != NULL; entry = entry->hh.next)
        visit(owner, &entry->pool);
}

void pools_each_limits(const struct pools *pools,
                       void (*visit)(void *owner, const char *model,
                                     const struct quota_limits *limits),
                       void *owner)
{
    for (const struct limits_entry *entry = pools->limits; entry != NULL; entry = entry->hh.next)
        visit(owner, entry->model, &entry->limits);
}

void pools_reset(struct pools *pools, int64_t now_ns)
{
    for (struct pool_entry *entry = pools->pools; entry != NULL; entry = entry->hh.next) {
        quota_level in_flight = entry->pool.quota.level[QUOTA_CONCURRENT_REQUESTS];
        struct quota_limits limits = pools_limits(pools, entry->pool.model);
        quota_init(&entry->pool.quota, &limits, now_ns);
        entry->pool.quota.level[QUOTA_CONCURRENT_REQUESTS] = in_flight;
        memset(entry->pool.throttled, 0, sizeof entry->pool.throttled);
    }
}
