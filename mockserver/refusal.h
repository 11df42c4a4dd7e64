/* refusal: the 429 of a limit, in the dialect of the server's rules.
 *
 *     openai      OpenAI's body for the dimension, with its numbers; retry-after in seconds and ms
 *     azure       Azure's (azure.h), the wait in its words and headers only
 *     empty       no body
 *     plain_text  "Too Many Requests"
 */
#ifndef TOOMANY_MOCKSERVER_REFUSAL_H
#define TOOMANY_MOCKSERVER_REFUSAL_H

#include "mockserver/answer.h"
#include "mockserver/limit_rules.h"
#include "mockserver/openai_error.h"
#include "mockserver/quota.h"

/* What a message says of the request. */
struct refusal_request {
    struct openai_names names;
    const char *path;
    const char *api_version; /* of the query, or NULL */
};

/* Makes the answer (which is initialised by this). */
void refusal_answer(struct answer *answer, const struct limit_rules *rules,
                    const struct quota_answer *refusal, const struct refusal_request *request);

#endif
