#include "mockserver/decision.h"

#include "base/digest.h"
#include "base/duration.h"
#include "base/text.h"
#include "mockserver/cors.h"
#include "mockserver/refusal.h"
#include "mockserver/store.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static bool is_azure(const struct api *api)
{
    return api->config->rules.dialect == DIALECT_AZURE;
}

/* Whether pages in a browser may use it. */
static bool is_open_to_pages(const struct api *api)
{
    return api->config->rules.dialect == DIALECT_OPENAI && !api->forwards;
}

static bool reject(struct decision *decision, int status, const char *message, const char *code,
                   const char *param)
{
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
        account_find(decision->api->config, decision->key, decision->request->organization,
                     decision->request->project, &decision->account);
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

/* False where it is Azure's without its version. */
static bool find_route(struct decision *decision)
{
    const struct api_request *request = decision->request;
    struct azure_route *route = &decision->route;
    if (!is_azure(decision->api) || !azure_route(request->path, route)) {
        route->deployment[0] = '\0';
        decision->path = request->path;
        return true;
    }
    decision->path = route->path;
    decision->api_version = api_request_argument(request, "api-version");
    return !route->needs_version ||
           (decision->api_version != NULL && decision->api_version[0] != '\0');
}

/* What is no matter of the built-in model where the server stands before another one. */
static void leave_to_others(struct decision *decision)
{
    decision->course = DECISION_FORWARDED;
    decision->outcome->is_forwarded = true;
    decision->entry->decision = JOURNAL_SERVED;
}

static void read_unknown_path(struct decision *decision, const char *allowed)
{
    char message[256];
    if (decision->api->forwards) {
        leave_to_others(decision);
        return;
    }
    if (allowed == NULL && is_azure(decision->api)) {
        azure_answer_path(&decision->outcome->answer);
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

/* An endpoint that asks a model, whose request has been read. */
static void read_model_call(struct decision *decision)
{
    const struct endpoint_call *call = &decision->call;
    struct journal_entry *entry = decision->entry;
    text_copy(entry->model, sizeof entry->model, call->model);
    decision->names.model = entry->model;
    entry->tokens =
        limit_rules_tokens(&decision->api->config->rules, call->tokens, call->tokens_max);
    if (api_serves_model(decision->api, call->model))
        decision->course = DECISION_MODEL_CALL;
    else if (is_azure(decision->api))
        azure_answer_deployment(&decision->outcome->answer);
    else
        openai_error_answer_kind(&decision->outcome->answer, openai_error_find("model_not_found"),
                                 &decision->names, -1);
}

/* One that only the server behind knows. */
static const struct endpoint other_call = {.read = endpoint_other_read,
                                           .make = endpoint_other_make};
static const struct endpoint other_plain_call = {.make = endpoint_other_make};

static void begin_call(struct decision *decision)
{
    decision->call = (struct endpoint_call){
        .api = decision->api,
        .request = decision->request,
        .deployment = decision->route.deployment,
        .owner = decision->owner,
        .names = decision->names,
        .tokens_max = -1,
        .answer = &decision->outcome->answer,
    };
}

/* What this server cannot read, or would refuse, is a matter of the one behind. */
static void begin_other_call(struct decision *decision)
{
    endpoint_call_free(&decision->call);
    answer_free(&decision->outcome->answer);
    api_outcome_init(decision->outcome);
    decision->endpoint = decision->endpoint == &other_call ? &other_plain_call : &other_call;
    begin_call(decision);
}

static void read_endpoint(struct decision *decision)
{
    if (decision->endpoint->read != NULL && !decision->endpoint->read(&decision->call)) {
        if (!decision->api->forwards)
            return;
        begin_other_call(decision);
        read_endpoint(decision);
    } else if (decision->endpoint->read != NULL) {
        read_model_call(decision);
    } else {
        decision->names.model = "";
        decision->course = DECISION_PLAIN_CALL;
    }
}

/* Azure's clients send the key in a header of its own, or a bearer token. */
static const char *key_of(const struct api *api, const struct api_request *request,
                          char basic[API_BASIC_KEY_SIZE])
{
    const char *key = is_azure(api) ? api_request_header(request, "api-key") : NULL;
    return key != NULL ? key : api_key_of(request->authorization, basic);
}

static void note_request(struct decision *decision)
{
    const struct api_request *request = decision->request;
    struct journal_entry *entry = decision->entry;
    size_t key_length = strlen(decision->key);
    if (key_length > 8)
        text_copy_utf8(entry->key_tail, sizeof entry->key_tail, decision->key + key_length - 4);
    entry->body_digest = digest_quick(request->body, request->body_length);
}

/* What is written only where it is needed is left as it was. */
static void begin(struct decision *decision, struct api *api, struct journal_entry *entry,
                  struct api_outcome *outcome)
{
    api_outcome_init(outcome);
    memset(decision, 0, offsetof(struct decision, basic_key));
    decision->api = api;
    decision->entry = entry;
    decision->outcome = outcome;
    decision->course = DECISION_ANSWERED;
    decision->call.root = NULL;
    entry->decision = JOURNAL_REJECTED; /* until it is known better */
}

void decision_read(struct decision *decision, struct api *api, const struct api_request *request,
                   struct journal_entry *entry, struct api_outcome *outcome)
{
    begin(decision, api, entry, outcome);
    decision->request = request;
    decision->key = key_of(api, request, decision->basic_key);
    note_request(decision);
    if (is_open_to_pages(api) && cors_is_preflight(request)) {
        cors_answer_preflight(&outcome->answer);
        entry->decision = JOURNAL_SERVED;
        return;
    }
    if (!check_key(decision) || !check_account(decision))
        return;
    const char *allowed = NULL;
    bool has_path = find_route(decision);
    begin_call(decision);
    if (has_path)
        decision->endpoint =
            endpoint_find(request->method, decision->path, decision->call.id, &allowed);
    if (decision->endpoint == NULL && has_path && api->forwards)
        decision->endpoint = &other_call;
    if (decision->endpoint != NULL)
        read_endpoint(decision);
    else
        read_unknown_path(decision, allowed);
}

void decision_refuse(struct decision *decision, struct api *api,
                     const struct decision_refusal *refusal, struct journal_entry *entry,
                     struct api_outcome *outcome)
{
    begin(decision, api, entry, outcome);
    reject(decision, refusal->status, refusal->message, refusal->code, NULL);
}

/* ---- choosing ---- */

static int64_t draw_latency(struct decision *decision)
{
    struct api *api = decision->api;
    const struct config_model *model = api_find_model(api, decision->call.model);
    const struct distribution *latency =
        model != NULL && model->has_latency ? &model->latency : &api->config->latency;
    return distribution_draw(latency, &api->latency_random);
}

/* The endpoint is to make its answer, or somebody else. */
static void choose_served(struct decision *decision)
{
    struct api *api = decision->api;
    const struct script_step *step = decision->step;
    decision->outcome->latency_ns =
        step != NULL && step->latency_ns >= 0 ? step->latency_ns : draw_latency(decision);
    decision->entry->decision = JOURNAL_SERVED;
    /* A fault is played on an answer of our own: nobody is asked for one that is spoilt. */
    bool is_own = step != NULL && (step->content != NULL || step->fault.kind != NULL);
    if (api->forwards && !is_own) {
        leave_to_others(decision);
        return;
    }
    decision->course = DECISION_SERVED;
    decision->call.bits = random_bits(&api->id_random);
}

static void choose_throttled(struct decision *decision, struct pool *pool)
{
    struct api *api = decision->api;
    pool_count_throttled(pool, decision->quota.stopped_by);
    decision->course = DECISION_THROTTLED;
    decision->entry->decision = JOURNAL_THROTTLED;
    decision->entry->limit = decision->quota.stopped_by;
    decision->outcome->latency_ns =
        distribution_draw(&api->config->refusal_latency, &api->refusal_random);
}

static void choose_by_quota(struct decision *decision)
{
    const struct endpoint_call *call = &decision->call;
    struct api_outcome *outcome = decision->outcome;
    const int64_t now_ns = decision->now_ns;
    struct pool *pool = pools_get(decision->api->pools, decision->owner, call->model, now_ns);
    if (pool == NULL) {
        openai_error_answer_kind(&outcome->answer, openai_error_find("server_is_overloaded"),
                                 &decision->names, -1);
        decision->course = DECISION_ANSWERED;
        return;
    }
    const struct quota_cost cost = {
        .requests = 1, .tokens = decision->entry->tokens, .images = call->images};
    decision->tells_quota = true;
    decision->quota = quota_admit_cost(&pool->quota, now_ns, &cost);
    if (decision->api->config->rules.headers != LIMIT_HEADERS_NONE) /* else nothing is told */
        ratelimit_tell_all(&pool->quota, now_ns, &decision->told);
    if (!decision->quota.admitted) {
        choose_throttled(decision, pool);
        return;
    }
    outcome->pool = pool;
    outcome->admitted_ns = now_ns;
    outcome->charged_tokens = cost.tokens;
    outcome->used_tokens = -1;
    choose_served(decision);
}

/* An answer without a model: something is looked up or stored. */
static void make_plain(struct decision *decision)
{
    struct endpoint_call *call = &decision->call;
    answer_init(call->answer, 200);
    call->created_s = decision->wall_ns / NS_PER_S;
    if (endpoint_makes_objects(decision->endpoint))
        call->bits = random_bits(&decision->api->id_random);
    store_bring_to(decision->api->store, decision->now_ns);
    decision->endpoint->make(call);
    decision->entry->decision = call->answer->status < 400 ? JOURNAL_SERVED : JOURNAL_REJECTED;
    decision->course = DECISION_ANSWERED;
}

static void choose_fault(struct decision *decision)
{
    if (decision->course == DECISION_MODEL_CALL)
        choose_served(decision);
    else
        make_plain(decision);
    decision->plays_fault = true;
    decision->entry->decision = JOURNAL_FAULT;
}

/* The step of the script that is due, or NULL. */
static const struct script_step *next_step(struct decision *decision)
{
    struct api *api = decision->api;
    const struct script_request request = {
        .method = decision->request->method,
        .model = decision->call.model,
        .path = decision->request->path,
        .route = decision->path,
        .asks_model = decision->course == DECISION_MODEL_CALL,
        .key_tail = decision->entry->key_tail,
        .number = api->request_count,
        .age_ns = decision->now_ns - api->start_ns,
        .is_streamed = decision->call.is_streamed,
    };
    decision->entry->streamed = decision->call.is_streamed;
    int index = script_next(&api->config->script, api->script_states, &request, decision->now_ns,
                            &api->share_random);
    decision->entry->script_step = index;
    return index >= 0 ? &api->config->script.steps[index] : NULL;
}

/* A model is asked where its quota has room. Where none is, quotas are not asked, and of the script
 * only what names the path. */
static void choose_call(struct decision *decision)
{
    const struct script_step *step = next_step(decision);
    bool is_model_call = decision->course == DECISION_MODEL_CALL;
    decision->call.now_ns = decision->now_ns;
    decision->call.wall_ns = decision->wall_ns;
    decision->step = step;
    if (step != NULL && step->fault.kind != NULL) {
        choose_fault(decision);
    } else if (step != NULL && !step->serves) {
        decision->course = DECISION_SCRIPTED;
        decision->entry->decision = JOURNAL_SCRIPTED;
        if (step->latency_ns >= 0)
            decision->outcome->latency_ns = step->latency_ns;
    } else if (is_model_call) {
        choose_by_quota(decision);
    } else {
        if (decision->api->forwards)
            leave_to_others(decision);
        else
            make_plain(decision);
        if (step != NULL && step->latency_ns >= 0)
            decision->outcome->latency_ns = step->latency_ns;
    }
}

/* Whether the end of the answer would change what is admitted. */
static bool is_to_end(const struct api *api, const struct api_outcome *outcome)
{
    if (outcome->pool == NULL)
        return false;
    const struct quota_limits *limits = outcome->pool->quota.limits;
    return api->config->rules.settles ||
           limits->limit[QUOTA_CONCURRENT_REQUESTS] != QUOTA_UNLIMITED;
}

void decision_choose(struct decision *decision, int64_t now_ns, int64_t wall_ns)
{
    struct api *api = decision->api;
    decision->now_ns = now_ns;
    decision->wall_ns = wall_ns;
    decision->entry->decided_ns = now_ns;
    api->request_count++;
    if (decision->course == DECISION_MODEL_CALL || decision->course == DECISION_PLAIN_CALL)
        choose_call(decision);
    if (!decision->outcome->is_forwarded)
        decision->request_id = api_draw_request_id(api);
    api_make_counted_changes(api, now_ns);
    decision->outcome->is_to_end = is_to_end(api, decision->outcome);
}

/* ---- answering ---- */

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

static int64_t answer_wall_ns(const struct decision *decision)
{
    return decision->wall_ns + decision->outcome->latency_ns;
}

/* Lets the endpoint make its answer. */
static void serve(struct decision *decision)
{
    const struct config *config = decision->api->config;
    struct endpoint_call *call = &decision->call;
    const struct config_model *model = api_find_model(decision->api, call->model);
    const struct script_step *step = decision->step;
    if (model != NULL && model->content != NULL)
        call->content = model->content;
    if (step != NULL && step->content != NULL)
        call->content = step->content;
    answer_init(&decision->outcome->answer, 200);
    call->pace = pace_of(config, model);
    /* `created` is when the answer is made, as OpenAI's: after the model has done its work. */
    call->created_s = answer_wall_ns(decision) / NS_PER_S;
    decision->endpoint->make(call);
    /* What usage says is what the model has really read: so the settlement takes it, too. */
    decision->outcome->used_tokens = endpoint_prompt_tokens(call) + call->spoken_tokens;
    decision->outcome->latency_ns += call->work_ns;
}

/* The answer to a request that a limit has stopped. */
static void refuse(struct decision *decision)
{
    const struct config *config = decision->api->config;
    const struct script *own = &config->concurrency_refusal;
    struct answer *answer = &decision->outcome->answer;
    if (decision->quota.stopped_by == QUOTA_CONCURRENT_REQUESTS && own->step_count > 0) {
        decision->tells_quota = false; /* all of it is the set-up's */
        script_answer(&own->steps[0], &decision->names, answer_wall_ns(decision), answer);
        return;
    }
    const struct refusal_request request = {
        .names = decision->names,
        .path = decision->path,
        .api_version = decision->api_version,
    };
    refusal_answer(answer, &config->rules, &decision->quota, &request);
}

static void make_answer(struct decision *decision)
{
    struct answer *answer = &decision->outcome->answer;
    if (decision->course == DECISION_SERVED)
        serve(decision);
    else if (decision->course == DECISION_THROTTLED)
        refuse(decision);
    else if (decision->course == DECISION_SCRIPTED)
        script_answer(decision->step, &decision->names, answer_wall_ns(decision), answer);
    else if (decision->course == DECISION_FORWARDED)
        answer_init(answer, 0);
    if (decision->tells_quota)
        ratelimit_headers_add(answer, &decision->api->config->rules, &decision->told,
                              &decision->quota);
}

/* The headers that every answer of api.openai.com carries; of servers that only speak like it,
 * those that any has. */
static void add_common_headers(struct decision *decision)
{
    struct answer *answer = &decision->outcome->answer;
    bool is_rejected = decision->entry->decision == JOURNAL_REJECTED;
    api_add_headers(decision->api, answer, answer_wall_ns(decision), &decision->request_id,
                    decision->entry);
    api_add_model_headers(decision->api, answer,
                          is_rejected ? NULL : decision->account.organization,
                          decision->outcome->latency_ns);
    if (decision->request != NULL && decision->request->origin != NULL &&
        is_open_to_pages(decision->api))
        cors_add_headers(answer);
}

/* When all is there that the client would have got. */
static void play_fault(struct decision *decision)
{
    const struct fault *fault = &decision->step->fault;
    struct fault_play play = {
        .answer = &decision->outcome->answer,
        .names = &decision->names,
        .wall_ns = answer_wall_ns(decision),
    };
    fault->kind->play(fault, &play);
    if (play.answer->is_raw && play.answer->body_length == 0)
        play.answer->status = 0; /* nothing goes out, no status either */
    decision->outcome->refuse_ns = play.refuse_ns;
    decision->entry->fault = fault->kind->name;
    decision->entry->broken = fault_breaks(fault);
}

void decision_answer(struct decision *decision)
{
    struct journal_entry *entry = decision->entry;
    const struct answer *answer = &decision->outcome->answer;
    make_answer(decision);
    if (!decision->outcome->is_forwarded)
        add_common_headers(decision);
    if (decision->plays_fault)
        play_fault(decision);
    entry->status = answer->status;
    entry->retry_after_ns = answer->retry_after_ns;
    text_copy_utf8(entry->code, sizeof entry->code, answer->code); /* a script's may be cut */
}

void decision_free(struct decision *decision)
{
    endpoint_call_free(&decision->call);
}
