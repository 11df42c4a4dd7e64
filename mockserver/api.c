#include "mockserver/api.h"

#include "base/digest.h"
#include "base/duration.h"
#include "base/json_text.h"
#include "mockserver/chat_request.h"
#include "mockserver/completion.h"
#include "mockserver/http_date.h"
#include "mockserver/openai_error.h"
#include "mockserver/ratelimit_headers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHAT_PATH "/v1/chat/completions"
#define MODELS_PATH "/v1/models"

/* Everything that the deciding functions hand to each other about one request. */
struct decision {
    struct api *api;
    const struct api_request *request;
    const char *key;
    int64_t now_ns;
    int64_t wall_ns;
    struct journal_entry *entry;
    struct api_outcome *outcome;
};

bool api_change_quotas(struct api *api, const struct config_quotas *quotas, int64_t now_ns)
{
    for (size_t i = 0; i < quotas->count; i++) {
        const struct config_quota *quota = &quotas->items[i];
        if (!pools_set_limits(api->pools, quota->model, &quota->limits, now_ns))
            return false;
    }
    return true;
}

bool api_init(struct api *api, const struct config *config, uint64_t seed, int64_t now_ns)
{
    *api = (struct api){.config = config, .seed = seed};
    api->pools = pools_new();
    api->script_states = calloc(config->script.step_count + 1, sizeof *api->script_states);
    api->change_made = calloc(config->change_count + 1, sizeof *api->change_made);
    bool is_ready = api->pools != NULL && api->script_states != NULL && api->change_made != NULL &&
                    api_reset(api, now_ns);
    if (!is_ready)
        api_free(api);
    return is_ready;
}

void api_free(struct api *api)
{
    pools_free(api->pools);
    free(api->script_states);
    free(api->change_made);
    *api = (struct api){0};
}

bool api_reset(struct api *api, int64_t now_ns)
{
    for (size_t i = 0; i < api->config->script.step_count; i++)
        api->script_states[i] = (struct script_state){.first_played_ns = -1};
    for (size_t i = 0; i < api->config->change_count; i++)
        api->change_made[i] = false;
    api->request_count = 0;
    api->start_ns = now_ns;
    random_seed(&api->share_random, api->seed, API_STREAM_SHARES);
    random_seed(&api->id_random, api->seed, API_STREAM_IDS);
    random_seed(&api->latency_random, api->seed, API_STREAM_LATENCY);
    random_seed(&api->refusal_random, api->seed, API_STREAM_REFUSAL);
    /* Also limits that were set for models that the config does not name. */
    pools_forget_limits(api->pools, now_ns);
    if (!api_change_quotas(api, &api->config->quotas, now_ns))
        return false;
    pools_reset(api->pools, now_ns);
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

static void make_counted_changes(struct api *api, int64_t now_ns)
{
    for (size_t i = 0; i < api->config->change_count; i++) {
        const struct config_change *change = &api->config->changes[i];
        if (change->after_requests != 0 && !api->change_made[i] &&
            api->request_count >= change->after_requests)
            make_change(api, i, now_ns);
    }
}

const char *api_key_of(const char *authorization)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return "";
    authorization += 7;
    return authorization + strspn(authorization, " ");
}

static bool reject(struct decision *decision, int status, const char *message, const char *code,
                   const char *param)
{
    struct openai_error error = {
        .status = status,
        .message = message,
        .type = "invalid_request_error",
        .code = code,
        .param = param,
    };
    openai_error_answer(&decision->outcome->answer, &error);
    decision->entry->decision = JOURNAL_REJECTED;
    return false;
}

/* As OpenAI shows a wrong key: its first eight characters and its last four (recorded session). */
static bool reject_key(struct decision *decision)
{
    char shown[64];
    size_t length = strlen(decision->key);
    if (length <= 12)
        snprintf(shown, sizeof shown, "%.*s", (int)length, "************");
    else
        snprintf(shown, sizeof shown, "%.8s**************************%s", decision->key,
                 decision->key + length - 4);
    char message[256];
    snprintf(message, sizeof message,
             "Incorrect API key provided: %s. You can find your API key at "
             "https://platform.openai.com/account/api-keys.",
             shown);
    return reject(decision, 401, message, "invalid_api_key", NULL);
}

static bool check_key(struct decision *decision)
{
    const struct config *config = decision->api->config;
    if (decision->key[0] == '\0')
        return reject(
            decision, 401,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password "
            "field (with blank username) if you're accessing the API from your browser and are "
            "prompted for a username and password. You can obtain an API key from "
            "https://platform.openai.com/account/api-keys.",
            NULL, NULL);
    if (config->api_keys == NULL)
        return true;
    for (size_t i = 0; i < config->api_key_count; i++) {
        if (strcmp(config->api_keys[i], decision->key) == 0)
            return true;
    }
    return reject_key(decision);
}

static const struct config_model *find_model(const struct config *config, const char *id)
{
    for (size_t i = 0; i < config->model_count; i++) {
        if (strcmp(config->models[i].id, id) == 0)
            return &config->models[i];
    }
    return NULL;
}

static bool is_served_model(const struct config *config, const char *id)
{
    return !config->only_listed_models || find_model(config, id) != NULL;
}

static bool reject_model(struct decision *decision, const char *model)
{
    openai_error_answer_kind(&decision->outcome->answer, openai_error_find("model_not_found"),
                             model, -1);
    decision->entry->decision = JOURNAL_REJECTED;
    return false;
}

static int64_t draw_latency(struct api *api, const struct config_model *model)
{
    const struct distribution *latency =
        model != NULL && model->has_latency ? &model->latency : &api->config->latency;
    return distribution_draw(latency, &api->latency_random);
}

static void serve(struct decision *decision, const struct chat_request *chat,
                  const struct script_step *step)
{
    struct api *api = decision->api;
    const struct config_model *model = find_model(api->config, chat->model);
    const char *content = COMPLETION_CONTENT;
    if (model != NULL && model->content != NULL)
        content = model->content;
    if (step != NULL && step->content != NULL)
        content = step->content;
    decision->outcome->latency_ns =
        step != NULL && step->latency_ns >= 0 ? step->latency_ns : draw_latency(api, model);
    decision->entry->decision = JOURNAL_SERVED;
    answer_init(&decision->outcome->answer, 200);
    /* `created` is when the answer is made, as OpenAI's: after the model has done its work. */
    int64_t created_s = (decision->wall_ns + decision->outcome->latency_ns) / NS_PER_S;
    answer_body(&decision->outcome->answer,
                completion_chat(chat->model, content, chat->tokens, random_bits(&api->id_random),
                                created_s));
}

static void ask_quota(struct decision *decision, const struct chat_request *chat,
                      const struct script_step *step)
{
    struct pool *pool =
        pools_get(decision->api->pools, decision->key, chat->model, decision->now_ns);
    if (pool == NULL) {
        openai_error_answer_kind(&decision->outcome->answer,
                                 openai_error_find("server_is_overloaded"), chat->model, -1);
        decision->entry->decision = JOURNAL_REJECTED;
        return;
    }
    struct quota_answer quota = quota_admit(&pool->quota, decision->now_ns, chat->tokens);
    if (quota.admitted) {
        decision->outcome->pool = pool;
        serve(decision, chat, step);
    } else {
        pool->throttled[quota.stopped_by]++;
        decision->entry->decision = JOURNAL_THROTTLED;
        decision->entry->limit = quota.stopped_by;
        openai_error_answer_refusal(&decision->outcome->answer, &quota, chat->model);
        decision->outcome->latency_ns = distribution_draw(&decision->api->config->refusal_latency,
                                                          &decision->api->refusal_random);
    }
    ratelimit_headers_add(&decision->outcome->answer, &pool->quota, decision->now_ns);
}

/* Plays a step of the script if one is due; NULL when none is or it leaves the answer to the
 * quotas (*serving_step then says which). Returns true when the answer is made. */
static bool play_script(struct decision *decision, const char *model,
                        const struct script_step **serving_step)
{
    struct api *api = decision->api;
    struct script_request request = {
        .model = model,
        .path = decision->request->path,
        .key_tail = decision->entry->key_tail,
        .number = api->request_count,
    };
    int index = script_next(&api->config->script, api->script_states, &request, decision->now_ns,
                            &api->share_random);
    decision->entry->script_step = index;
    if (index < 0)
        return false;
    const struct script_step *step = &api->config->script.steps[index];
    if (step->serves) {
        *serving_step = step;
        return false;
    }
    if (step->latency_ns >= 0)
        decision->outcome->latency_ns = step->latency_ns;
    int64_t answer_wall_ns = decision->wall_ns + decision->outcome->latency_ns;
    script_answer(step, model, answer_wall_ns, &decision->outcome->answer);
    decision->entry->decision = JOURNAL_SCRIPTED;
    return true;
}

static void decide_chat(struct decision *decision)
{
    struct chat_request chat;
    if (!chat_request_read(&chat, decision->request->body, decision->request->body_length,
                           &decision->outcome->answer)) {
        decision->entry->decision = JOURNAL_REJECTED;
        return;
    }
    snprintf(decision->entry->model, sizeof decision->entry->model, "%s", chat.model);
    decision->entry->tokens = chat.tokens;
    const struct script_step *step = NULL;
    if (!is_served_model(decision->api->config, chat.model))
        reject_model(decision, chat.model);
    else if (!play_script(decision, chat.model, &step))
        ask_quota(decision, &chat, step);
    chat_request_free(&chat);
}

static void decide_model(struct decision *decision, const char *id)
{
    size_t length = strlen(id);
    if (length == 0 || length > CONFIG_MODEL_NAME_MAX || !json_is_utf8(id, length) ||
        !is_served_model(decision->api->config, id)) {
        reject_model(decision, id);
        return;
    }
    answer_init(&decision->outcome->answer, 200);
    answer_body(&decision->outcome->answer, completion_model(id));
    decision->entry->decision = JOURNAL_SERVED;
}

struct id_list {
    const char *ids[2 * CONFIG_MODELS_MAX];
    int count;
};

static void add_id(struct id_list *list, const char *id)
{
    if (strcmp(id, "*") == 0)
        return;
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->ids[i], id) == 0)
            return;
    }
    list->ids[list->count++] = id;
}

static void decide_models(struct decision *decision)
{
    const struct config *config = decision->api->config;
    struct id_list list = {.count = 0};
    for (size_t i = 0; i < config->model_count; i++)
        add_id(&list, config->models[i].id);
    for (size_t i = 0; i < config->quotas.count && !config->only_listed_models; i++)
        add_id(&list, config->quotas.items[i].model);
    if (list.count == 0)
        add_id(&list, "gpt-4o-mini");
    answer_init(&decision->outcome->answer, 200);
    answer_body(&decision->outcome->answer, completion_models(list.ids, list.count));
    decision->entry->decision = JOURNAL_SERVED;
}

static bool expect_method(struct decision *decision, const char *method)
{
    if (strcmp(decision->request->method, method) == 0)
        return true;
    char message[256];
    snprintf(message, sizeof message,
             "Not allowed to %.16s on %.100s. (HINT: Perhaps you meant to use a different HTTP "
             "method?)",
             decision->request->method, decision->request->path);
    reject(decision, 405, message, "method_not_supported", NULL);
    answer_header(&decision->outcome->answer, "allow", "%s", method);
    return false;
}

static void decide(struct decision *decision)
{
    const char *path = decision->request->path;
    size_t models_length = strlen(MODELS_PATH);
    if (!check_key(decision))
        return;
    if (strcmp(path, CHAT_PATH) == 0) {
        if (expect_method(decision, "POST"))
            decide_chat(decision);
    } else if (strcmp(path, MODELS_PATH) == 0) {
        if (expect_method(decision, "GET"))
            decide_models(decision);
    } else if (strncmp(path, MODELS_PATH "/", models_length + 1) == 0) {
        if (expect_method(decision, "GET"))
            decide_model(decision, path + models_length + 1);
    } else {
        char message[256];
        snprintf(message, sizeof message, "Invalid URL (%.16s %.100s)", decision->request->method,
                 path);
        reject(decision, 404, message, NULL, NULL);
    }
}

static const char *find_header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return answer->headers[i].value;
    }
    return NULL;
}

/* What a script said verbatim stays as it is. */
static void add_header(struct answer *answer, const char *name, const char *value)
{
    if (find_header(answer, name) == NULL)
        answer_header(answer, name, "%s", value);
}

/* The headers that every answer of api.openai.com carries. */
static void add_common_headers(struct decision *decision)
{
    struct answer *answer = &decision->outcome->answer;
    struct journal_entry *entry = decision->entry;
    struct random *random = &decision->api->id_random;
    uint64_t high_bits = random_bits(random);
    uint64_t low_bits = random_bits(random);
    char request_id[sizeof entry->request_id];
    snprintf(request_id, sizeof request_id, "req_%016" PRIx64 "%016" PRIx64, high_bits, low_bits);
    int64_t answer_wall_ns = decision->wall_ns + decision->outcome->latency_ns;
    char date[HTTP_DATE_SIZE];
    add_header(answer, "date", http_date(answer_wall_ns / NS_PER_S, date));
    add_header(answer, "content-type", "application/json");
    add_header(answer, "x-request-id", request_id);
    snprintf(entry->request_id, sizeof entry->request_id, "%s",
             find_header(answer, "x-request-id"));
    add_header(answer, "openai-version", "2020-10-01");
    if (entry->decision != JOURNAL_REJECTED) {
        char processing_ms[24];
        snprintf(processing_ms, sizeof processing_ms, "%" PRId64,
                 decision->outcome->latency_ns / NS_PER_MS);
        add_header(answer, "openai-organization", OPENAI_ORGANIZATION);
        add_header(answer, "openai-processing-ms", processing_ms);
    }
}

static void record(struct decision *decision)
{
    struct journal_entry *entry = decision->entry;
    const struct answer *answer = &decision->outcome->answer;
    entry->status = answer->status;
    entry->retry_after_ns = answer->retry_after_ns;
    snprintf(entry->code, sizeof entry->code, "%s", answer->code);
    json_make_utf8(entry->code); /* a script's may have been cut */
}

void api_decide(struct api *api, const struct api_request *request, int64_t now_ns, int64_t wall_ns,
                struct journal_entry *entry, struct api_outcome *outcome)
{
    *outcome = (struct api_outcome){0};
    struct decision decision = {
        .api = api,
        .request = request,
        .key = api_key_of(request->authorization),
        .now_ns = now_ns,
        .wall_ns = wall_ns,
        .entry = entry,
        .outcome = outcome,
    };
    size_t key_length = strlen(decision.key);
    if (key_length > 8)
        snprintf(entry->key_tail, sizeof entry->key_tail, "%s", decision.key + key_length - 4);
    json_make_utf8(entry->key_tail);
    entry->body_digest = digest_bytes(request->body, request->body_length);
    entry->decided_ns = now_ns;
    api->request_count++;
    decide(&decision);
    add_common_headers(&decision);
    record(&decision);
    make_counted_changes(api, now_ns);
}

void api_refuse_too_large(struct api *api, size_t bytes_max, int64_t now_ns, int64_t wall_ns,
                          struct journal_entry *entry, struct api_outcome *outcome)
{
    *outcome = (struct api_outcome){0};
    struct decision decision = {.api = api, .wall_ns = wall_ns, .entry = entry, .outcome = outcome};
    entry->decided_ns = now_ns;
    api->request_count++;
    char message[128];
    snprintf(message, sizeof message, "Request body too large: at most %zu bytes are read.",
             bytes_max);
    reject(&decision, 413, message, "request_too_large", NULL);
    add_common_headers(&decision);
    record(&decision);
    make_counted_changes(api, now_ns);
}

void api_finish(struct api_outcome *outcome)
{
    if (outcome->pool != NULL)
        quota_finish(&outcome->pool->quota);
    outcome->pool = NULL;
}
