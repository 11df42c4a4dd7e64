#include "mockserver/config.h"

#include "base/duration.h"
#include "mockserver/account.h"
#include "mockserver/openai_error.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    script_free(&config->script);
    for (size_t i = 0; i < config->change_count; i++)
        config_quotas_free(&config->changes[i].quotas);
    free(config->changes);
    config_init(config);
}

/* Room for `count` zeroed items; NULL (with the error filled) when there are too many of them. */
static void *allocate_items(const struct json_reader *reader, const cJSON *list,
                            const char *pointer, size_t count_max, size_t size)
{
    size_t count = (size_t)cJSON_GetArraySize(list);
    if (count > count_max) {
        json_wrong(reader, pointer, list, "at most %zu members, not %zu", count_max, count);
        return NULL;
    }
    void *items = calloc(count + 1, size);
    if (items == NULL)
        error_set_run(reader->error, reader->file, "out of memory");
    return items;
}

static bool read_copy(const struct json_reader *reader, const cJSON *object, const char *pointer,
                      const char *name, char **copy)
{
    const char *value = NULL;
    if (!json_read_string(reader, object, pointer, name, &value))
        return false;
    if (value != NULL)
        *copy = strdup(value);
    return true;
}

/* A string or null: null stands for JSON's null in the answer. */
static bool read_nullable(const struct json_reader *reader, const cJSON *object,
                          const char *pointer, const char *name, char **copy, bool *is_given)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    *is_given = item != NULL;
    if (item == NULL || cJSON_IsNull(item))
        return true;
    return read_copy(reader, object, pointer, name, copy);
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
    quota->shared_by =
        allocate_items(reader, list, place, CONFIG_SHARED_BY_MAX, sizeof *quota->shared_by);
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
    quotas->items =
        allocate_items(reader, object, pointer, CONFIG_MODELS_MAX, sizeof *quotas->items);
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
        if (base != NULL) {
            quota->limits = base(owner, member->string);
        } else {
            quota_limits_init(&quota->limits);
            quota->limits.enforcement = QUOTA_ENFORCEMENT_COUNT;
        }
        if (!read_limits(&quota->limits, reader, member, place) ||
            !read_shared_by(quota, reader, member, place))
            return false;
    }
    return true;
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
    config->models =
        allocate_items(reader, object, pointer, CONFIG_MODELS_MAX, sizeof *config->models);
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
            !read_copy(reader, member, place, "content", &model->content))
            return false;
    }
    return true;
}

static bool read_api_keys(struct config *config, const struct json_reader *reader,
                          const cJSON *list, const char *pointer)
{
    config->api_keys =
        allocate_items(reader, list, pointer, CONFIG_KEYS_MAX, sizeof *config->api_keys);
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
    if (!read_copy(reader, object, pointer, name, copy))
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
    config->accounts =
        allocate_items(reader, list, pointer, CONFIG_KEYS_MAX, sizeof *config->accounts);
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
            !read_copy(reader, item, place, "key", &account->key) ||
            !read_account_name(reader, item, place, "organization", true, &account->organization) ||
            !read_account_name(reader, item, place, "project", false, &account->project))
            return false;
        if (account->key == NULL || account->key[0] == '\0')
            return json_wrong(reader, json_pointer_member(key_place, place, "key"),
                              cJSON_GetObjectItemCaseSensitive(item, "key"), "a key as a string");
    }
    return true;
}

/* RFC 9110: a field name is a token; a value has no line breaks or other control characters. */
static bool is_header(const char *name, const char *value)
{
    size_t name_length = strlen(name);
    if (name_length == 0 || name_length >= ANSWER_HEADER_NAME_SIZE ||
        strlen(value) >= ANSWER_HEADER_VALUE_SIZE)
        return false;
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && strchr("!#$%&'*+-.^_`|~", *name) == NULL)
            return false;
    }
    for (; *value != '\0'; value++) {
        if (iscntrl((unsigned char)*value) && *value != '\t')
            return false;
    }
    return true;
}

static bool read_headers(struct script_step *step, const struct json_reader *reader,
                         const cJSON *object, const char *pointer)
{
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        char place[JSON_POINTER_SIZE];
        json_pointer_member(place, pointer, member->string);
        if (!cJSON_IsString(member) || !is_header(member->string, member->valuestring))
            return json_wrong(reader, place, member, "an HTTP header's name and value (string)");
        /* libmicrohttpd frames the answer itself and would drop them without a word. */
        if (strcasecmp(member->string, "content-length") == 0 ||
            strcasecmp(member->string, "transfer-encoding") == 0)
            return json_wrong(reader, place, member, "no such header: the server sets it");
        if (step->header_count == SCRIPT_HEADERS_MAX)
            return json_wrong(reader, pointer, object, "at most %d headers", SCRIPT_HEADERS_MAX);
        struct answer_header *header = &step->headers[step->header_count++];
        snprintf(header->name, sizeof header->name, "%s", member->string);
        snprintf(header->value, sizeof header->value, "%s", member->valuestring);
    }
    return true;
}

/* A body is sent as it stands: a string to the byte, an object or array as compact JSON. */
static bool read_body(struct script_step *step, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(object, "body");
    if (body == NULL)
        return true;
    if (cJSON_IsString(body)) {
        step->body = strdup(body->valuestring);
        return true;
    }
    if (!cJSON_IsObject(body) && !cJSON_IsArray(body)) {
        char place[JSON_POINTER_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, "body"), body,
                          "a string, an object or an array");
    }
    step->body = cJSON_PrintUnformatted(body);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(body, "error");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
    if (cJSON_IsString(code) && step->code == NULL)
        step->code = strdup(code->valuestring);
    return true;
}

/* Puts the pieces together to a body. */
static bool read_piece(struct script_step *step, const struct json_reader *reader,
                       const cJSON *item, const char *pointer, size_t *length)
{
    const char *text = NULL;
    int64_t at_ns = 0;
    if (!json_known_members(reader, item, pointer, (const char *const[]){"at", "body", NULL}) ||
        !json_read_duration(reader, item, pointer, "at", &at_ns) ||
        !json_read_string(reader, item, pointer, "body", &text))
        return false;
    if (text == NULL || text[0] == '\0')
        return json_wrong(reader, pointer, item, "a \"body\" that is a text, not empty");
    if (step->piece_count > 0 && at_ns < step->pieces[step->piece_count - 1].due_ns)
        return json_wrong(reader, pointer, item, "an \"at\" not before that of the piece before");
    size_t more = strlen(text);
    char *longer = realloc(step->body, *length + more + 1);
    if (longer == NULL)
        return error_set_run(reader->error, pointer, "out of memory");
    memcpy(longer + *length, text, more + 1);
    step->body = longer;
    *length += more;
    step->pieces[step->piece_count++] = (struct answer_piece){.end = *length, .due_ns = at_ns};
    return true;
}

static bool read_pieces(struct script_step *step, const struct json_reader *reader,
                        const cJSON *object, const char *pointer)
{
    const cJSON *list = NULL;
    char place[JSON_POINTER_SIZE];
    size_t length = 0;
    json_pointer_member(place, pointer, "pieces");
    if (!json_read_array(reader, object, pointer, "pieces", &list))
        return false;
    if (list == NULL)
        return true;
    if (step->body != NULL)
        return json_wrong(reader, place, list, "either \"body\" or \"pieces\"");
    if (cJSON_GetArraySize(list) == 0)
        return json_wrong(reader, place, list, "at least one piece");
    step->pieces = allocate_items(reader, list, place, SCRIPT_PIECES_MAX, sizeof *step->pieces);
    if (step->pieces == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char each[JSON_POINTER_SIZE];
        json_pointer_item(each, place, step->piece_count);
        if (!read_piece(step, reader, item, each, &length))
            return false;
    }
    return true;
}

static bool read_error_kind(struct script_step *step, const struct json_reader *reader,
                            const cJSON *object, const char *pointer)
{
    if (!read_copy(reader, object, pointer, "error", &step->error_kind))
        return false;
    if (step->error_kind == NULL || openai_error_find(step->error_kind) != NULL)
        return true;
    /* Not all: there are some thirty. */
    char names[300] = "";
    for (const struct openai_error_kind *kind = openai_error_kinds(); kind->name != NULL; kind++) {
        size_t used = strlen(names);
        if (used + strlen(kind->name) + 2 < sizeof names)
            snprintf(names + used, sizeof names - used, "%s, ", kind->name);
    }
    char place[JSON_POINTER_SIZE];
    return json_wrong(reader, json_pointer_member(place, pointer, "error"),
                      cJSON_GetObjectItemCaseSensitive(object, "error"),
                      "one of %s... (docs/server.md has the list)", names);
}

static bool has_header(const struct script_step *step, const char *name)
{
    for (size_t i = 0; i < step->header_count; i++) {
        if (strcasecmp(step->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Whether one wait is said, and in one way. */
static bool check_wait(const struct script_step *step, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    bool has_form = cJSON_GetObjectItemCaseSensitive(object, "retry_after_form") != NULL;
    if (has_form && step->retry_after_ns < 0)
        return json_wrong(reader, pointer, object, "\"retry_after\" beside \"retry_after_form\"");
    if (step->retry_after_ns >= 0 &&
        (has_header(step, "retry-after") || has_header(step, "retry-after-ms")))
        return json_wrong(reader, pointer, object,
                          "either \"retry_after\" or the header that says it verbatim");
    return true;
}

/* Notes of the writer ("$comment") aside. */
static bool has_member_beside(const cJSON *object, const char *name)
{
    const cJSON *member;
    cJSON_ArrayForEach (member, object) {
        if (member->string[0] != '$' && strcmp(member->string, name) != 0)
            return true;
    }
    return false;
}

static bool check_answer(const struct script_step *step, const struct json_reader *reader,
                         const cJSON *object, const char *pointer)
{
    bool is_error =
        step->error_kind != NULL || step->message != NULL || step->has_type || step->has_param;
    if (step->body != NULL && is_error)
        return json_wrong(reader, pointer, object,
                          "either \"body\", which is sent as it stands, or the parts of an error");
    is_error |= step->has_code; /* beside a body it tells the journal what stands in it */
    if (step->content != NULL && has_member_beside(object, "content"))
        return json_wrong(reader, pointer, object,
                          "\"content\" alone: it is what the model answers with status 200");
    if (step->status != 0 && step->error_kind == NULL && step->body == NULL &&
        step->message == NULL)
        return json_wrong(reader, pointer, object,
                          "\"error\", \"message\" or \"body\" beside \"status\"");
    if (step->content == NULL && step->body == NULL && !is_error)
        return json_wrong(reader, pointer, object,
                          "\"error\", \"body\" or \"content\" (or the word \"ok\" instead)");
    return check_wait(step, reader, object, pointer);
}

static bool read_answer(struct script_step *step, const struct json_reader *reader,
                        const cJSON *item, const char *pointer)
{
    if (cJSON_IsString(item) && strcmp(item->valuestring, "ok") == 0) {
        step->serves = true;
        return true;
    }
    if (!cJSON_IsObject(item))
        return json_wrong(reader, pointer, item, "\"ok\" or an object with what is answered");
    if (cJSON_HasObjectItem(item, "fault"))
        return fault_read(&step->fault, reader, item, pointer);
    static const char *const known[] = {"status",  "error",   "message",     "type",
                                        "code",    "param",   "body",        "pieces",
                                        "content", "headers", "retry_after", "retry_after_form",
                                        NULL};
    static const char *const forms[] = {"seconds",     "milliseconds", "date",
                                        "date_rfc850", "date_asctime", NULL};
    int64_t status = 0;
    int form = 0;
    const cJSON *headers = NULL;
    bool is_read =
        json_known_members(reader, item, pointer, known) &&
        json_read_whole(reader, item, pointer, "status", 200, 599, &status) &&
        read_error_kind(step, reader, item, pointer) &&
        read_copy(reader, item, pointer, "message", &step->message) &&
        read_nullable(reader, item, pointer, "type", &step->type, &step->has_type) &&
        read_nullable(reader, item, pointer, "code", &step->code, &step->has_code) &&
        read_nullable(reader, item, pointer, "param", &step->param, &step->has_param) &&
        read_body(step, reader, item, pointer) && read_pieces(step, reader, item, pointer) &&
        read_copy(reader, item, pointer, "content", &step->content) &&
        json_read_duration(reader, item, pointer, "retry_after", &step->retry_after_ns) &&
        json_read_word(reader, item, pointer, "retry_after_form", forms, &form) &&
        json_read_object(reader, item, pointer, "headers", &headers);
    if (!is_read)
        return false;
    step->status = (int)status;
    step->retry_after_form = (enum retry_after_form)form;
    step->serves = step->content != NULL;
    char place[JSON_POINTER_SIZE];
    if (headers != NULL &&
        !read_headers(step, reader, headers, json_pointer_member(place, pointer, "headers")))
        return false;
    return check_answer(step, reader, item, pointer);
}

static bool read_when(struct script_step *step, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    static const char *const known[] = {"model", "path",  "key",   "share", "request",
                                        "every", "after", "until", NULL};
    if (!json_known_members(reader, object, pointer, known) ||
        !read_copy(reader, object, pointer, "model", &step->model) ||
        !read_copy(reader, object, pointer, "path", &step->path) ||
        !read_copy(reader, object, pointer, "key", &step->key_tail) ||
        !json_read_number(reader, object, pointer, "share", 0, 1, &step->share) ||
        !json_read_whole(reader, object, pointer, "request", 1, 1000000000, &step->request) ||
        !json_read_whole(reader, object, pointer, "every", 1, 1000000000, &step->every) ||
        !json_read_duration(reader, object, pointer, "after", &step->after_ns) ||
        !json_read_duration(reader, object, pointer, "until", &step->until_ns))
        return false;
    if (cJSON_HasObjectItem(object, "until") && step->until_ns <= step->after_ns)
        return json_wrong(reader, pointer, object, "\"until\" later than \"after\"");
    return true;
}

static bool read_times(struct script_step *step, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    const cJSON *times = cJSON_GetObjectItemCaseSensitive(object, "times");
    if (times == NULL) {
        step->times = step->lasts_ns > 0 ? SCRIPT_FOREVER : 1;
        return true;
    }
    if (cJSON_IsString(times) && strcmp(times->valuestring, "forever") == 0) {
        step->times = SCRIPT_FOREVER;
        return true;
    }
    if (cJSON_IsString(times)) {
        char place[JSON_POINTER_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, "times"), times,
                          "a whole number from 1 or \"forever\"");
    }
    return json_read_whole(reader, object, pointer, "times", 1, 1000000000, &step->times);
}

static bool read_step(struct script_step *step, const struct json_reader *reader, const cJSON *item,
                      const char *pointer)
{
    *step = (struct script_step){.share = 1, .latency_ns = -1, .retry_after_ns = -1};
    const cJSON *when = NULL;
    char place[JSON_POINTER_SIZE];
    if (!json_known_members(
            reader, item, pointer,
            (const char *const[]){"when", "answer", "times", "lasts", "latency", NULL}) ||
        !json_read_object(reader, item, pointer, "when", &when) ||
        !json_read_duration(reader, item, pointer, "lasts", &step->lasts_ns) ||
        !json_read_duration(reader, item, pointer, "latency", &step->latency_ns) ||
        !read_times(step, reader, item, pointer))
        return false;
    if (step->lasts_ns == 0 && cJSON_HasObjectItem(item, "lasts"))
        return json_wrong(reader, json_pointer_member(place, pointer, "lasts"),
                          cJSON_GetObjectItemCaseSensitive(item, "lasts"), "more than 0");
    if (step->latency_ns > CONFIG_LATENCY_NS_MAX)
        return json_wrong(reader, json_pointer_member(place, pointer, "latency"),
                          cJSON_GetObjectItemCaseSensitive(item, "latency"), "at most 24h");
    if (when != NULL && !read_when(step, reader, when, json_pointer_member(place, pointer, "when")))
        return false;
    json_pointer_member(place, pointer, "answer");
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(item, "answer");
    if (answer == NULL)
        return json_wrong(reader, place, NULL, "\"ok\" or an object with what is answered");
    return read_answer(step, reader, answer, place);
}

static bool read_script(struct config *config, const struct json_reader *reader, const cJSON *list,
                        const char *pointer)
{
    struct script *script = &config->script;
    script->steps = allocate_items(reader, list, pointer, SCRIPT_STEPS_MAX, sizeof *script->steps);
    if (script->steps == NULL)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        json_pointer_item(place, pointer, script->step_count);
        if (!read_step(&script->steps[script->step_count++], reader, item, place))
            return false;
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
        allocate_items(reader, list, pointer, CONFIG_CHANGES_MAX, sizeof *config->changes);
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
    if (script != NULL &&
        !read_script(config, reader, script, json_pointer_member(place, pointer, "script")))
        return false;
    return changes == NULL ||
           read_changes(config, reader, changes, json_pointer_member(place, pointer, "changes"));
}

static bool has_limit(const struct config_quotas *quotas)
{
    for (size_t i = 0; i < quotas->count; i++) {
        for (int dimension = 0; dimension < QUOTA_DIMENSION_COUNT; dimension++) {
            if (quotas->items[i].limits.limit[dimension] != QUOTA_UNLIMITED)
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
        const struct openai_error_kind *kind =
            openai_error_find(step->error_kind != NULL ? step->error_kind : "rate_limit_exceeded");
        if ((step->status != 0 ? step->status : kind->status) == 429)
            return true;
    }
    for (size_t i = 0; i < config->change_count; i++) {
        if (has_limit(&config->changes[i].quotas))
            return true;
    }
    return config->rules.tier != NULL || has_limit(&config->quotas);
}
