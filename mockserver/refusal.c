#include "mockserver/refusal.h"

#include "base/duration.h"
#include "mockserver/openai_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AZURE_API_VERSION "2024-02-15-preview"

static const char *azure_operation(const char *path)
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

static void answer_azure(struct answer *answer, const struct quota_answer *refusal,
                         const char *path)
{
    /* Where no wait helps Azure says a day (vanderschaarlab/climb#1). */
    int64_t wait_s = refusal->wait_ns >= 0 ? (refusal->wait_ns + NS_PER_S - 1) / NS_PER_S
                                           : NS_PER_DAY / NS_PER_S;
    const char *kind = quota_dimension_counts_tokens(refusal->stopped_by) ? "token" : "call";
    char *body = NULL;
    if (asprintf(&body,
                 "{\"error\":{\"code\":\"429\",\"message\": \"Requests to the %s Operation under "
                 "Azure OpenAI API version " AZURE_API_VERSION " have exceeded %s rate limit of "
                 "your current OpenAI S0 pricing tier. Please retry after %" PRId64
                 " seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to "
                 "further increase the default rate limit.\"}}",
                 azure_operation(path), kind, wait_s) < 0)
        body = NULL;
    answer_init(answer, 429);
    snprintf(answer->code, sizeof answer->code, "429");
    answer_body(answer, body);
}

void refusal_answer(struct answer *answer, const struct limit_rules *rules,
                    const struct quota_answer *refusal, const char *model, const char *path)
{
    switch (rules->dialect) {
    case DIALECT_AZURE:
        answer_azure(answer, refusal, path);
        break;
    case DIALECT_EMPTY:
    case DIALECT_PLAIN_TEXT:
        answer_init(answer, 429);
        answer_header(answer, "content-type", "text/plain; charset=utf-8");
        answer_body(answer, strdup(rules->dialect == DIALECT_EMPTY ? "" : "Too Many Requests"));
        break;
    default:
        openai_error_answer_refusal(answer, refusal, model, rules->scope == LIMIT_PER_PROJECT);
    }
    if (refusal->wait_ns >= 0 && rules->headers == LIMIT_HEADERS_FULL)
        answer_retry_after(answer, refusal->wait_ns, true);
}
