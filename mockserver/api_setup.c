#include "mockserver/api.h"
#include "mockserver/store.h"

#include <stdlib.h>
#include <string.h>

bool api_change_quotas(struct api *api, const struct config_quotas *quotas, int64_t now_ns)
{
    for (size_t i = 0; i < quotas->count; i++) {
        const struct config_quota *quota = &quotas->items[i];
        if (!pools_set_limits(api->pools, POOLS_SET_UP, quota->model, &quota->limits, now_ns))
            return false;
        for (size_t j = 0; j < quota->shared_by_count; j++) {
            if (!pools_share(api->pools, quota->model, quota->shared_by[j], now_ns))
                return false;
        }
    }
    return true;
}

bool api_change_tier(struct api *api, const struct tier *tier, int64_t now_ns)
{
    api->tier = tier;
    return tier == NULL || tier_apply(tier, api->pools, now_ns);
}

static void set_rules(struct api *api)
{
    const struct limit_rules *rules = &api->config->rules;
    struct quota_limits initial;
    quota_limits_init(&initial);
    initial.enforcement = rules->enforcement;
    initial.refused_count = rules->refused_count;
    pools_set_initial(api->pools, &initial);
}

/* In the place of all limits that there are, those that were set for models that the config does
 * not name, too. */
static bool set_limits(struct api *api, int64_t now_ns)
{
    const struct config *config = api->config;
    pools_begin_change(api->pools);
    for (int i = 0; i < POOLS_SOURCE_COUNT; i++)
        pools_forget_limits(api->pools, (enum pools_source)i);
    set_rules(api);
    bool is_set = api_change_tier(api, config->rules.tier, now_ns) &&
                  api_change_quotas(api, &config->quotas, now_ns);
    pools_end_change(api->pools, now_ns);
    return is_set;
}

bool api_init(struct api *api, const struct config *config, uint64_t seed, int64_t now_ns)
{
    *api = (struct api){.config = config, .seed = seed};
    api->pools = pools_new();
    api->store = store_new();
    api->script_states = calloc(config->script.step_count + 1, sizeof *api->script_states);
    api->change_made = calloc(config->change_count + 1, sizeof *api->change_made);
    bool is_ready = api->pools != NULL && api->store != NULL && api->script_states != NULL &&
                    api->change_made != NULL && api_reset(api, now_ns);
    if (!is_ready)
        api_free(api);
    return is_ready;
}

void api_free(struct api *api)
{
    pools_free(api->pools);
    store_free(api->store);
    free(api->script_states);
    free(api->change_made);
    *api = (struct api){0};
}

static void start_script(struct api *api, int64_t now_ns)
{
    for (size_t i = 0; i < api->config->script.step_count; i++)
        api->script_states[i] = (struct script_state){.first_played_ns = -1};
    for (size_t i = 0; i < api->config->change_count; i++)
        api->change_made[i] = false;
    api->request_count = 0;
    api->start_ns = now_ns;
}

bool api_change_config(struct api *api, const struct config *config, int64_t now_ns)
{
    struct script_state *states = calloc(config->script.step_count + 1, sizeof *states);
    bool *change_made = calloc(config->change_count + 1, sizeof *change_made);
    if (states == NULL || change_made == NULL) {
        free(states);
        free(change_made);
        return false;
    }
    free(api->script_states);
    free(api->change_made);
    api->script_states = states;
    api->change_made = change_made;
    api->config = config;
    start_script(api, now_ns);
    return set_limits(api, now_ns);
}

bool api_reset(struct api *api, int64_t now_ns)
{
    start_script(api, now_ns);
    random_seed(&api->share_random, api->seed, API_STREAM_SHARES);
    random_seed(&api->id_random, api->seed, API_STREAM_IDS);
    random_seed(&api->latency_random, api->seed, API_STREAM_LATENCY);
    random_seed(&api->refusal_random, api->seed, API_STREAM_REFUSAL);
    if (!set_limits(api, now_ns))
        return false;
    pools_reset(api->pools, now_ns);
    store_clear(api->store);
    return true;
}

static void make_change(struct api *api, size_t index, int64_t now_ns)
{
    api->change_made[index] = true;
    api_change_quotas(api, &api->config->changes[index].quotas, now_ns);
}

int64_t api_make_timed_changes(struct api *api, int64_t now_ns)
{
    int64_t next_ns = -1;
    for (size_t i = 0; i < api->config->change_count; i++) {
        const struct config_change *change = &api->config->changes[i];
        if (change->after_requests != 0 || api->change_made[i])
            continue;
        int64_t at_ns = api->start_ns + change->at_ns;
        if (at_ns <= now_ns)
            make_change(api, i, now_ns);
        else if (next_ns < 0 || at_ns < next_ns)
            next_ns = at_ns;
    }
    return next_ns;
}

void api_make_counted_changes(struct api *api, int64_t now_ns)
{
    for (size_t i = 0; i < api->config->change_count; i++) {
        const struct config_change *change = &api->config->changes[i];
        if (change->after_requests != 0 && !api->change_made[i] &&
            api->request_count >= change->after_requests)
            make_change(api, i, now_ns);
    }
}
