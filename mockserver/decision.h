/* decision: one request on its way through the API, in three steps.
 *
 *     decision_read      whose it is, what it asks for, what is wrong with it
 *     decision_choose    what becomes of it: its step of the script, its part of the quotas
 *     decision_answer    the answer
 *
 * Only the second touches what requests share, so threads take turns in that alone. It is kept
 * short: what can be read before or written after is. An endpoint that asks no model is answered in
 * it.
 *
 * The order of decisions: a browser's question (204), key and organization (401), path and method
 * (404, 405), body (400), model (404), script, quotas (429), model (200). A request that OpenAI
 * would reject as malformed uses up neither a step of the script nor quota; in front of another
 * server it is left to that one.
 *
 * Deterministic: the same config, seed, requests and times give the same answers to the byte.
 */
#ifndef TOOMANY_MOCKSERVER_DECISION_H
#define TOOMANY_MOCKSERVER_DECISION_H

#include "mockserver/account.h"
#include "mockserver/api.h"
#include "mockserver/azure.h"
#include "mockserver/endpoint.h"
#include "mockserver/ratelimit_headers.h"

/* What becomes of a request. The first two are only what has been read; all others are final. */
enum decision_course {
    DECISION_MODEL_CALL, /* it asks a model */
    DECISION_PLAIN_CALL, /* it looks something up, or stores it */
    DECISION_ANSWERED,   /* the answer is there */
    DECISION_FORWARDED,  /* somebody else gives it */
    DECISION_SERVED,     /* the endpoint makes it */
    DECISION_THROTTLED,  /* a limit has refused it */
    DECISION_SCRIPTED,   /* a step of the script says it */
};

struct decision {
    struct api *api;
    const struct api_request *request;
    struct journal_entry *entry;
    struct api_outcome *outcome;
    const char *key;
    const char *owner; /* of the pools it draws from */
    const char *path;  /* as OpenAI calls it */
    const struct endpoint *endpoint;
    struct account account;
    struct openai_names names;
    const char *api_version; /* of Azure's query, or NULL */
    enum decision_course course;

    /* Chosen. */
    int64_t now_ns;
    int64_t wall_ns;
    const struct script_step *step; /* that is played, or that lets it be served; or NULL */
    bool plays_fault;               /* that of the step, on the answer */
    bool tells_quota;               /* then quota and told are set */
    struct quota_answer quota;
    struct ratelimit_told_all told;
    struct api_request_id request_id;

    /* Not zeroed. */
    char basic_key[API_BASIC_KEY_SIZE];
    char owner_text[ACCOUNT_OWNER_SIZE];
    struct azure_route route;
    struct endpoint_call call;
};

/* `entry` and `outcome` are filled; what `outcome` held before is not freed. All four must stay
 * until decision_free(). */
void decision_read(struct decision *decision, struct api *api, const struct api_request *request,
                   struct journal_entry *entry, struct api_outcome *outcome);

/* Why the server refuses a request that is over one of its bounds. */
struct decision_refusal {
    int status;
    const char *message;
    const char *code;
};

/* The same for a request that is refused before it is read. */
void decision_refuse(struct decision *decision, struct api *api,
                     const struct decision_refusal *refusal, struct journal_entry *entry,
                     struct api_outcome *outcome);

/* `wall_ns` is now_ns as Unix time. */
void decision_choose(struct decision *decision, int64_t now_ns, int64_t wall_ns);

void decision_answer(struct decision *decision);

void decision_free(struct decision *decision);

#endif
