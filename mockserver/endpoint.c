#include "mockserver/endpoint.h"

#include "base/json.h"
#include "mockserver/api.h"
#include "mockserver/openai_error.h"
#include "mockserver/token_estimate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct endpoint table[] = {
    {"POST", "/v1/chat/completions", endpoint_chat_read, endpoint_chat_make},
    {"POST", "/v1/responses", endpoint_responses_read, endpoint_responses_make},
    {"POST", "/v1/completions", endpoint_completions_read, endpoint_completions_make},
    {"POST", "/v1/embeddings", endpoint_embeddings_read, endpoint_embeddings_make},
    {"POST", "/v1/images/generations", endpoint_images_read, endpoint_images_make},
    {"POST", "/v1/moderations", endpoint_moderations_read, endpoint_moderations_make},
    {"POST", "/v1/audio/speech", endpoint_speech_read, endpoint_speech_make},
    {"GET", "/v1/fine_tuning/jobs", NULL, endpoint_fine_tuning_list},
    {"GET", "/v1/fine_tuning/jobs/{id}/events", NULL, endpoint_fine_tuning_events},
    {"GET", "/v1/fine_tuning/jobs/{id}/checkpoints", NULL, endpoint_fine_tuning_events},
    {"GET", "/v1/fine_tuning/jobs/{id}", NULL, endpoint_fine_tuning_get},
    {"POST", "/v1/files", NULL, endpoint_files_create},
    {"GET", "/v1/files", NULL, endpoint_files_list},
    {"GET", "/v1/files/{id}/content", NULL, endpoint_files_content},
    {"GET", "/v1/files/{id}", NULL, endpoint_files_get},
    {"DELETE", "/v1/files/{id}", NULL, endpoint_files_delete},
    {"POST", "/v1/batches", NULL, endpoint_batches_create},
    {"GET", "/v1/batches", NULL, endpoint_batches_list},
    {"POST", "/v1/batches/{id}/cancel", NULL, endpoint_batches_cancel},
    {"GET", "/v1/batches/{id}", NULL, endpoint_batches_get},
    {"GET", "/v1/models", NULL, endpoint_models_list},
    {"GET", "/v1/models/{id}", NULL, endpoint_models_get},
    {NULL, NULL, NULL, NULL},
};

const struct endpoint *endpoint_table(void)
{
    return table;
}

bool endpoint_makes_objects(const struct endpoint *endpoint)
{
    return endpoint->make == endpoint_files_create || endpoint->make == endpoint_batches_create;
}

/* A model's id may have slashes in it, so that an {id} at the end takes the rest. */
static bool is_match(const char *pattern, const char *path, char id[ENDPOINT_ID_SIZE])
{
    size_t length = strcspn(pattern, "{");
    if (pattern[length] == '\0')
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, length) != 0)
        return false;
    const char *rest = pattern + length + strlen("{id}");
    const char *value = path + length;
    size_t value_length = rest[0] == '\0' ? strlen(value) : strcspn(value, "/");
    if (strcmp(value + value_length, rest) != 0)
        return false;
    snprintf(id, ENDPOINT_ID_SIZE, "%.*s",
             (int)(value_length < ENDPOINT_ID_SIZE ? value_length : ENDPOINT_ID_SIZE), value);
    return true;
}

const struct endpoint *endpoint_find(const char *method, const char *path,
                                     char id[ENDPOINT_ID_SIZE], const char **allowed)
{
    id[0] = '\0';
    *allowed = NULL;
    for (const struct endpoint *row = table; row->method != NULL; row++) {
        if (!is_match(row->path, path, id))
            continue;
        if (strcmp(row->method, method) == 0)
            return row;
        if (*allowed == NULL)
            *allowed = row->method;
    }
    return NULL;
}

void endpoint_call_free(struct endpoint_call *call)
{
    cJSON_Delete(call->root);
    call->root = NULL;
}

bool endpoint_refuse(struct answer *answer, int status, const char *message, const char *code,
                     const char *param)
{
    struct openai_error error = {
        .status = status,
        .message = message,
        .type = "invalid_request_error",
        .code = code,
        .param = param,
    };
    openai_error_answer(answer, &error);
    return false;
}

/* What is no JSON, or no object of it. OpenAI's words are for that alone: it reads what JSON has
 * and this server does not. */
static bool refuse_body(struct endpoint_call *call)
{
    char unread[JSON_UNREAD_SIZE];
    char message[JSON_UNREAD_SIZE + 64];
    const struct api_request *request = call->request;
    if (call->root != NULL || !json_is_unread(request->body, request->body_length, unread)) {
        openai_error_answer_kind(call->answer, openai_error_find("invalid_request_error"),
                                 &(struct openai_names){0}, -1);
        return false;
    }
    snprintf(message, sizeof message, "This mock server does not read JSON with %s.", unread);
    return endpoint_refuse(call->answer, 400, message, NULL, NULL);
}

bool endpoint_read_body(struct endpoint_call *call, const char *model_otherwise)
{
    call->root = json_parse(call->request->body, call->request->body_length, "body", NULL);
    if (!cJSON_IsObject(call->root))
        return refuse_body(call);
    if (call->deployment != NULL && call->deployment[0] != '\0') {
        snprintf(call->model, sizeof call->model, "%s", call->deployment);
        return true;
    }
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(call->root, "model");
    if (cJSON_IsNull(model))
        model = NULL;
    if (model == NULL && model_otherwise != NULL) {
        snprintf(call->model, sizeof call->model, "%s", model_otherwise);
        return true;
    }
    if (model == NULL || !cJSON_IsString(model) || model->valuestring[0] == '\0')
        return endpoint_refuse(call->answer, 400, "you must provide a model parameter", NULL, NULL);
    if (strlen(model->valuestring) >= sizeof call->model)
        return endpoint_refuse(call->answer, 400, "Invalid value for 'model': the id is too long.",
                               "invalid_value", "model");
    snprintf(call->model, sizeof call->model, "%s", model->valuestring);
    return true;
}

static bool is_decimal(const cJSON *number)
{
    return number->valuedouble != floor(number->valuedouble);
}

/* As OpenAI's messages call it. */
static const char *type_of(const cJSON *item)
{
    if (cJSON_IsNumber(item))
        return is_decimal(item) ? "a decimal number" : "an integer";
    if (cJSON_IsString(item))
        return "a string";
    if (cJSON_IsBool(item))
        return "a boolean";
    if (cJSON_IsNull(item))
        return "null";
    return cJSON_IsArray(item) ? "an array" : "an object";
}

bool endpoint_refuse_type(struct endpoint_call *call, const char *name, const char *wanted,
                          const cJSON *item)
{
    char message[256];
    snprintf(message, sizeof message, "Invalid type for '%s': expected %s, but got %s instead.",
             name, wanted, type_of(item));
    return endpoint_refuse(call->answer, 400, message, "invalid_type", name);
}

bool endpoint_read_whole(struct endpoint_call *call, const char *name, int64_t low, int64_t high,
                         int64_t *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->root, name);
    if (item == NULL || cJSON_IsNull(item))
        return true;
    char message[256];
    if (!cJSON_IsNumber(item) || is_decimal(item))
        return endpoint_refuse_type(call, name, "an integer", item);
    if (item->valuedouble < (double)low) {
        snprintf(message, sizeof message,
                 "Invalid '%s': integer below minimum value. Expected a value >= %" PRId64
                 ", but got %.0f instead.",
                 name, low, item->valuedouble);
        return endpoint_refuse(call->answer, 400, message, "integer_below_min_value", name);
    }
    if (item->valuedouble > (double)high) {
        snprintf(message, sizeof message,
                 "Invalid '%s': integer above maximum value. Expected a value <= %" PRId64
                 ", but got %.0f instead.",
                 name, high, item->valuedouble);
        return endpoint_refuse(call->answer, 400, message, "integer_above_max_value", name);
    }
    *value = (int64_t)item->valuedouble;
    return true;
}

bool endpoint_read_flag(struct endpoint_call *call, const char *name, bool *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->root, name);
    if (item == NULL || cJSON_IsNull(item))
        return true;
    if (!cJSON_IsBool(item))
        return endpoint_refuse_type(call, name, "a boolean", item);
    *value = cJSON_IsTrue(item);
    return true;
}

/* "'a' and 'b'", "'a', 'b', and 'c'", as OpenAI lists them. */
static void list_words(const char *const words[], char *list, size_t size)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    size_t used = 0;
    for (size_t i = 0; i < count && used < size; i++) {
        bool is_last = i + 1 == count;
        const char *before = i == 0 ? "" : !is_last ? ", " : count == 2 ? " and " : ", and ";
        used += (size_t)snprintf(list + used, size - used, "%s'%s'", before, words[i]);
    }
}

bool endpoint_check_word(struct endpoint_call *call, const cJSON *item, const char *place,
                         const char *const words[])
{
    if (item == NULL)
        return endpoint_refuse_missing(call, place);
    if (!cJSON_IsString(item))
        return endpoint_refuse_type(call, place, "a string", item);
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(item->valuestring, words[i]) == 0)
            return true;
    }
    char list[200];
    char message[400];
    list_words(words, list, sizeof list);
    snprintf(message, sizeof message, "Invalid value: '%.100s'. Supported values are: %s.",
             item->valuestring, list);
    json_make_utf8(message); /* it may have been cut in the middle of a character */
    return endpoint_refuse(call->answer, 400, message, "invalid_value", place);
}

int64_t endpoint_prompt_tokens(const struct endpoint_call *call)
{
    return call->tokens + call->short_texts;
}

int64_t endpoint_text_tokens(struct endpoint_call *call, const char *text)
{
    int64_t tokens = token_estimate_text(text);
    call->short_texts += tokens == 0 && text[0] != '\0';
    return tokens;
}

bool endpoint_is_padded(const struct endpoint_call *call)
{
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(call->root, "stream_options");
    return !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(options, "include_obfuscation"));
}

bool endpoint_refuse_missing(struct endpoint_call *call, const char *name)
{
    char message[128];
    snprintf(message, sizeof message, "Missing required parameter: '%s'.", name);
    return endpoint_refuse(call->answer, 400, message, "missing_required_parameter", name);
}

void endpoint_answer_json(struct endpoint_call *call, cJSON *root)
{
    answer_body(call->answer, cJSON_Print(root));
    cJSON_Delete(root);
}

const char *endpoint_object_id(char id[ENDPOINT_OBJECT_ID_SIZE], const char *prefix, uint64_t bits,
                               unsigned int index)
{
    snprintf(id, ENDPOINT_OBJECT_ID_SIZE, "%.24s%016" PRIx64 "%02x", prefix, bits, index & 0xffU);
    return id;
}

const char *endpoint_argument(const struct endpoint_call *call, const char *name)
{
    return api_request_argument(call->request, name);
}

bool endpoint_read_page(struct endpoint_call *call, struct endpoint_page *page)
{
    enum { LIMIT_MAX = 10000 }; /* of the files; that of batches is 100 */
    const char *limit = endpoint_argument(call, "limit");
    const char *order = endpoint_argument(call, "order");
    const char *after = endpoint_argument(call, "after");
    *page = (struct endpoint_page){.limit = LIMIT_MAX, .after = after};
    if (after != NULL && after[0] == '\0')
        page->after = NULL;
    if (limit != NULL) {
        char *end = NULL;
        page->limit = strtoll(limit, &end, 10);
        if (end == limit || *end != '\0' || page->limit < 1 || page->limit > LIMIT_MAX)
            return endpoint_refuse(call->answer, 400,
                                   "Invalid 'limit': a whole number from 1 to 10000 is expected.",
                                   "invalid_value", "limit");
    }
    page->is_ascending = order != NULL && strcmp(order, "asc") == 0;
    return true;
}

bool endpoint_page_takes(struct endpoint_page *page, const char *id)
{
    if (page->after != NULL) {
        if (strcmp(page->after, id) == 0)
            page->after = NULL;
        return false;
    }
    page->has_more = page->taken == page->limit;
    page->taken += !page->has_more;
    return !page->has_more;
}

void endpoint_answer_page(struct endpoint_call *call, const struct endpoint_page *page, cJSON *data)
{
    cJSON *root = endpoint_list(data);
    if (page->has_more)
        cJSON_ReplaceItemInObjectCaseSensitive(root, "has_more", cJSON_CreateTrue());
    endpoint_answer_json(call, root);
}

void endpoint_refuse_full(struct endpoint_call *call)
{
    endpoint_refuse(call->answer, 400,
                    "The server keeps no more files and batches: delete some, or reset it.",
                    "storage_limit_exceeded", NULL);
}

cJSON *endpoint_list(cJSON *data)
{
    cJSON *root = cJSON_CreateObject();
    int count = cJSON_GetArraySize(data);
    cJSON_AddStringToObject(root, "object", "list");
    cJSON_AddItemToObject(root, "data", data);
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(data->child, "id");
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(data, count - 1), "id");
    cJSON_AddItemToObject(root, "first_id",
                          first != NULL ? cJSON_Duplicate(first, true) : cJSON_CreateNull());
    cJSON_AddItemToObject(root, "last_id",
                          last != NULL ? cJSON_Duplicate(last, true) : cJSON_CreateNull());
    cJSON_AddFalseToObject(root, "has_more");
    return root;
}
