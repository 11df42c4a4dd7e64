#include "mockserver/refusal.h"

#include "mockserver/azure.h"

#include <stdlib.h>
#include <string.h>

void refusal_answer(struct answer *answer, const struct limit_rules *rules,
                    const struct quota_answer *refusal, const struct refusal_request *request)
{
    switch (rules->dialect) {
    case DIALECT_AZURE:
        azure_answer_refusal(answer, refusal, rules->azure_code, request->names.model,
                             request->path, request->api_version);
        break;
    case DIALECT_EMPTY:
    case DIALECT_PLAIN_TEXT:
        answer_init(answer, 429);
        answer_header(answer, "content-type", "text/plain; charset=utf-8");
        answer_body(answer, strdup(rules->dialect == DIALECT_EMPTY ? "" : "Too Many Requests"));
        break;
    default:
        openai_error_answer_refusal(answer, refusal, &request->names,
                                    rules->scope == LIMIT_PER_PROJECT);
    }
    if (refusal->wait_ns >= 0 && rules->headers == LIMIT_HEADERS_FULL)
        answer_retry_after(answer, refusal->wait_ns, true);
}
