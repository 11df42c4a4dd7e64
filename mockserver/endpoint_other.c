/* What only the server behind knows (serve --upstream): endpoints, and requests that this server
 * would refuse. A POST that names a model, in JSON or in a form, asks that model, and takes a
 * request of its limits. */
#include "base/json_text.h"
#include "mockserver/api.h"
#include "mockserver/endpoint.h"
#include "mockserver/multipart.h"
#include "mockserver/token_estimate.h"

#include <stdio.h>
#include <string.h>

/* Of a longer name, such as a path, the beginning. */
static void take_model(struct endpoint_call *call, const char *text, size_t length)
{
    if (memchr(text, '\0', length) != NULL)
        return;
    size_t taken = length < sizeof call->model ? length : sizeof call->model - 1;
    memcpy(call->model, text, taken);
    call->model[taken] = '\0';
    json_make_utf8(call->model);
}

static void read_form(struct endpoint_call *call)
{
    const struct api_request *request = call->request;
    struct multipart reader;
    struct multipart_part part;
    if (!multipart_start(&reader, api_request_header(request, "content-type"), request->body,
                         request->body_length))
        return;
    while (multipart_next(&reader, &part)) {
        if (strcmp(part.name, "model") == 0)
            take_model(call, part.data, part.length);
    }
}

/* Words for the model stand in one of these, wherever they are a text, or in messages. */
static void read_json(struct endpoint_call *call)
{
    static const char *const texts[] = {"input", "prompt", "query", NULL};
    call->root = json_parse(call->request->body, call->request->body_length, "body", NULL);
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->root, "model"));
    if (model != NULL)
        take_model(call, model, strlen(model));
    call->is_streamed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->root, "stream"));
    for (size_t i = 0; texts[i] != NULL; i++) {
        const char *text =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->root, texts[i]));
        if (text != NULL)
            call->tokens += token_estimate_text(text);
    }
    const cJSON *message;
    cJSON_ArrayForEach (message, cJSON_GetObjectItemCaseSensitive(call->root, "messages")) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
        call->tokens += token_estimate_content(content);
    }
}

bool endpoint_other_read(struct endpoint_call *call)
{
    if (strcmp(call->request->method, "POST") != 0)
        return false;
    if (call->request->body_length > 0 && call->request->body[0] == '{')
        read_json(call);
    else
        read_form(call);
    if (call->deployment != NULL && call->deployment[0] != '\0')
        take_model(call, call->deployment, strlen(call->deployment));
    return call->model[0] != '\0';
}

/* What a fault is played on, or a script says. */
void endpoint_other_make(struct endpoint_call *call)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "answer");
    cJSON_AddStringToObject(root, "text", call->content != NULL ? call->content : "");
    endpoint_answer_json(call, root);
}
