/* refusal: the 429 of a limit, in the dialect of the server's rules.
 *
 *     openai      OpenAI's body for the dimension, with its numbers; retry-after in seconds and ms
 *     azure       "Requests to the ChatCompletions_Create Operation ... Please retry after 33
 *                 seconds."; code "429" (openai-node#1108), the wait in azure's headers only
 *     empty       no body
 *     plain_text  "Too Many Requests"
 */
#ifndef TOOMANY_MOCKSERVER_REFUSAL_H
#define TOOMANY_MOCKSERVER_REFUSAL_H

#include "mockserver/answer.h"
#include "mockserver/limit_rules.h"
#include "mockserver/quota.h"

/* Makes the answer (which is initialised by this). `path` is that of the request. */
void refusal_answer(struct answer *answer, const struct limit_rules *rules,
                    const struct quota_answer *refusal, const char *model, const char *path);

#endif
