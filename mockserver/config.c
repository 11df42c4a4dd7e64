#include "mockserver/config.h"

#include "base/duration.h"
#include "mockserver/account.h"
#include "mockserver/script_json.h"
#include "mockserver/shared_quotas.h"

#include <stdlib.h>
#include <string.h>

void config_init(struct config *config)
{
    *config = (struct config){.batch_duration_ns = CONFIG_BATCH_DURATION_NS};
    limit_rules_init(&config->rules);
}

void config_quotas_free(struct config_quotas *quotas)
{
    for (size_t i = 0; i < quotas->count; i++) {
        for (size_t j = 0; j < quotas->items[i].shared_by_count; j++)
            free(quotas->items[i].shared_by[j]);
        free(quotas->items[i].shared_by);
        free(quotas->items[i].model);
    }
    free(quotas->items);
    *quotas = (struct config_quotas){0};
}

void config_free(struct config *config)
{
    config_quotas_free(&config->quotas);
    for (size_t i = 0; i < config->model_count; i++) {
        free(config->models[i].id);
        free(config->models[i].content);
        distribution_free(&config->models[i].latency);
    }
    free(config->models);
    distribution_free(&config->latency);
    distribution_free(&config->refusal_latency);
    for (size_t i = 0; i < config->api_key_count; i++)
        free(config->api_keys[i]);
    free(config->api_keys);
    for (size_t i = 0; i < config->account_count; i++) {
        free(config->accounts[i].key);
        free(config->accounts[i].organization);
        free(config->accounts[i].project);
    }
    free(config->accounts);
    script_free(&config->concurrency_refusal);
    script_free(&config->script);
    for (size_t i = 0; i < config->change_count; i++)
        config_quotas_free(&config->changes[i].quotas);
    free(config->changes);
    config_init(config);
}

static bool check_model_name(const struct json_reader *reader, const cJSON *item,
                             const char *pointer)
{
    size_t length = strlen(item->string);
    if (length >= 1 && length <= CONFIG_MODEL_NAME_MAX)
        return true;
    return json_wrong(reader, pointer, NULL, "a model id of 1 to %d bytes as the key",
                      CONFIG_MODEL_NAME_MAX);
}

/* null: no limit. */
static bool read_limit(int64_t *limit, const struct json_reader *reader, const cJSON *object,
                       const char *pointer, const char *name)
{
    if (!cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, name)))
        return json_read_whole(reader, object, pointer, name, 0, QUOTA_LIMIT_MAX, limit);
    *limit = QUOTA_UNLIMITED;
    return true;
}

static bool read_limits(struct quota_limits *limits, const struct json_reader *reader,
                        const cJSON *object, const char *pointer)
{
    const char *known[QUOTA_DIMENSION_COUNT + 4] = {0};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++)
        known[i] = quota_dimension_name((enum quota_dimension)i);
    known[QUOTA_DIMENSION_COUNT] = "enforcement";
    known[QUOTA_DIMENSION_COUNT + 1] = "shared_by";
    known[QUOTA_DIMENSION_COUNT + 2] = "batch_queue_tokens";
    if (!json_known_members(reader, object, pointer, known))
        return false;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (!read_limit(&limits->limit[i], reader, object, pointer, known[i]))
            return false;
    }
    if (!read_limit(&limits->batch_queue_tokens, reader, object, pointer, "batch_queue_tokens"))
        return false;
    int enforcement = (int)limits->enforcement;
    if (!json_read_word(reader, object, pointer, "enforcement", quota_enforcement_names,
                        &enforcement))
        return false;
    limits->enforcement = (enum quota_enforcement)enforcement;
    return true;
}

static bool read_shared_by(struct config_quota *quota, const struct json_reader *reader,
                           const cJSON *object, const char *pointer)
{
    const cJSON *list = NULL;
    if (!json_read_array(reader, object, pointer, "shared_by", &list))
        return false;
    if (list == NULL)
        return true;
    char place[JSON_POINTER_SIZE];
    json_pointer_member(place, pointer, "shared_by");
    if (cJSON_GetArraySize(list) == 0)
        return json_wrong(reader, place, list, "at least one model, or no \"shared_by\"");
    quota->shared_by =
        json_items(reader, list, place, CONFIG_SHARED_BY_MAX, sizeof *quota->shared_by);
    if (quota->shared_by == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        size_t length = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
        char item_place[JSON_POINTER_SIZE];
        json_pointer_item(item_place, place, quota->shared_by_count);
        if (length < 1 || length > CONFIG_MODEL_NAME_MAX)
            return json_wrong(reader, item_place, item, "a model id of 1 to %d bytes",
                              CONFIG_MODEL_NAME_MAX);
        quota->shared_by[quota->shared_by_count++] = strdup(item->valuestring);
    }
    return true;
}

bool config_quotas_read(struct config_quotas *quotas, const struct json_reader *reader,
                        const cJSON *object, const char *pointer,
                        struct quota_limits (*base)(void *owner, const char *model), void *owner)
{
    if (!cJSON_IsObject(object))
        return json_wrong(reader, pointer, object, "an object of limits by model");
    quotas->items = json_items(reader, object, pointer, CONFIG_MODELS_MAX, sizeof *quotas->items);
    if (quotas->items == NULL)
        return false;
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        char place[JSON_POINTER_SIZE];
        json_pointer_member(place, pointer, member->string);
        if (!check_model_name(reader, member, place))
            return false;
        struct config_quota *quota = &quotas->items[quotas->count++];
        quota->model = strdup(member->string);
        if (base != NULL)
            quota->limits = base(owner, member->string);
        else
            quota_limits_say_nothing(&quota->limits);
        if (!read_limits(&quota->limits, reader, member, place) ||
            !read_shared_by(quota, reader, member, place))
            return false;
    }
    return shared_quotas_check(quotas, reader, pointer);
}

/* A duration, {"low": ..., "high": ...}: drawn evenly from between, or a distribution. */
static bool read_latency(const struct json_reader *reader, const cJSON *object, const char *pointer,
                         const char *name, struct distribution *latency)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    if (cJSON_GetObjectItemCaseSensitive(item, "kind") != NULL)
        return distribution_read(reader, object, pointer, name, true, 0, CONFIG_LATENCY_NS_MAX,
                                 latency);
    char place[JSON_POINTER_SIZE];
    int64_t low_ns = 0;
    int64_t high_ns = 0;
    json_pointer_member(place, pointer, name);
    if (cJSON_IsObject(item)) {
        if (!json_known_members(reader, item, place, (const char *const[]){"low", "high", NULL}) ||
            !json_read_duration(reader, item, place, "low", &low_ns) ||
            !json_read_duration(reader, item, place, "high", &high_ns))
            return false;
    } else {
        if (!json_read_duration(reader, object, pointer, name, &low_ns))
            return false;
        high_ns = low_ns;
    }
    if (high_ns < low_ns)
        return json_wrong(reader, place, item, "\"high\" not below \"low\"");
    if (high_ns > CONFIG_LATENCY_NS_MAX)
        return json_wrong(reader, place, item, "at most 24h");
    *latency =
        low_ns == high_ns ? distribution_constant(low_ns) : distribution_uniform(low_ns, high_ns);
    return true;
}

/* "first_token" and "tokens_per_second". */
static bool read_pace(struct pace *pace, const struct json_reader *reader, const cJSON *object,
                      const char *pointer)
{
    char place[JSON_POINTER_SIZE];
    if (!json_read_duration(reader, object, pointer, "first_token", &pace->first_token_ns) ||
        !json_read_number(reader, object, pointer, "tokens_per_second", 0.001, 1e6,
                          &pace->tokens_per_second))
        return false;
    if (pace->first_token_ns > CONFIG_LATENCY_NS_MAX)
        return json_wrong(reader, json_pointer_member(place, pointer, "first_token"),
                          cJSON_GetObjectItemCaseSensitive(object, "first_token"), "at most 24h");
    return true;
}

static bool read_models(struct config *config, const struct json_reader *reader,
                        const cJSON *object, const char *pointer)
{
    config->models = json_items(reader, object, pointer, CONFIG_MODELS_MAX, sizeof *config->models);
    if (config->models == NULL)
        return false;
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        char place[JSON_POINTER_SIZE];
        json_pointer_member(place, pointer, member->string);
        struct config_model *model = &config->models[config->model_count++];
        *model = (struct config_model){
            .has_latency = cJSON_GetObjectItemCaseSensitive(member, "latency") != NULL,
            .pace = {-1, -1},
        };
        model->id = strdup(member->string);
        if (strcmp(model->id, "*") == 0)
            return json_wrong(reader, place, member,
                              "a model id; \"latency\" beside \"models\" is for all models");
        if (!check_model_name(reader, member, place) ||
            !json_known_members(reader, member, place,
                                (const char *const[]){"latency", "content", "first_token",
                                                      "tokens_per_second", NULL}) ||
            !read_latency(reader, member, place, "latency", &model->latency) ||
            !read_pace(&model->pace, reader, member, place) ||
            !json_read_copy(reader, member, place, "content", &model->content))
            return false;
    }
    return true;
}

static bool read_api_keys(struct config *config, const struct json_reader *reader,
                          const cJSON *list, const char *pointer)
{
    config->api_keys = json_items(reader, list, pointer, CONFIG_KEYS_MAX, sizeof *config->api_keys);
    if (config->api_keys == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        json_pointer_item(place, pointer, config->api_key_count);
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
            return json_wrong(reader, place, item, "a key as a string");
        config->api_keys[config->api_key_count++] = strdup(item->valuestring);
    }
    return true;
}

bool config_add_api_key(struct config *config, const char *key, struct error *error)
{
    if (config->api_key_count >= CONFIG_KEYS_MAX)
        return error_set(error, "--api-key", "more than %d keys, with those of the file",
                         CONFIG_KEYS_MAX);
    char **keys = realloc(config->api_keys, (config->api_key_count + 1) * sizeof *keys);
    if (keys == NULL)
        return error_set_run(error, "--api-key", "out of memory");
    config->api_keys = keys;
    keys[config->api_key_count] = strdup(key);
    if (keys[config->api_key_count] == NULL)
        return error_set_run(error, "--api-key", "out of memory");
    config->api_key_count++;
    return true;
}

/* An organization's or a project's id, which goes into headers and messages. */
static bool read_account_name(const struct json_reader *reader, const cJSON *object,
                              const char *pointer, const char *name, bool is_needed, char **copy)
{
    if (!json_read_copy(reader, object, pointer, name, copy))
        return false;
    if (*copy == NULL && !is_needed)
        return true;
    if (*copy != NULL && (*copy)[0] != '\0' && strlen(*copy) <= CONFIG_ACCOUNT_NAME_MAX &&
        account_name_is_good(*copy))
        return true;
    char place[JSON_POINTER_SIZE];
    return json_wrong(reader, json_pointer_member(place, pointer, name),
                      cJSON_GetObjectItemCaseSensitive(object, name),
                      "an id of 1 to %d letters, digits, '-' and '_'", CONFIG_ACCOUNT_NAME_MAX);
}

static bool read_accounts(struct config *config, const struct json_reader *reader,
                          const cJSON *list, const char *pointer)
{
    config->accounts = json_items(reader, list, pointer, CONFIG_KEYS_MAX, sizeof *config->accounts);
    if (config->accounts == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        char key_place[JSON_POINTER_SIZE];
        json_pointer_item(place, pointer, config->account_count);
        struct config_account *account = &config->accounts[config->account_count++];
        if (!json_known_members(reader, item, place,
                                (const char *const[]){"key", "organization", "project", NULL}) ||
            !json_read_copy(reader, item, place, "key", &account->key) ||
            !read_account_name(reader, item, place, "organization", true, &account->organization) ||
            !read_account_name(reader, item, place, "project", false, &account->project))
            return false;
        if (account->key == NULL || account->key[0] == '\0')
            return json_wrong(reader, json_pointer_member(key_place, place, "key"),
                              cJSON_GetObjectItemCaseSensitive(item, "key"), "a key as a string");
    }
    return true;
}

static bool read_change(struct config_change *change, const struct json_reader *reader,
                        const cJSON *item, const char *pointer)
{
    const cJSON *quotas = NULL;
    change->at_ns = -1;
    if (!json_known_members(reader, item, pointer,
                            (const char *const[]){"after_requests", "at", "quotas", NULL}) ||
        !json_read_whole(reader, item, pointer, "after_requests", 1, 1000000000,
                         &change->after_requests) ||
        !json_read_duration(reader, item, pointer, "at", &change->at_ns) ||
        !json_read_object(reader, item, pointer, "quotas", &quotas))
        return false;
    if ((change->after_requests == 0) == (change->at_ns < 0))
        return json_wrong(reader, pointer, item, "either \"after_requests\" or \"at\"");
    char place[JSON_POINTER_SIZE];
    json_pointer_member(place, pointer, "quotas");
    if (quotas == NULL)
        return json_wrong(reader, place, NULL, "the new limits by model");
    return config_quotas_read(&change->quotas, reader, quotas, place, NULL, NULL);
}

static bool read_changes(struct config *config, const struct json_reader *reader, const cJSON *list,
                         const char *pointer)
{
    config->changes =
        json_items(reader, list, pointer, CONFIG_CHANGES_MAX, sizeof *config->changes);
    if (config->changes == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        json_pointer_item(place, pointer, config->change_count);
        if (!read_change(&config->changes[config->change_count++], reader, item, place))
            return false;
    }
    return true;
}

bool config_read(struct config *config, const struct json_reader *reader, const cJSON *object,
                 const char *pointer)
{
    static const char *const known[] = {"quotas",
                                        "rules",
                                        "tier",
                                        "models",
                                        "only_listed_models",
                                        "latency",
                                        "refusal_latency",
                                        "concurrency_refusal",
                                        "first_token",
                                        "tokens_per_second",
                                        "api_keys",
                                        "accounts",
                                        "batch_duration",
                                        "script",
                                        "changes",
                                        NULL};
    const cJSON *quotas = NULL;
    const cJSON *models = NULL;
    const cJSON *api_keys = NULL;
    const cJSON *accounts = NULL;
    const cJSON *refusal = cJSON_GetObjectItemCaseSensitive(object, "concurrency_refusal");
    const cJSON *script = NULL;
    const cJSON *changes = NULL;
    if (!json_known_members(reader, object, pointer, known) ||
        !json_read_object(reader, object, pointer, "quotas", &quotas) ||
        !json_read_object(reader, object, pointer, "models", &models) ||
        !json_read_array(reader, object, pointer, "api_keys", &api_keys) ||
        !json_read_array(reader, object, pointer, "accounts", &accounts) ||
        !json_read_duration(reader, object, pointer, "batch_duration",
                            &config->batch_duration_ns) ||
        !json_read_array(reader, object, pointer, "script", &script) ||
        !json_read_array(reader, object, pointer, "changes", &changes) ||
        !json_read_bool(reader, object, pointer, "only_listed_models",
                        &config->only_listed_models) ||
        !read_latency(reader, object, pointer, "latency", &config->latency) ||
        !read_latency(reader, object, pointer, "refusal_latency", &config->refusal_latency) ||
        !read_pace(&config->pace, reader, object, pointer))
        return false;
    if (!limit_rules_read(&config->rules, reader, object, pointer))
        return false;
    char place[JSON_POINTER_SIZE];
    if (quotas != NULL &&
        !config_quotas_read(&config->quotas, reader, quotas,
                            json_pointer_member(place, pointer, "quotas"), NULL, NULL))
        return false;
    if (models != NULL &&
        !read_models(config, reader, models, json_pointer_member(place, pointer, "models")))
        return false;
    if (api_keys != NULL &&
        !read_api_keys(config, reader, api_keys, json_pointer_member(place, pointer, "api_keys")))
        return false;
    if (accounts != NULL &&
        !read_accounts(config, reader, accounts, json_pointer_member(place, pointer, "accounts")))
        return false;
    if (refusal != NULL &&
        !script_read_refusal(&config->concurrency_refusal, reader, refusal,
                             json_pointer_member(place, pointer, "concurrency_refusal")))
        return false;
    if (script != NULL && !script_read(&config->script, reader, script,
                                       json_pointer_member(place, pointer, "script")))
        return false;
    return changes == NULL ||
           read_changes(config, reader, changes, json_pointer_member(place, pointer, "changes"));
}

/* Whether one of these limits answers 429. */
static bool has_limit(const struct config *config, const struct config_quotas *quotas)
{
    const struct script *refusal = &config->concurrency_refusal;
    bool says_else = refusal->step_count > 0 && script_status(&refusal->steps[0]) != 429;
    for (size_t i = 0; i < quotas->count; i++) {
        for (int dimension = 0; dimension < QUOTA_DIMENSION_COUNT; dimension++) {
            if (quotas->items[i].limits.limit[dimension] >= 0 &&
                !(says_else && dimension == QUOTA_CONCURRENT_REQUESTS))
                return true;
        }
    }
    return false;
}

bool config_can_throttle(const struct config *config)
{
    for (size_t i = 0; i < config->script.step_count; i++) {
        const struct script_step *step = &config->script.steps[i];
        if (step->fault.kind != NULL && step->fault.kind->status == 429)
            return true;
        if (step->serves || step->fault.kind != NULL)
            continue;
        if (script_status(step) == 429)
            return true;
    }
    for (size_t i = 0; i < config->change_count; i++) {
        if (has_limit(config, &config->changes[i].quotas))
            return true;
    }
    return config->rules.tier != NULL || has_limit(config, &config->quotas);
}
