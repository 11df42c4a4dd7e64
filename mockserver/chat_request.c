#include "mockserver/chat_request.h"

#include "base/json.h"
#include "mockserver/openai_error.h"

#include <stdio.h>
#include <string.h>
#include <unistr.h>

enum { TOKENS_PER_IMAGE = 765, TOKENS_PER_CHAT = 2, TOKENS_PER_MESSAGE = 1, CHARS_PER_TOKEN = 4 };

static bool refuse(struct answer *answer, const char *message, const char *code, const char *param)
{
    struct openai_error error = {
        .status = 400,
        .message = message,
        .type = "invalid_request_error",
        .code = code,
        .param = param,
    };
    openai_error_answer(answer, &error);
    return false;
}

static int64_t text_tokens(const char *text)
{
    return (int64_t)u8_mbsnlen((const uint8_t *)text, strlen(text)) / CHARS_PER_TOKEN;
}

static int64_t part_tokens(const cJSON *part)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(part, "text");
    if (cJSON_IsString(text))
        return text_tokens(text->valuestring);
    bool is_image = cJSON_HasObjectItem(part, "image_url") || cJSON_HasObjectItem(part, "file");
    return is_image ? TOKENS_PER_IMAGE : 0;
}

static int64_t message_tokens(const cJSON *message)
{
    int64_t tokens = TOKENS_PER_MESSAGE;
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    if (cJSON_IsString(content))
        tokens += text_tokens(content->valuestring);
    const cJSON *part;
    if (cJSON_IsArray(content)) {
        cJSON_ArrayForEach (part, content)
            tokens += part_tokens(part);
    }
    return tokens;
}

static bool read_members(struct chat_request *request, struct answer *answer)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(request->root, "model");
    if (!cJSON_IsString(model) || model->valuestring[0] == '\0')
        return refuse(answer, "you must provide a model parameter", NULL, NULL);
    if (strlen(model->valuestring) >= sizeof request->model)
        return refuse(answer, "Invalid value for 'model': the id is too long.", "invalid_value",
                      "model");
    snprintf(request->model, sizeof request->model, "%s", model->valuestring);

    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(request->root, "messages");
    if (messages == NULL)
        return refuse(answer, "Missing required parameter: 'messages'.",
                      "missing_required_parameter", "messages");
    if (!cJSON_IsArray(messages))
        return refuse(answer, "Invalid type for 'messages': expected an array of objects.",
                      "invalid_type", "messages");
    if (cJSON_GetArraySize(messages) == 0)
        return refuse(answer,
                      "Invalid 'messages': empty array. Expected an array with minimum length 1, "
                      "but got an empty array instead.",
                      "empty_array", "messages");
    request->tokens = TOKENS_PER_CHAT;
    const cJSON *message;
    cJSON_ArrayForEach (message, messages) {
        if (!cJSON_IsObject(message))
            return refuse(answer, "Invalid type for 'messages[]': expected an object.",
                          "invalid_type", "messages");
        request->tokens += message_tokens(message);
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request->root, "stream")))
        return refuse(answer,
                      "Unsupported value: 'stream' does not support true with this mock server. "
                      "Send the request without 'stream'.",
                      "unsupported_value", "stream");
    return true;
}

bool chat_request_read(struct chat_request *request, const char *body, size_t length,
                       struct answer *answer)
{
    *request = (struct chat_request){0};
    request->root = json_parse(body, length, "body", NULL);
    if (request->root == NULL || !cJSON_IsObject(request->root)) {
        chat_request_free(request);
        openai_error_answer_kind(answer, openai_error_find("invalid_request_error"), "", -1);
        return false;
    }
    if (!read_members(request, answer)) {
        chat_request_free(request);
        return false;
    }
    return true;
}

void chat_request_free(struct chat_request *request)
{
    cJSON_Delete(request->root);
    request->root = NULL;
}
