/* POST /v1/moderations: nothing is ever flagged. */
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "mockserver/token_estimate.h"

#include <stddef.h>

enum { INPUTS_MAX = 1024 };

static const struct {
    const char *name;
    bool has_images; /* omni-moderation judges images in it, too */
} categories[] = {
    {"harassment", false},
    {"harassment/threatening", false},
    {"hate", false},
    {"hate/threatening", false},
    {"illicit", false},
    {"illicit/violent", false},
    {"self-harm", true},
    {"self-harm/instructions", true},
    {"self-harm/intent", true},
    {"sexual", true},
    {"sexual/minors", false},
    {"violence", true},
    {"violence/graphic", true},
};

/* A string; an array of strings, a result each; an array of parts, one result. */
static int result_count(const cJSON *input)
{
    if (!cJSON_IsArray(input) || cJSON_IsObject(input->child))
        return 1;
    return cJSON_GetArraySize(input);
}

bool endpoint_moderations_read(struct endpoint_call *call)
{
    if (!endpoint_read_body(call, "omni-moderation-latest"))
        return false;
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(call->root, "input");
    if (input == NULL)
        return endpoint_refuse_missing(call, "input");
    bool is_input = cJSON_IsString(input) || (cJSON_IsArray(input) && input->child != NULL);
    if (!is_input || result_count(input) > INPUTS_MAX)
        return endpoint_refuse(call->answer, 400,
                               "Invalid type for 'input': expected a string, an array of 1 to 1024 "
                               "strings, or an array of objects.",
                               "invalid_type", "input");
    const cJSON *one;
    if (cJSON_IsString(input) || cJSON_IsObject(input->child)) {
        call->tokens = token_estimate_content(input);
    } else {
        cJSON_ArrayForEach (one, input) {
            call->tokens += token_estimate_content(one);
        }
    }
    return true;
}

static cJSON *result_object(const cJSON *input)
{
    bool has_parts = cJSON_IsArray(input) && cJSON_IsObject(input->child);
    cJSON *result = cJSON_CreateObject();
    cJSON_AddFalseToObject(result, "flagged");
    cJSON *flags = cJSON_AddObjectToObject(result, "categories");
    cJSON *scores = cJSON_AddObjectToObject(result, "category_scores");
    cJSON *types = cJSON_AddObjectToObject(result, "category_applied_input_types");
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
        cJSON_AddFalseToObject(flags, categories[i].name);
        cJSON_AddNumberToObject(scores, categories[i].name, 0.000001);
        cJSON *applied = cJSON_AddArrayToObject(types, categories[i].name);
        cJSON_AddItemToArray(applied, cJSON_CreateString("text"));
        if (has_parts && categories[i].has_images)
            cJSON_AddItemToArray(applied, cJSON_CreateString("image"));
    }
    return result;
}

void endpoint_moderations_make(struct endpoint_call *call)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(call->root, "input");
    char id[ENDPOINT_OBJECT_ID_SIZE];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "id", endpoint_object_id(id, "modr-", call->bits, 0));
    cJSON_AddStringToObject(root, "model", call->model);
    cJSON *results = cJSON_AddArrayToObject(root, "results");
    for (int i = 0; i < result_count(input); i++)
        cJSON_AddItemToArray(results, result_object(input));
    endpoint_answer_json(call, root);
}
