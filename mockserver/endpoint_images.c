/* POST /v1/images/generations: one grey pixel for each image. */
#include "mockserver/api.h"
#include "mockserver/endpoint.h"

#include <stdio.h>
#include <string.h>

enum { IMAGES_MAX = 10, TOKENS_OF_AN_IMAGE = 1056 };

/* A PNG of 1x1. */
#define PIXEL                                                                                      \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="

static const char *text_of(const struct endpoint_call *call, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->root, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

bool endpoint_images_read(struct endpoint_call *call)
{
    if (!endpoint_read_body(call, "dall-e-2"))
        return false;
    const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(call->root, "prompt");
    if (prompt == NULL)
        return endpoint_refuse_missing(call, "prompt");
    if (!cJSON_IsString(prompt) || prompt->valuestring[0] == '\0')
        return endpoint_refuse(call->answer, 400,
                               "Invalid type for 'prompt': expected a string that is not empty.",
                               "invalid_type", "prompt");
    bool is_streamed = false;
    if (!endpoint_read_flag(call, "stream", &is_streamed))
        return false;
    if (is_streamed)
        return endpoint_refuse(call->answer, 400,
                               "Unsupported value: 'stream' does not support true with this mock "
                               "server. Send the request without 'stream'.",
                               "unsupported_value", "stream");
    call->images = 1;
    call->tokens = endpoint_text_tokens(call, prompt->valuestring);
    if (!endpoint_read_whole(call, "n", 1, IMAGES_MAX, &call->images))
        return false;
    return call->images == 1 || strcmp(call->model, "dall-e-3") != 0 ||
           endpoint_refuse(call->answer, 400, "You must provide n=1 for this model.", NULL, NULL);
}

/* dall-e gives addresses unless base64 is asked for, gpt-image always base64. Nothing is there. */
static void add_image(const struct endpoint_call *call, cJSON *data, unsigned int index)
{
    cJSON *image = cJSON_CreateObject();
    cJSON_AddItemToArray(data, image);
    bool is_dalle = strncmp(call->model, "dall-e", 6) == 0;
    if (strcmp(call->model, "dall-e-3") == 0)
        cJSON_AddStringToObject(image, "revised_prompt", text_of(call, "prompt"));
    if (!is_dalle || strcmp(text_of(call, "response_format"), "b64_json") == 0) {
        cJSON_AddStringToObject(image, "b64_json", PIXEL);
        return;
    }
    char id[ENDPOINT_OBJECT_ID_SIZE];
    char address[128];
    snprintf(address, sizeof address, "https://images.example.com/%s.png",
             endpoint_object_id(id, "img-", call->bits, index));
    cJSON_AddStringToObject(image, "url", address);
}

static void add_usage(const struct endpoint_call *call, cJSON *root)
{
    double output = (double)(call->images * TOKENS_OF_AN_IMAGE);
    double input = (double)endpoint_prompt_tokens(call);
    cJSON *usage = cJSON_AddObjectToObject(root, "usage");
    cJSON_AddNumberToObject(usage, "input_tokens", input);
    cJSON *details = cJSON_AddObjectToObject(usage, "input_tokens_details");
    cJSON_AddNumberToObject(details, "image_tokens", 0);
    cJSON_AddNumberToObject(details, "text_tokens", input);
    cJSON_AddNumberToObject(usage, "output_tokens", output);
    cJSON_AddNumberToObject(usage, "total_tokens", input + output);
}

void endpoint_images_make(struct endpoint_call *call)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "created", (double)call->created_s);
    if (strncmp(call->model, "dall-e", 6) != 0) {
        cJSON_AddStringToObject(root, "background", "opaque");
        cJSON_AddStringToObject(root, "output_format", "png");
        cJSON_AddStringToObject(root, "quality", "medium");
        cJSON_AddStringToObject(root, "size", "1024x1024");
        add_usage(call, root);
    }
    cJSON *data = cJSON_AddArrayToObject(root, "data");
    for (int64_t i = 0; i < call->images; i++)
        add_image(call, data, (unsigned int)i);
    endpoint_answer_json(call, root);
}
