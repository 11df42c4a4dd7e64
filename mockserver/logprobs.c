#include "mockserver/logprobs.h"

#include "base/digest.h"
#include "mockserver/endpoint.h"
#include "mockserver/token_estimate.h"

#include <stdlib.h>
#include <string.h>
#include <unistr.h>

bool logprobs_read(struct endpoint_call *call)
{
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(call->root, "logprobs");
    int64_t top = -1;
    if (wanted != NULL && !cJSON_IsBool(wanted) && !cJSON_IsNull(wanted))
        return endpoint_refuse_type(call, "logprobs", "a boolean", wanted);
    if (!endpoint_read_whole(call, "top_logprobs", 0, LOGPROBS_TOP_MAX, &top))
        return false;
    /* In the words of IBM/unitxt#1193. */
    return top < 1 || cJSON_IsTrue(wanted) ||
           endpoint_refuse(call->answer, 400,
                           "The 'top_logprobs' parameter is only allowed when 'logprobs' is "
                           "enabled.",
                           NULL, "top_logprobs");
}

size_t logprobs_length(const char *text, int64_t times)
{
    return token_estimate_bytes(text, LOGPROBS_TOKENS_MAX / (times > 0 ? times : 1));
}

/* Never 0, which would be certainty. */
static double logprob_of(const char *token)
{
    enum { STEPS = 1000 };
    uint64_t step = digest_bytes(token, strlen(token)) % (STEPS - 1);
    return -(double)(step + 1) / STEPS;
}

/* The token at the beginning of these bytes, to be freed; NULL at their end. */
static char *next_token(const char *text, size_t length)
{
    size_t bytes = token_estimate_bytes(text, 1);
    return length > 0 ? strndup(text, bytes < length ? bytes : length) : NULL;
}

/* ---- chats ---- */

static cJSON *entry_of(const char *token)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "token", token);
    cJSON_AddNumberToObject(entry, "logprob", logprob_of(token));
    cJSON *bytes = cJSON_AddArrayToObject(entry, "bytes");
    for (const char *byte = token; *byte != '\0'; byte++)
        cJSON_AddItemToArray(bytes, cJSON_CreateNumber((unsigned char)*byte));
    return entry;
}

static cJSON *content_of(const char *text, size_t length, bool has_top)
{
    cJSON *content = cJSON_CreateArray();
    char *token;
    while ((token = next_token(text, length)) != NULL) {
        cJSON *entry = entry_of(token);
        cJSON *top = cJSON_AddArrayToObject(entry, "top_logprobs");
        if (has_top)
            cJSON_AddItemToArray(top, entry_of(token));
        cJSON_AddItemToArray(content, entry);
        text += strlen(token);
        length -= strlen(token);
        free(token);
    }
    return content;
}

cJSON *logprobs_chat(const char *text, size_t length, bool has_top)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddItemToObject(root, "content", content_of(text, length, has_top));
    cJSON_AddNullToObject(root, "refusal");
    return root;
}

/* ---- completions ---- */

static cJSON *top_of(const char *token, bool has_top)
{
    cJSON *top = cJSON_CreateObject();
    if (has_top)
        cJSON_AddNumberToObject(top, token, logprob_of(token));
    return top;
}

cJSON *logprobs_completion(const char *text, size_t begin, size_t length, bool has_top)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *tokens = cJSON_AddArrayToObject(root, "tokens");
    cJSON *logprobs = cJSON_AddArrayToObject(root, "token_logprobs");
    cJSON *tops = cJSON_AddArrayToObject(root, "top_logprobs");
    cJSON *offsets = cJSON_AddArrayToObject(root, "text_offset");
    size_t offset = u8_mbsnlen((const uint8_t *)text, begin);
    char *token;
    text += begin;
    while ((token = next_token(text, length)) != NULL) {
        cJSON_AddItemToArray(tokens, cJSON_CreateString(token));
        cJSON_AddItemToArray(logprobs, cJSON_CreateNumber(logprob_of(token)));
        cJSON_AddItemToArray(tops, top_of(token, has_top));
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)offset));
        offset += u8_mbsnlen((const uint8_t *)token, strlen(token));
        text += strlen(token);
        length -= strlen(token);
        free(token);
    }
    return root;
}
