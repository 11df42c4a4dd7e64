/* azure: how Azure OpenAI says what OpenAI says otherwise: its paths, errors and refusals.
 *
 *     POST /openai/deployments/mini/chat/completions?api-version=2024-10-21
 *         is POST /v1/chat/completions for the model "mini"
 *     POST /openai/v1/responses     is POST /v1/responses, without a version
 *     GET  /openai/batches?api-version=2024-10-21     is GET /v1/batches
 */
#ifndef TOOMANY_MOCKSERVER_AZURE_H
#define TOOMANY_MOCKSERVER_AZURE_H

#include "mockserver/answer.h"
#include "mockserver/quota.h"

#include <stdbool.h>

enum { AZURE_PATH_SIZE = 256, AZURE_DEPLOYMENT_SIZE = 96 };

#define AZURE_REGION "East US 2"

struct azure_route {
    char path[AZURE_PATH_SIZE];             /* as OpenAI calls it */
    char deployment[AZURE_DEPLOYMENT_SIZE]; /* which stands for the model; "" in the body */
    bool needs_version;                     /* ?api-version= must be there */
};

/* False when `path` is none of Azure's. */
bool azure_route(const char *path, struct azure_route *route);

/* What Azure answers to a wrong key (401), to a path that it does not have or that has no version
 * (404), and to a deployment that there is none of (404). These initialise the answer. */
void azure_answer_key(struct answer *answer);
void azure_answer_path(struct answer *answer);
void azure_answer_deployment(struct answer *answer);

enum azure_code { AZURE_CODE_429, AZURE_CODE_RATE_LIMIT_REACHED };

/* The 429 of a limit. `path` and `api_version` ("" or NULL: none) are the request's. */
void azure_answer_refusal(struct answer *answer, const struct quota_answer *refusal,
                          enum azure_code code, const char *model, const char *path,
                          const char *api_version);

#endif
