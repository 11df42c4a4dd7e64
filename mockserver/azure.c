#include "mockserver/azure.h"

#include "base/duration.h"
#include "base/json_text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a request without a version is said to be: the one of openai-node#1108. */
#define VERSION_OTHERWISE "2024-02-15-preview"

/* The rest of `path` after `prefix`, or NULL. */
static const char *rest_after(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

bool azure_route(const char *path, struct azure_route *route)
{
    *route = (struct azure_route){.needs_version = true};
    const char *rest = rest_after(path, "/openai/v1/");
    if (rest != NULL) {
        route->needs_version = false;
    } else if ((rest = rest_after(path, "/openai/deployments/")) != NULL) {
        size_t length = strcspn(rest, "/");
        if (length == 0 || length >= sizeof route->deployment || rest[length] == '\0')
            return false;
        memcpy(route->deployment, rest, length);
        json_make_utf8(route->deployment); /* any bytes may come */
        rest += length + 1;
    } else if ((rest = rest_after(path, "/openai/")) == NULL) {
        return false;
    }
    int length = snprintf(route->path, sizeof route->path, "/v1/%s", rest);
    return length > 0 && (size_t)length < sizeof route->path;
}

/* Bodies to the byte: some of Azure's have a blank before the message, some have none. */
static void answer_error(struct answer *answer, int status, const char *code, const char *blank,
                         const char *message)
{
    answer_init(answer, status);
    snprintf(answer->code, sizeof answer->code, "%s", code);
    cJSON *item = cJSON_CreateString(message);
    char *text = cJSON_PrintUnformatted(item);
    char *body = NULL;
    if (text != NULL)
        json_make_utf8(text);
    if (text == NULL ||
        asprintf(&body, "{\"error\":{\"code\":\"%s\",\"message\":%s%s}}", code, blank, text) < 0)
        body = NULL;
    answer_body(answer, body);
    free(text);
    cJSON_Delete(item);
}

/* SciSharp/BotSharp#386 */
void azure_answer_key(struct answer *answer)
{
    answer_error(answer, 401, "401", "",
                 "Access denied due to invalid subscription key or wrong API endpoint. Make "
                 "sure to provide a valid key for an active subscription and use a correct "
                 "regional API endpoint for your resource.");
}

/* ThinkInAIXYZ/deepchat#262: also where only the version is missing
 * (MicrosoftDocs/azure-docs#114602 asks why not 400). */
void azure_answer_path(struct answer *answer)
{
    answer_error(answer, 404, "404", " ", "Resource not found");
}

/* As recorded by several projects that test against it. */
void azure_answer_deployment(struct answer *answer)
{
    answer_error(answer, 404, "DeploymentNotFound", "",
                 "The API deployment for this resource does not exist. If you created the "
                 "deployment within the last 5 minutes, please wait a moment and try again.");
}

static const char *operation_of(const char *path)
{
    static const struct {
        const char *end;
        const char *operation;
    } operations[] = {
        {"/chat/completions", "ChatCompletions_Create"},
        {"/completions", "Completions_Create"},
        {"/embeddings", "Embeddings_Create"},
        {"/images/generations", "ImageGenerations_Create"},
        {"/audio/speech", "Speech_Create"},
        {"/responses", "Responses_Create"},
    };
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        size_t end_length = strlen(operations[i].end);
        if (length >= end_length && strcmp(path + length - end_length, operations[i].end) == 0)
            return operations[i].operation;
    }
    return "ChatCompletions_Create";
}

void azure_answer_refusal(struct answer *answer, const struct quota_answer *refusal,
                          enum azure_code code, const char *model, const char *path,
                          const char *api_version)
{
    /* Where no wait helps Azure says a day (vanderschaarlab/climb#1). */
    int64_t wait_s = refusal->wait_ns >= 0 ? (refusal->wait_ns + NS_PER_S - 1) / NS_PER_S
                                           : NS_PER_DAY / NS_PER_S;
    const char *kind = quota_dimension_counts_tokens(refusal->stopped_by) ? "token" : "call";
    const char *operation = operation_of(path);
    bool has_version = api_version != NULL && api_version[0] != '\0';
    const char *version = has_version ? api_version : VERSION_OTHERWISE;
    char message[1024];
    if (code == AZURE_CODE_429) {
        /* openai-node#1108 */
        snprintf(message, sizeof message,
                 "Requests to the %s Operation under Azure OpenAI API version %.40s have exceeded "
                 "%s rate limit of your current OpenAI S0 pricing tier. Please retry after %" PRId64
                 " seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to "
                 "further increase the default rate limit.",
                 operation, version, kind, wait_s);
        answer_error(answer, 429, "429", " ", message);
        return;
    }
    /* Lapis0x0/obsidian-yolo#297; one second is said without the s. */
    snprintf(message, sizeof message,
             "Your requests to %s for %s in " AZURE_REGION " have exceeded the %s rate limit for "
             "your current AIServices S0 pricing tier. This request was for %s under Azure OpenAI "
             "API version %.40s. Please retry after %" PRId64 " second%s. To increase your default "
             "rate limit, visit: https://aka.ms/oai/quotaincrease.",
             model, model, kind, operation, version, wait_s, wait_s == 1 ? "" : "s");
    answer_error(answer, 429, "RateLimitReached", " ", message);
}
