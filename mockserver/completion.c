#include "mockserver/completion.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 2024-07-16, when gpt-4o-mini was published: any fixed moment will do. */
static const double MODEL_CREATED_S = 1721172741;

static cJSON *usage_object(int64_t prompt_tokens, int64_t completion_tokens)
{
    cJSON *usage = cJSON_CreateObject();
    cJSON_AddNumberToObject(usage, "prompt_tokens", (double)prompt_tokens);
    cJSON_AddNumberToObject(usage, "completion_tokens", (double)completion_tokens);
    cJSON_AddNumberToObject(usage, "total_tokens", (double)(prompt_tokens + completion_tokens));
    cJSON *prompt = cJSON_AddObjectToObject(usage, "prompt_tokens_details");
    cJSON_AddNumberToObject(prompt, "cached_tokens", 0);
    cJSON_AddNumberToObject(prompt, "audio_tokens", 0);
    cJSON *completion = cJSON_AddObjectToObject(usage, "completion_tokens_details");
    cJSON_AddNumberToObject(completion, "reasoning_tokens", 0);
    cJSON_AddNumberToObject(completion, "audio_tokens", 0);
    cJSON_AddNumberToObject(completion, "accepted_prediction_tokens", 0);
    cJSON_AddNumberToObject(completion, "rejected_prediction_tokens", 0);
    return usage;
}

static cJSON *choice_object(const char *content)
{
    cJSON *choice = cJSON_CreateObject();
    cJSON_AddNumberToObject(choice, "index", 0);
    cJSON *message = cJSON_AddObjectToObject(choice, "message");
    cJSON_AddStringToObject(message, "role", "assistant");
    cJSON_AddStringToObject(message, "content", content);
    cJSON_AddNullToObject(message, "refusal");
    cJSON_AddArrayToObject(message, "annotations");
    cJSON_AddNullToObject(choice, "logprobs");
    cJSON_AddStringToObject(choice, "finish_reason", "stop");
    return choice;
}

static char *print_and_delete(cJSON *root)
{
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

char *completion_chat(const char *model, const char *content, int64_t prompt_tokens,
                      uint64_t id_bits, int64_t created_s)
{
    char id[64];
    snprintf(id, sizeof id, "chatcmpl-%016" PRIx64, id_bits);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", id);
    cJSON_AddStringToObject(root, "object", "chat.completion");
    cJSON_AddNumberToObject(root, "created", (double)created_s);
    cJSON_AddStringToObject(root, "model", model);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "choices"), choice_object(content));
    int64_t completion_tokens = ((int64_t)strlen(content) + 3) / 4;
    cJSON_AddItemToObject(root, "usage", usage_object(prompt_tokens, completion_tokens));
    cJSON_AddStringToObject(root, "service_tier", "default");
    cJSON_AddStringToObject(root, "system_fingerprint", "fp_toomany");
    return print_and_delete(root);
}

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

char *completion_model(const char *id)
{
    return print_and_delete(model_object(id));
}

char *completion_models(const char *const *ids, int count)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "list");
    cJSON *data = cJSON_AddArrayToObject(root, "data");
    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(data, model_object(ids[i]));
    return print_and_delete(root);
}
