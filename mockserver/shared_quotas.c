#include "mockserver/shared_quotas.h"

#include <stdlib.h>
#include <string.h>

/* A place where a model is named: as one of those that share a pool, or with limits of its own. */
struct mention {
    const char *model;
    size_t quota; /* its place among the quotas */
    size_t item;  /* its place in "shared_by", or OWN_LIMITS */
};

static const size_t OWN_LIMITS = SIZE_MAX;

/* By name; of one name in the order of the file, with the limits of its own last. */
static int compare_mentions(const void *a, const void *b)
{
    const struct mention *first = a;
    const struct mention *second = b;
    int order = strcmp(first->model, second->model);
    if (order != 0)
        return order;
    bool is_first_own = first->item == OWN_LIMITS;
    bool is_second_own = second->item == OWN_LIMITS;
    if (is_first_own != is_second_own)
        return is_first_own ? 1 : -1;
    if (first->quota != second->quota)
        return first->quota < second->quota ? -1 : 1;
    return (first->item > second->item) - (first->item < second->item);
}

static void list_mentions(const struct config_quotas *quotas, struct mention *mentions)
{
    size_t count = 0;
    for (size_t i = 0; i < quotas->count; i++) {
        const struct config_quota *quota = &quotas->items[i];
        mentions[count++] = (struct mention){quota->model, i, OWN_LIMITS};
        for (size_t j = 0; j < quota->shared_by_count; j++)
            mentions[count++] = (struct mention){quota->shared_by[j], i, j};
    }
}

static bool refuse(const struct config_quotas *quotas, const struct json_reader *reader,
                   const char *pointer, const struct mention *shared, const struct mention *other)
{
    char quota_place[JSON_POINTER_SIZE];
    char list_place[JSON_POINTER_SIZE];
    char place[JSON_POINTER_SIZE];
    json_pointer_member(quota_place, pointer, quotas->items[shared->quota].model);
    json_pointer_member(list_place, quota_place, "shared_by");
    json_pointer_item(place, list_place, shared->item);
    cJSON *found = cJSON_CreateString(shared->model);
    if (other->item == OWN_LIMITS)
        json_wrong(reader, place, found,
                   "a model that has no limits of its own beside \"shared_by\"; take it out here "
                   "or there");
    else
        json_wrong(reader, place, found,
                   "a model that shares only once; it stands in \"shared_by\" of \"%s\", too",
                   quotas->items[other->quota].model);
    cJSON_Delete(found);
    return false;
}

bool shared_quotas_check(const struct config_quotas *quotas, const struct json_reader *reader,
                         const char *pointer)
{
    size_t count = quotas->count;
    for (size_t i = 0; i < quotas->count; i++)
        count += quotas->items[i].shared_by_count;
    if (count == quotas->count)
        return true; /* nobody shares */
    struct mention *mentions = calloc(count, sizeof *mentions);
    if (mentions == NULL)
        return error_set_run(reader->error, pointer, "out of memory");
    list_mentions(quotas, mentions);
    qsort(mentions, count, sizeof *mentions, compare_mentions);
    bool is_good = true;
    for (size_t i = 1; i < count && is_good; i++) {
        const struct mention *one = &mentions[i - 1];
        const struct mention *next = &mentions[i];
        if (strcmp(one->model, next->model) != 0)
            continue;
        is_good = next->item == OWN_LIMITS ? refuse(quotas, reader, pointer, one, next)
                                           : refuse(quotas, reader, pointer, next, one);
    }
    free(mentions);
    return is_good;
}
