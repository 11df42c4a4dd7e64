#include "mockserver/api.h"

#include "base/digest.h"
#include "base/duration.h"
#include "base/json_text.h"
#include "base/text.h"
#include "mockserver/account.h"
#include "mockserver/azure.h"
#include "mockserver/endpoint.h"
#include "mockserver/http_date.h"
#include "mockserver/openai_error.h"
#include "mockserver/ratelimit_headers.h"
#include "mockserver/refusal.h"
#include "mockserver/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Everything that the deciding functions hand to each other about one request. */
struct decision {
    struct api *api;
    const struct api_request *request;
    const char *key;
    struct account account;
    char owner_text[ACCOUNT_OWNER_SIZE];
    const char *owner; /* of the pools it draws from */
    struct openai_names names;
    struct azure_route route; /* the path as OpenAI calls it */
    const char *api_version;  /* of Azure's query, or NULL */
    int64_t now_ns;
    int64_t wall_ns;
    struct journal_entry *entry;
    struct api_outcome *outcome;
    struct endpoint_call *call; /* what the endpoint has read; NULL before */
    const struct fault *fault;  /* what becomes of the answer, or NULL */
};

void api_outcome_init(struct api_outcome *outcome)
{
    memset(outcome, 0, offsetof(struct api_outcome, answer));
    answer_init(&outcome->answer, 0);
}

const char *api_key_of(const char *authorization)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return "";
    authorization += 7;
    return authorization + strspn(authorization, " ");
}

const char *api_request_header(const struct api_request *request, const char *name)
{
    return request->find != NULL ? request->find(request->owner, API_HEADER, name) : NULL;
}

const char *api_request_argument(const struct api_request *request, const char *name)
{
    return request->find != NULL ? request->find(request->owner, API_ARGUMENT, name) : NULL;
}

static bool is_azure(const struct api *api)
{
    return api->config->rules.dialect == DIALECT_AZURE;
}

static bool reject(struct decision *decision, int status, const char *message, const char *code,
                   const char *param)
{
    decision->entry->decision = JOURNAL_REJECTED;
    return endpoint_refuse(&decision->outcome->answer, status, message, code, param);
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

static bool is_good_key(const struct config *config, const char *key)
{
    if (config->api_keys == NULL || account_has_key(config, key))
        return true;
    for (size_t i = 0; i < config->api_key_count; i++) {
        if (strcmp(config->api_keys[i], key) == 0)
            return true;
    }
    return false;
}

static bool check_key(struct decision *decision)
{
    const struct config *config = decision->api->config;
    if (is_azure(decision->api) &&
        (decision->key[0] == '\0' || !is_good_key(config, decision->key))) {
        azure_answer_key(&decision->outcome->answer);
        decision->entry->decision = JOURNAL_REJECTED;
        return false;
    }
    if (decision->key[0] == '\0')
        return reject(
            decision, 401,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password "
            "field (with blank username) if you're accessing the API from your browser and are "
            "prompted for a username and password. You can obtain an API key from "
            "https://platform.openai.com/account/api-keys.",
            NULL, NULL);
    return is_good_key(config, decision->key) || reject_key(decision);
}

/* Whose the request is. The words of the first are in many logs (Azure-Samples/
 * ai-rag-chat-evaluator#76); of the second only the code is known. */
static bool check_account(struct decision *decision)
{
    const struct limit_rules *rules = &decision->api->config->rules;
    enum account_match match =
        account_find(decision->api->config, decision->key,
                     api_request_header(decision->request, "openai-organization"),
                     api_request_header(decision->request, "openai-project"), &decision->account);
    decision->names.organization = decision->account.organization;
    decision->names.project = decision->account.project;
    decision->owner =
        account_owner(&decision->account, rules->scope, decision->key, decision->owner_text);
    if (match == ACCOUNT_OTHER_ORGANIZATION)
        return reject(decision, 401,
                      "OpenAI-Organization header should match organization for API key",
                      "mismatched_organization", NULL);
    if (match == ACCOUNT_OTHER_PROJECT)
        return reject(decision, 401, "OpenAI-Project header should match project for API key",
                      "mismatched_project", NULL);
    return true;
}

static const struct config_model *find_model(const struct config *config, const char *id)
{
    for (size_t i = 0; i < config->model_count; i++) {
        if (strcmp(config->models[i].id, id) == 0)
            return &config->models[i];
    }
    return NULL;
}

const char *api_content_of(const struct api *api, const char *model)
{
    const struct config_model *found = find_model(api->config, model);
    return found != NULL ? found->content : NULL;
}

bool api_serves_model(const struct api *api, const char *id)
{
    return !api->config->only_listed_models || find_model(api->config, id) != NULL;
}

static int64_t draw_latency(struct api *api, const struct config_model *model)
{
    const struct distribution *latency =
        model != NULL && model->has_latency ? &model->latency : &api->config->latency;
    return distribution_draw(latency, &api->latency_random);
}

/* How fast the model speaks: what is set for it, or for all. */
static struct pace pace_of(const struct config *config, const struct config_model *model)
{
    struct pace pace = config->pace;
    if (model != NULL && model->pace.first_token_ns >= 0)
        pace.first_token_ns = model->pace.first_token_ns;
    if (model != NULL && model->pace.tokens_per_second >= 0)
        pace.tokens_per_second = model->pace.tokens_per_second;
    return pace;
}

/* What is no matter of the built-in model where the server stands before another one. */
static void leave_to_others(struct decision *decision)
{
    decision->outcome->is_forwarded = true;
    decision->entry->decision = JOURNAL_SERVED;
    answer_init(&decision->outcome->answer, 0);
}

/* Lets the endpoint make its answer. */
static void serve(struct decision *decision, const struct endpoint *endpoint,
                  const struct script_step *step)
{
    struct api *api = decision->api;
    struct endpoint_call *call = decision->call;
    const struct config_model *model = find_model(api->config, call->model);
    if (model != NULL && model->content != NULL)
        call->content = model->content;
    if (step != NULL && step->content != NULL)
        call->content = step->content;
    decision->outcome->latency_ns =
        step != NULL && step->latency_ns >= 0 ? step->latency_ns : draw_latency(api, model);
    decision->entry->decision = JOURNAL_SERVED;
    /* A fault is played on an answer of our own: nobody is asked for one that is spoilt. */
    bool is_own = step != NULL && (step->content != NULL || step->fault.kind != NULL);
    if (api->forwards && !is_own) {
        leave_to_others(decision);
        return;
    }
    answer_init(&decision->outcome->answer, 200);
    call->pace = pace_of(api->config, model);
    call->bits = random_bits(&api->id_random);
    /* `created` is when the answer is made, as OpenAI's: after the model has done its work. */
    call->created_s = (decision->wall_ns + decision->outcome->latency_ns) / NS_PER_S;
    endpoint->make(call);
    /* What usage says is what the model has really read: so the settlement takes it, too. */
    decision->outcome->used_tokens = endpoint_prompt_tokens(call) + call->spoken_tokens;
    decision->outcome->latency_ns += call->work_ns;
}

/* The answer to a request that a limit has stopped. */
static void refuse(struct decision *decision, const struct pool *pool,
                   const struct quota_answer *quota)
{
    const struct config *config = decision->api->config;
    const struct script *own = &config->concurrency_refusal;
    struct answer *answer = &decision->outcome->answer;
    decision->entry->decision = JOURNAL_THROTTLED;
    decision->entry->limit = quota->stopped_by;
    decision->outcome->latency_ns =
        distribution_draw(&config->refusal_latency, &decision->api->refusal_random);
    if (quota->stopped_by == QUOTA_CONCURRENT_REQUESTS && own->step_count > 0) {
        script_answer(&own->steps[0], &decision->names,
                      decision->wall_ns + decision->outcome->latency_ns, answer);
        return;
    }
    const struct refusal_request request = {
        .names = decision->names,
        .path = decision->route.path,
        .api_version = decision->api_version,
    };
    refusal_answer(answer, &config->rules, quota, &request);
    ratelimit_headers_add(answer, &config->rules, &pool->quota, quota, decision->now_ns);
}

static void ask_quota(struct decision *decision, const struct endpoint *endpoint,
                      const struct script_step *step)
{
    const struct endpoint_call *call = decision->call;
    struct pool *pool =
        pools_get(decision->api->pools, decision->owner, call->model, decision->now_ns);
    if (pool == NULL) {
        openai_error_answer_kind(&decision->outcome->answer,
                                 openai_error_find("server_is_overloaded"), &decision->names, -1);
        decision->entry->decision = JOURNAL_REJECTED;
        return;
    }
    struct quota_cost cost = {
        .requests = 1, .tokens = decision->entry->tokens, .images = call->images};
    struct quota_answer quota = quota_admit_cost(&pool->quota, decision->now_ns, &cost);
    if (quota.admitted) {
        decision->outcome->pool = pool;
        decision->outcome->admitted_ns = decision->now_ns;
        decision->outcome->charged_tokens = cost.tokens;
        decision->outcome->used_tokens = -1;
        serve(decision, endpoint, step);
        ratelimit_headers_add(&decision->outcome->answer, &decision->api->config->rules,
                              &pool->quota, &quota, decision->now_ns);
    } else {
        pool->throttled[quota.stopped_by]++;
        refuse(decision, pool, &quota);
    }
}

/* An answer without a model: something is looked up or stored. */
static void make_plain(struct decision *decision, const struct endpoint *endpoint)
{
    struct endpoint_call *call = decision->call;
    answer_init(call->answer, 200);
    call->created_s = decision->wall_ns / NS_PER_S;
    if (endpoint_makes_objects(endpoint))
        call->bits = random_bits(&decision->api->id_random);
    store_bring_to(decision->api->store, decision->now_ns);
    endpoint->make(call);
    decision->entry->decision = call->answer->status < 400 ? JOURNAL_SERVED : JOURNAL_REJECTED;
}

/* Plays a step of the script if one is due; NULL when none is or it leaves the answer to the
 * quotas (*serving_step then says which). Returns true when the answer is made. */
static bool play_script(struct decision *decision, const struct endpoint *endpoint,
                        const struct script_step **serving_step)
{
    struct api *api = decision->api;
    struct script_request request = {
        .model = decision->call->model,
        .path = decision->request->path,
        .route = decision->route.path,
        .asks_model = endpoint->read != NULL,
        .key_tail = decision->entry->key_tail,
        .number = api->request_count,
        .age_ns = decision->now_ns - api->start_ns,
        .is_streamed = decision->call->is_streamed,
    };
    decision->entry->streamed = decision->call->is_streamed;
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
    if (step->fault.kind != NULL) {
        if (endpoint->read != NULL)
            serve(decision, endpoint, step);
        else
            make_plain(decision, endpoint);
        decision->fault = &step->fault;
        decision->entry->decision = JOURNAL_FAULT;
        return true;
    }
    if (step->latency_ns >= 0)
        decision->outcome->latency_ns = step->latency_ns;
    int64_t answer_wall_ns = decision->wall_ns + decision->outcome->latency_ns;
    script_answer(step, &decision->names, answer_wall_ns, &decision->outcome->answer);
    decision->entry->decision = JOURNAL_SCRIPTED;
    return true;
}

static void answer_unknown_model(struct decision *decision)
{
    struct answer *answer = &decision->outcome->answer;
    if (is_azure(decision->api))
        azure_answer_deployment(answer);
    else
        openai_error_answer_kind(answer, openai_error_find("model_not_found"), &decision->names,
                                 -1);
}

/* An endpoint that asks a model, whose request has been read. */
static void decide_model_call(struct decision *decision, const struct endpoint *endpoint)
{
    const struct endpoint_call *call = decision->call;
    text_copy(decision->entry->model, sizeof decision->entry->model, call->model);
    decision->names.model = decision->entry->model;
    decision->entry->tokens =
        limit_rules_tokens(&decision->api->config->rules, call->tokens, call->tokens_max);
    const struct script_step *step = NULL;
    if (!api_serves_model(decision->api, call->model)) {
        answer_unknown_model(decision);
        decision->entry->decision = JOURNAL_REJECTED;
    } else if (!play_script(decision, endpoint, &step)) {
        ask_quota(decision, endpoint, step);
    }
}

/* One that only looks something up, or stores it: quotas are not asked, and of the script only what
 * names its path. */
static void decide_plain_call(struct decision *decision, const struct endpoint *endpoint)
{
    const struct script_step *step = NULL;
    decision->names.model = "";
    if (!play_script(decision, endpoint, &step)) {
        if (decision->api->forwards)
            leave_to_others(decision);
        else
            make_plain(decision, endpoint);
    }
    if (step != NULL && step->latency_ns >= 0)
        decision->outcome->latency_ns = step->latency_ns;
}

/* One that only the server behind knows. */
static void decide_other_call(struct decision *decision)
{
    static const struct endpoint model_call = {.read = endpoint_other_read,
                                               .make = endpoint_other_make};
    static const struct endpoint plain_call = {.make = endpoint_other_make};
    if (endpoint_other_read(decision->call))
        decide_model_call(decision, &model_call);
    else
        decide_plain_call(decision, &plain_call);
}

static void reject_path(struct decision *decision, const char *allowed)
{
    char message[256];
    if (decision->api->forwards) {
        leave_to_others(decision);
        return;
    }
    if (allowed == NULL && is_azure(decision->api)) {
        azure_answer_path(&decision->outcome->answer);
        decision->entry->decision = JOURNAL_REJECTED;
        return;
    }
    if (allowed == NULL) {
        snprintf(message, sizeof message, "Invalid URL (%.16s %.100s)", decision->request->method,
                 decision->request->path);
        reject(decision, 404, message, NULL, NULL);
        return;
    }
    snprintf(message, sizeof message,
             "Not allowed to %.16s on %.100s. (HINT: Perhaps you meant to use a different HTTP "
             "method?)",
             decision->request->method, decision->request->path);
    reject(decision, 405, message, "method_not_supported", NULL);
    answer_header(&decision->outcome->answer, "allow", "%s", allowed);
}

/* The path as OpenAI calls it; false where it is Azure's without its version. */
static bool find_route(struct decision *decision)
{
    const struct api_request *request = decision->request;
    struct azure_route *route = &decision->route;
    if (!is_azure(decision->api) || !azure_route(request->path, route)) {
        text_copy(route->path, sizeof route->path, request->path);
        return strlen(request->path) < sizeof route->path;
    }
    decision->api_version = api_request_argument(request, "api-version");
    return !route->needs_version ||
           (decision->api_version != NULL && decision->api_version[0] != '\0');
}

static void decide(struct decision *decision)
{
    if (!check_key(decision) || !check_account(decision))
        return;
    const char *allowed = NULL;
    bool has_path = find_route(decision);
    struct endpoint_call call = {
        .api = decision->api,
        .request = decision->request,
        .now_ns = decision->now_ns,
        .wall_ns = decision->wall_ns,
        .deployment = decision->route.deployment,
        .owner = decision->owner,
        .names = decision->names,
        .tokens_max = -1,
        .answer = &decision->outcome->answer,
    };
    const struct endpoint *endpoint =
        has_path ? endpoint_find(decision->request->method, decision->route.path, call.id, &allowed)
                 : NULL;
    decision->call = &call;
    if (endpoint == NULL && has_path && decision->api->forwards)
        decide_other_call(decision);
    else if (endpoint == NULL)
        reject_path(decision, allowed);
    else if (endpoint->read == NULL)
        decide_plain_call(decision, endpoint);
    else if (endpoint->read(&call))
        decide_model_call(decision, endpoint);
    else
        decision->entry->decision = JOURNAL_REJECTED;
    decision->call = NULL;
    endpoint_call_free(&call);
}

/* What a script said verbatim stays as it is. */
static inline void add_header(struct answer *answer, const char *name, const char *value)
{
    if (answer_find_header(answer, name) == NULL)
        answer_header_add(answer, name, value);
}

/* Answers of the same second share it. */
static const char *date_text(struct api *api, int64_t wall_s)
{
    if (api->date[0] == '\0' || api->date_s != wall_s)
        http_date(wall_s, api->date);
    api->date_s = wall_s;
    return api->date;
}

void api_add_headers(struct api *api, struct answer *answer, int64_t wall_ns,
                     struct journal_entry *entry)
{
    struct random *random = &api->id_random;
    char request_id[sizeof "req_" + TEXT_HEX_SIZE + TEXT_HEX_SIZE] = "req_";
    size_t length = strlen(request_id);
    length += text_hex(request_id + length, random_bits(random));
    text_hex(request_id + length, random_bits(random));
    add_header(answer, "date", date_text(api, wall_ns / NS_PER_S));
    add_header(answer, "content-type", "application/json");
    add_header(answer, "x-request-id", request_id);
    if (is_azure(api))
        add_header(answer, "apim-request-id", request_id + strlen("req_"));
    text_copy(entry->request_id, sizeof entry->request_id,
              answer_find_header(answer, "x-request-id"));
}

/* The headers that every answer of api.openai.com carries; of servers that only speak like it,
 * those that any has. */
static void add_common_headers(struct decision *decision)
{
    struct answer *answer = &decision->outcome->answer;
    const struct journal_entry *entry = decision->entry;
    api_add_headers(decision->api, answer, decision->wall_ns + decision->outcome->latency_ns,
                    decision->entry);
    if (decision->api->config->rules.dialect != DIALECT_OPENAI)
        return;
    add_header(answer, "openai-version", "2020-10-01");
    if (entry->decision != JOURNAL_REJECTED) {
        char processing_ms[TEXT_WHOLE_SIZE];
        text_whole(processing_ms, decision->outcome->latency_ns / NS_PER_MS);
        add_header(answer, "openai-organization", decision->account.organization);
        add_header(answer, "openai-processing-ms", processing_ms);
    }
}

/* When all is there that the client would have got. */
static void play_fault(struct decision *decision)
{
    if (decision->fault == NULL)
        return;
    struct fault_play play = {
        .answer = &decision->outcome->answer,
        .names = &decision->names,
        .wall_ns = decision->wall_ns + decision->outcome->latency_ns,
    };
    decision->fault->kind->play(decision->fault, &play);
    if (play.answer->is_raw && play.answer->body_length == 0)
        play.answer->status = 0; /* nothing goes out, no status either */
    decision->outcome->refuse_ns = play.refuse_ns;
    decision->entry->fault = decision->fault->kind->name;
    decision->entry->broken = fault_breaks(decision->fault);
}

static void record(struct decision *decision)
{
    struct journal_entry *entry = decision->entry;
    const struct answer *answer = &decision->outcome->answer;
    entry->status = answer->status;
    entry->retry_after_ns = answer->retry_after_ns;
    text_copy(entry->code, sizeof entry->code, answer->code);
    json_make_utf8(entry->code); /* a script's may have been cut */
}

/* Azure's clients send the key in a header of its own, or a bearer token. */
static const char *key_of(const struct api *api, const struct api_request *request)
{
    const char *key = is_azure(api) ? api_request_header(request, "api-key") : NULL;
    return key != NULL ? key : api_key_of(request->authorization);
}

void api_decide(struct api *api, const struct api_request *request, int64_t now_ns, int64_t wall_ns,
                struct journal_entry *entry, struct api_outcome *outcome)
{
    api_outcome_init(outcome);
    struct decision decision = {
        .api = api,
        .request = request,
        .key = key_of(api, request),
        .now_ns = now_ns,
        .wall_ns = wall_ns,
        .entry = entry,
        .outcome = outcome,
    };
    size_t key_length = strlen(decision.key);
    if (key_length > 8)
        text_copy(entry->key_tail, sizeof entry->key_tail, decision.key + key_length - 4);
    json_make_utf8(entry->key_tail);
    entry->body_digest = digest_quick(request->body, request->body_length);
    entry->decided_ns = now_ns;
    api->request_count++;
    decide(&decision);
    if (!outcome->is_forwarded)
        add_common_headers(&decision);
    play_fault(&decision);
    record(&decision);
    api_make_counted_changes(api, now_ns);
}

void api_refuse(struct api *api, const struct api_refusal *refusal, int64_t now_ns, int64_t wall_ns,
                struct journal_entry *entry, struct api_outcome *outcome)
{
    api_outcome_init(outcome);
    struct decision decision = {.api = api, .wall_ns = wall_ns, .entry = entry, .outcome = outcome};
    entry->decided_ns = now_ns;
    api->request_count++;
    reject(&decision, refusal->status, refusal->message, refusal->code, NULL);
    add_common_headers(&decision);
    record(&decision);
    api_make_counted_changes(api, now_ns);
}

void api_settle(const struct api *api, struct api_outcome *outcome, int64_t now_ns)
{
    if (!api->config->rules.settles || outcome->pool == NULL || outcome->used_tokens < 0)
        return;
    struct quota_pool *pool = &outcome->pool->quota;
    /* An answer may have ended before the last request was decided. */
    if (now_ns < pool->updated_ns)
        now_ns = pool->updated_ns;
    quota_settle(pool, now_ns, outcome->admitted_ns, outcome->charged_tokens, outcome->used_tokens);
    outcome->used_tokens = -1;
}

bool api_is_to_end(const struct api *api, const struct api_outcome *outcome)
{
    if (outcome->pool == NULL)
        return false;
    const struct quota_limits *limits = outcome->pool->quota.limits;
    return api->config->rules.settles ||
           limits->limit[QUOTA_CONCURRENT_REQUESTS] != QUOTA_UNLIMITED;
}

void api_finish(struct api_outcome *outcome)
{
    if (outcome->pool != NULL)
        quota_finish(&outcome->pool->quota);
    outcome->pool = NULL;
}
