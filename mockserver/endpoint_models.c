/* GET /v1/models and /v1/models/{id} */
#include "base/json_text.h"
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "mockserver/openai_error.h"

#include <stdio.h>
#include <string.h>

/* 2024-07-16, when gpt-4o-mini was published: any fixed moment will do. */
static const double MODEL_CREATED_S = 1721172741;

/* Fine-tuned ids are ft:BASE:ORGANISATION:...; the organisation owns them, OpenAI the others. */
static cJSON *model_object(const char *id)
{
    char owner[64] = "system";
    if (strncmp(id, "ft:", 3) == 0) {
        const char *base_end = strchr(id + 3, ':');
        size_t length = base_end != NULL ? strcspn(base_end + 1, ":") : 0;
        if (length > 0 && length < sizeof owner)
            snprintf(owner, sizeof owner, "%.*s", (int)length, base_end + 1);
    }
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", id);
    cJSON_AddStringToObject(root, "object", "model");
    cJSON_AddNumberToObject(root, "created", MODEL_CREATED_S);
    cJSON_AddStringToObject(root, "owned_by", owner);
    return root;
}

static void add_model(cJSON *data, const char *id)
{
    if (strchr(id, '*') != NULL) /* it stands for several */
        return;
    const cJSON *one;
    cJSON_ArrayForEach (one, data) {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(one, "id")->valuestring, id) == 0)
            return;
    }
    cJSON_AddItemToArray(data, model_object(id));
}

void endpoint_models_list(struct endpoint_call *call)
{
    const struct config *config = call->api->config;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "list");
    cJSON *data = cJSON_AddArrayToObject(root, "data");
    for (size_t i = 0; i < config->model_count; i++)
        add_model(data, config->models[i].id);
    for (size_t i = 0; i < config->quotas.count && !config->only_listed_models; i++)
        add_model(data, config->quotas.items[i].model);
    const struct tier *tier = config->only_listed_models ? NULL : call->api->tier;
    for (size_t i = 0; tier != NULL && tier->models[i].model != NULL; i++)
        add_model(data, tier->models[i].model);
    if (cJSON_GetArraySize(data) == 0)
        add_model(data, "gpt-4o-mini");
    endpoint_answer_json(call, root);
}

void endpoint_models_get(struct endpoint_call *call)
{
    size_t length = strlen(call->id);
    if (length == 0 || length > CONFIG_MODEL_NAME_MAX || !json_is_utf8(call->id, length) ||
        !api_serves_model(call->api, call->id))
        openai_error_answer_kind(call->answer, openai_error_find("model_not_found"),
                                 &(struct openai_names){.model = call->id}, -1);
    else
        endpoint_answer_json(call, model_object(call->id));
}
