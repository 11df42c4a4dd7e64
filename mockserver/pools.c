#include "mockserver/pools.h"

#include "base/cache_line.h"
#include "base/digest.h"
#include "base/large_pages.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits under a name, or a model that shares those of another name. Some hundreds at most, looked
 * up once for each model. */
struct entry {
    char name[POOLS_MODEL_SIZE];
    struct quota_limits limits;
    char target[POOLS_MODEL_SIZE]; /* whose limits it shares; "" none: it has its own */
};

struct entries {
    struct entry *items;
    size_t count;
    size_t capacity;
};

struct model {
    char name[POOLS_MODEL_SIZE];
    uint64_t hash;
    const struct model *owner;         /* whose pools it draws from: itself, or a shared name */
    const struct quota_limits *limits; /* one of these two, in turns: pools have the former until */
    struct quota_limits resolved[2];   /* they are given the new ones */
};

enum {
    FEW_POOLS = 512, /* as most servers have: these take the memory that they use, not a page */
    SLOTS_START = 64,
    MODEL_SLOTS_START = 512,
    CHUNK_POOLS = LARGE_PAGE / (sizeof(struct pool) + sizeof(uint32_t[QUOTA_DIMENSION_COUNT])),
};

/* A large page, so that most look-ups miss no TLB. What an admission does not need lies apart: 192
 * bytes from one pool to the next use all sets of a cache alike, 256 bytes half of them. */
struct chunk {
    struct pool pools[CHUNK_POOLS];
    uint32_t throttled[CHUNK_POOLS][QUOTA_DIMENSION_COUNT];
};

_Static_assert(sizeof(struct pool) == (size_t)3 * CACHE_LINE, "a pool is three lines of the cache");
_Static_assert(sizeof(struct chunk) <= LARGE_PAGE, "a chunk of pools is on one large page");
_Static_assert(offsetof(struct pool, quota.use[QUOTA_TOKENS_PER_DAY]) <= (size_t)2 * CACHE_LINE,
               "the limits that accounts mostly have are in two of them");

/* Two tables with open addressing. A slot of pools holds the upper half of the pool's id and, in
 * the lower half, its number from 1; 0 is free. With 8 bytes a slot a look-up is one cache miss
 * before the pool's own. */
struct pools {
    struct entries entries[POOLS_SOURCE_COUNT];
    int changes; /* that have begun and not ended */

    struct model **models;
    size_t model_count;
    size_t model_slots; /* a power of two */

    uint64_t *slots;
    size_t slot_count; /* a power of two */
    struct chunk **chunks;
    size_t pool_count;
    size_t pool_count_max;

    struct model *model_last; /* that was asked for last, or NULL: most ask for the same */
    struct quota_limits unlimited;
};

/* --- memory ----------------------------------------------------------------------------------- */

/* Zeroed; on large pages where it is that large: then a multiple of one. */
static void *new_table(size_t size)
{
    if (size < LARGE_PAGE)
        return calloc(1, size);
    void *table = large_pages_map(size);
    if (table != NULL)
        large_pages_use(table, size);
    return table;
}

static void free_table(void *table, size_t size)
{
    if (table == NULL || size < LARGE_PAGE)
        free(table);
    else
        large_pages_unmap(table, size);
}

struct pools *pools_new(void)
{
    struct pools *pools = calloc(1, sizeof *pools);
    if (pools == NULL)
        return NULL;
    pools->pool_count_max = POOLS_MAX;
    pools->slot_count = SLOTS_START;
    pools->model_slots = MODEL_SLOTS_START;
    pools->slots = calloc(SLOTS_START, sizeof *pools->slots);
    pools->models = calloc(MODEL_SLOTS_START, sizeof(struct model *));
    quota_limits_init(&pools->unlimited);
    if (pools->slots == NULL || pools->models == NULL) {
        pools_free(pools);
        return NULL;
    }
    return pools;
}

static struct pool *pool_at(const struct pools *pools, size_t index)
{
    return &pools->chunks[index / CHUNK_POOLS]->pools[index % CHUNK_POOLS];
}

/* A chunk begins where a large page does. */
static size_t index_in_chunk(const struct pool *pool)
{
    return ((uintptr_t)pool & (LARGE_PAGE - 1)) / sizeof *pool;
}

uint32_t pool_throttled(const struct pool *pool, enum quota_dimension dimension)
{
    size_t index = index_in_chunk(pool);
    const struct chunk *chunk = (const struct chunk *)(pool - index);
    return chunk->throttled[index][dimension];
}

static uint32_t *throttled_of(struct pool *pool)
{
    size_t index = index_in_chunk(pool);
    struct chunk *chunk = (struct chunk *)(pool - index);
    return chunk->throttled[index];
}

void pool_count_throttled(struct pool *pool, enum quota_dimension dimension)
{
    throttled_of(pool)[dimension]++;
}

void pools_free(struct pools *pools)
{
    if (pools == NULL)
        return;
    for (size_t i = 0; i < pools->pool_count; i++)
        quota_free(&pool_at(pools, i)->quota);
    for (size_t i = 0; i < (pools->pool_count + CHUNK_POOLS - 1) / CHUNK_POOLS; i++)
        large_pages_unmap(pools->chunks[i], LARGE_PAGE);
    for (size_t i = 0; i < pools->model_slots && pools->models != NULL; i++)
        free(pools->models[i]);
    for (int i = 0; i < POOLS_SOURCE_COUNT; i++)
        free(pools->entries[i].items);
    free(pools->chunks);
    free(pools->models);
    free_table(pools->slots, pools->slot_count * sizeof *pools->slots);
    free(pools);
}

void pools_allow(struct pools *pools, size_t count_max)
{
    pools->pool_count_max = count_max < UINT32_MAX - 1 ? count_max : UINT32_MAX - 1;
}

void pools_set_initial(struct pools *pools, const struct quota_limits *limits)
{
    pools->unlimited.enforcement = limits->enforcement;
    pools->unlimited.refused_count = limits->refused_count;
}

/* --- whose limits ----------------------------------------------------------------------------- */

static struct entry *find_entry(const struct entries *entries, const char *name, size_t length)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->items[i];
        if (strncmp(entry->name, name, length) == 0 && entry->name[length] == '\0')
            return entry;
    }
    return NULL;
}

static bool is_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

/* The length without a date at the end: "-2024-08-06", or "-0125" of older models. */
static size_t undated_length(const char *name, size_t length)
{
    const char *end = name + length;
    if (length > 11 && end[-11] == '-' && is_digits(end - 10, 4) && end[-6] == '-' &&
        is_digits(end - 5, 2) && end[-3] == '-' && is_digits(end - 2, 2))
        return length - 11;
    if (length > 5 && end[-5] == '-' && is_digits(end - 4, 4))
        return length - 5;
    return length;
}

/* The entry of a name with or without its date. */
static struct entry *find_dated(const struct entries *entries, const char *name, size_t length)
{
    struct entry *entry = find_entry(entries, name, length);
    return entry != NULL ? entry : find_entry(entries, name, undated_length(name, length));
}

static struct entry *find_prefix(const struct entries *entries, const char *model)
{
    struct entry *longest = NULL;
    size_t longest_length = 0;
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->items[i];
        size_t length = strlen(entry->name);
        if (entry->name[length - 1] == '*' && strncmp(entry->name, model, length - 1) == 0 &&
            length > longest_length) {
            longest = entry;
            longest_length = length;
        }
    }
    return longest;
}

/* *is_own: each model has a pool of its own under these limits. NULL: there are none. */
static const struct entry *find_limits(const struct entries *entries, const char *model,
                                       bool *is_own)
{
    *is_own = false;
    struct entry *entry = find_dated(entries, model, strlen(model));
    if (entry == NULL && strncmp(model, "ft:", 3) == 0) {
        const char *base = model + 3;
        entry = find_dated(entries, base, strcspn(base, ":"));
    }
    if (entry == NULL) {
        *is_own = true;
        entry = find_prefix(entries, model);
    }
    if (entry != NULL && entry->target[0] != '\0') {
        entry = find_entry(entries, entry->target, strlen(entry->target));
        *is_own = false;
    }
    return entry;
}

/* What `said` says goes before what is there. */
static void overlay(struct quota_limits *limits, const struct quota_limits *said)
{
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (said->limit[i] != QUOTA_NOT_SAID)
            limits->limit[i] = said->limit[i];
    }
    if (said->batch_queue_tokens != QUOTA_NOT_SAID)
        limits->batch_queue_tokens = said->batch_queue_tokens;
    if (said->enforcement != QUOTA_ENFORCEMENT_COUNT)
        limits->enforcement = said->enforcement;
}

/* *owner: the name whose pools the model draws from. */
static struct quota_limits resolve_name(const struct pools *pools, const char *name,
                                        const char **owner)
{
    struct quota_limits limits = pools->unlimited;
    *owner = name;
    for (int i = 0; i < POOLS_SOURCE_COUNT; i++) {
        bool is_own;
        const struct entry *entry = find_limits(&pools->entries[i], name, &is_own);
        if (entry == NULL)
            continue;
        overlay(&limits, &entry->limits);
        *owner = is_own ? name : entry->name;
    }
    return limits;
}

struct quota_limits pools_limits(const struct pools *pools, const char *model)
{
    const char *owner;
    struct quota_limits limits = resolve_name(pools, model, &owner);
    return strcmp(owner, model) == 0 ? limits : resolve_name(pools, owner, &owner);
}

struct quota_limits pools_said_limits(const struct pools *pools, const char *model)
{
    bool is_own;
    const struct entry *entry = find_limits(&pools->entries[POOLS_SET_UP], model, &is_own);
    struct quota_limits nothing;
    quota_limits_say_nothing(&nothing);
    return entry != NULL ? entry->limits : nothing;
}

/* --- models ----------------------------------------------------------------------------------- */

static struct model **model_slot(struct model **models, size_t slots, uint64_t hash,
                                 const char *name)
{
    size_t slot = hash & (slots - 1);
    while (models[slot] != NULL &&
           (models[slot]->hash != hash || strcmp(models[slot]->name, name) != 0))
        slot = (slot + 1) & (slots - 1);
    return &models[slot];
}

static bool grow_models(struct pools *pools)
{
    size_t slots = 2 * pools->model_slots;
    struct model **models = calloc(slots, sizeof(struct model *));
    if (models == NULL)
        return false;
    for (size_t i = 0; i < pools->model_slots; i++) {
        struct model *model = pools->models[i];
        if (model != NULL)
            *model_slot(models, slots, model->hash, model->name) = model;
    }
    free(pools->models);
    pools->models = models;
    pools->model_slots = slots;
    return true;
}

static struct model *model_of(struct pools *pools, const char *name);

static void resolve(struct pools *pools, struct model *model)
{
    const char *owner_name;
    struct quota_limits *next = &model->resolved[model->limits == &model->resolved[0] ? 1 : 0];
    *next = resolve_name(pools, model->name, &owner_name);
    model->limits = next;
    model->owner = model;
    if (strcmp(owner_name, model->name) == 0)
        return;
    const struct model *owner = model_of(pools, owner_name);
    if (owner != NULL)
        model->owner = owner;
}

static struct model *model_of(struct pools *pools, const char *name)
{
    size_t length = strnlen(name, POOLS_MODEL_SIZE - 1);
    uint64_t hash = digest_quick(name, length);
    struct model **slot = model_slot(pools->models, pools->model_slots, hash, name);
    if (*slot != NULL)
        return *slot;
    if (pools->model_count >= pools->pool_count_max)
        return NULL;
    /* At most an eighth full: few look-ups meet another model first. */
    if (8 * (pools->model_count + 1) > pools->model_slots) {
        if (!grow_models(pools))
            return NULL;
        slot = model_slot(pools->models, pools->model_slots, hash, name);
    }
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return NULL;
    memcpy(model->name, name, length);
    model->hash = hash;
    *slot = model;
    pools->model_count++;
    resolve(pools, model);
    return model;
}

/* After a change of the entries: every model finds its limits anew, and every pool gets them. The
 * table does not grow meanwhile: names that have limits are in it. */
static void apply_limits(struct pools *pools, int64_t now_ns)
{
    if (pools->changes > 0)
        return;
    for (size_t i = 0; i < pools->model_slots; i++) {
        if (pools->models[i] != NULL)
            resolve(pools, pools->models[i]);
    }
    for (size_t i = 0; i < pools->pool_count; i++) {
        struct pool *pool = pool_at(pools, i);
        quota_change(&pool->quota, model_of(pools, pool->model)->limits, now_ns);
    }
}

/* The entry of that name, made when there is none; NULL when memory is out. */
static struct entry *get_entry(struct entries *entries, const char *name)
{
    struct entry *found = find_entry(entries, name, strlen(name));
    if (found != NULL)
        return found;
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity > 0 ? 2 * entries->capacity : 16;
        struct entry *items = realloc(entries->items, capacity * sizeof *items);
        if (items == NULL)
            return NULL;
        entries->items = items;
        entries->capacity = capacity;
    }
    struct entry *entry = &entries->items[entries->count++];
    *entry = (struct entry){.target = ""};
    snprintf(entry->name, sizeof entry->name, "%s", name);
    return entry;
}

bool pools_set_limits(struct pools *pools, enum pools_source source, const char *name,
                      const struct quota_limits *limits, int64_t now_ns)
{
    if (model_of(pools, name) == NULL)
        return false;
    struct entry *entry = get_entry(&pools->entries[source], name);
    if (entry == NULL)
        return false;
    entry->limits = *limits;
    entry->target[0] = '\0';
    apply_limits(pools, now_ns);
    return true;
}

bool pools_share(struct pools *pools, const char *name, const char *model, int64_t now_ns)
{
    struct entries *entries = &pools->entries[POOLS_SET_UP];
    struct entry *shared = get_entry(entries, model);
    if (shared == NULL)
        return false;
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->items[i];
        if (entry == shared || strcmp(entry->target, model) == 0)
            snprintf(entry->target, sizeof entry->target, "%s", name);
    }
    apply_limits(pools, now_ns);
    return true;
}

void pools_begin_change(struct pools *pools)
{
    pools->changes++;
}

void pools_end_change(struct pools *pools, int64_t now_ns)
{
    pools->changes--;
    apply_limits(pools, now_ns);
}

void pools_forget_limits(struct pools *pools, enum pools_source source)
{
    pools->entries[source].count = 0;
}

/* --- pools ------------------------------------------------------------------------------------ */

static void put_slot(uint64_t *slots, size_t slot_count, uint64_t id, size_t number)
{
    size_t slot = id & (slot_count - 1);
    while (slots[slot] != 0)
        slot = (slot + 1) & (slot_count - 1);
    slots[slot] = (id >> 32) << 32 | number;
}

static bool grow_slots(struct pools *pools)
{
    size_t slot_count = 2 * pools->slot_count;
    uint64_t *slots = new_table(slot_count * sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < pools->pool_count; i++)
        put_slot(slots, slot_count, pool_at(pools, i)->id, i + 1);
    free_table(pools->slots, pools->slot_count * sizeof *slots);
    pools->slots = slots;
    pools->slot_count = slot_count;
    return true;
}

static bool add_chunk(struct pools *pools)
{
    size_t count = pools->pool_count / CHUNK_POOLS;
    struct chunk **chunks = realloc(pools->chunks, (count + 1) * sizeof(struct chunk *));
    if (chunks == NULL)
        return false;
    pools->chunks = chunks;
    chunks[count] = large_pages_map(LARGE_PAGE);
    if (chunks[count] != NULL && count > 0)
        large_pages_use(chunks[count], LARGE_PAGE);
    return chunks[count] != NULL;
}

static struct pool *add_pool(struct pools *pools, uint64_t id, const struct model *model,
                             const char *owner, size_t owner_length, int64_t now_ns)
{
    if (pools->pool_count >= pools->pool_count_max)
        return NULL;
    /* At most half full. */
    if (2 * (pools->pool_count + 1) > pools->slot_count && !grow_slots(pools))
        return NULL;
    if (pools->pool_count % CHUNK_POOLS == 0 && !add_chunk(pools))
        return NULL;
    if (pools->pool_count == FEW_POOLS)
        large_pages_use(pools->chunks[0], LARGE_PAGE);
    struct pool *pool = pool_at(pools, pools->pool_count++);
    *pool = (struct pool){.id = id, .model = model->name};
    quota_init(&pool->quota, model->limits, now_ns);
    text_copy_utf8(pool->key_tail, sizeof pool->key_tail,
                   owner_length > 8 ? owner + owner_length - 4 : "");
    put_slot(pools->slots, pools->slot_count, id, pools->pool_count);
    return pool;
}

/* What an admission needs of a pool, at once, not one miss after the other. */
static void fetch(const struct pool *pool)
{
    __builtin_prefetch(pool, 1);
    __builtin_prefetch((const char *)pool + CACHE_LINE, 1);
}

static uint64_t id_of(const char *owner, size_t owner_length, const struct model *model)
{
    return digest_mix(digest_quick(owner, owner_length) ^ UINT64_C(0x8ebc6af09c88c6e3),
                      model->hash | 1);
}

uint64_t pools_foresee(const struct pools *pools, const char *owner)
{
    if (pools->model_last == NULL || pools->pool_count == 0)
        return 0;
    uint64_t id = id_of(owner, strlen(owner), pools->model_last->owner);
    __builtin_prefetch(&pools->slots[id & (pools->slot_count - 1)]);
    return id;
}

void pools_fetch(const struct pools *pools, uint64_t foreseen)
{
    if (foreseen == 0)
        return;
    uint64_t slot = pools->slots[foreseen & (pools->slot_count - 1)];
    if (slot != 0 && slot >> 32 == foreseen >> 32)
        fetch(pool_at(pools, (slot & UINT32_MAX) - 1));
}

struct pool *pools_get(struct pools *pools, const char *owner, const char *model_name,
                       int64_t now_ns)
{
    if (pools->model_last == NULL || strcmp(pools->model_last->name, model_name) != 0)
        pools->model_last = model_of(pools, model_name);
    if (pools->model_last == NULL)
        return NULL;
    const struct model *model = pools->model_last->owner;
    size_t owner_length = strlen(owner);
    uint64_t id = id_of(owner, owner_length, model);
    for (size_t slot = id & (pools->slot_count - 1); pools->slots[slot] != 0;
         slot = (slot + 1) & (pools->slot_count - 1)) {
        if (pools->slots[slot] >> 32 != id >> 32)
            continue;
        struct pool *pool = pool_at(pools, (pools->slots[slot] & UINT32_MAX) - 1);
        fetch(pool);
        if (pool->id == id)
            return pool;
    }
    return add_pool(pools, id, model, owner, owner_length, now_ns);
}

const char *pools_shared_name(struct pools *pools, const char *model_name)
{
    const struct model *model = model_of(pools, model_name);
    return model != NULL ? model->owner->name : model_name;
}

void pools_each(const struct pools *pools, void (*visit)(void *owner, const struct pool *pool),
                void *owner)
{
    for (size_t i = 0; i < pools->pool_count; i++)
        visit(owner, pool_at(pools, i));
}

void pools_each_limits(const struct pools *pools,
                       void (*visit)(void *owner, const char *name,
                                     const struct quota_limits *limits),
                       void *owner)
{
    for (int i = POOLS_SOURCE_COUNT; i > 0; i--) {
        const struct entries *entries = &pools->entries[i - 1];
        for (size_t j = 0; j < entries->count; j++) {
            const char *name = entries->items[j].name;
            bool is_listed = i < POOLS_SOURCE_COUNT &&
                             find_entry(&pools->entries[i], name, strlen(name)) != NULL;
            if (is_listed || entries->items[j].target[0] != '\0')
                continue;
            struct quota_limits limits = pools_limits(pools, name);
            visit(owner, name, &limits);
        }
    }
}

void pools_reset(struct pools *pools, int64_t now_ns)
{
    for (size_t i = 0; i < pools->pool_count; i++) {
        struct pool *pool = pool_at(pools, i);
        quota_refill(&pool->quota, now_ns);
        memset(throttled_of(pool), 0, sizeof(uint32_t[QUOTA_DIMENSION_COUNT]));
    }
}
