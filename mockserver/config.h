/* config: what a server is set up to do; the `server` object of a scenario, or the whole of a
 * file for `toomany serve --config`.
 *
 *     {
 *       "quotas": {"ft:gpt-4o-mini:acme::7p4lURel": {"requests_per_minute": 60}},
 *       "models": {"ft:gpt-4o-mini:acme::7p4lURel": {"latency": "200ms"}},
 *       "script": [{"answer": {"error": "rate_limit_exceeded"}, "times": 2}],
 *       "changes": [{"after_requests": 3, "quotas": {"*": {"requests_total": 100}}}]
 *     }
 *
 * scenarios/README.md has the whole language, scenarios/scenario.schema.json its schema.
 */
#ifndef TOOMANY_MOCKSERVER_CONFIG_H
#define TOOMANY_MOCKSERVER_CONFIG_H

#include "base/distribution.h"
#include "base/json.h"
#include "mockserver/event_stream.h"
#include "mockserver/limit_rules.h"
#include "mockserver/quota.h"
#include "mockserver/script.h"

enum {
    CONFIG_MODELS_MAX = 1000,
    CONFIG_SHARED_BY_MAX = 100,
    CONFIG_CHANGES_MAX = 100,
    CONFIG_KEYS_MAX = 100,
    CONFIG_ACCOUNT_NAME_MAX = 63, /* of an organization or project: OpenAI's have 28 and 29 */
    CONFIG_MODEL_NAME_MAX = 95,   /* POOLS_MODEL_SIZE without its NUL */
};

#define CONFIG_BATCH_DURATION_NS (10 * INT64_C(1000000000)) /* by default */
#define CONFIG_LATENCY_NS_MAX (24 * INT64_C(3600000000000))

/* Limits of a model, of all with a prefix ("*", "ft:*"), or of several models that share them. */
struct config_quota {
    char *model; /* or the name under which they are shared */
    struct quota_limits
        limits;       /* enforcement QUOTA_ENFORCEMENT_COUNT: that of the server's rules */
    char **shared_by; /* the models, or NULL */
    size_t shared_by_count;
};

struct config_quotas {
    struct config_quota *items;
    size_t count;
};

struct config_model {
    char *id;
    bool has_latency; /* else that of the server */
    struct distribution latency;
    char *content;    /* NULL: as for all */
    struct pace pace; /* -1: that of the server */
};

/* New quotas while the server runs, after so many requests or at a time. */
struct config_change {
    int64_t after_requests; /* 0: by time */
    int64_t at_ns;
    struct config_quotas quotas;
};

/* Whose a key is. */
struct config_account {
    char *key;
    char *organization;
    char *project; /* NULL: the server's own */
};

struct config {
    struct limit_rules rules;
    struct config_quotas quotas;
    struct config_model *models;
    size_t model_count;
    bool only_listed_models;
    struct distribution latency;         /* of answers of the model; ns */
    struct distribution refusal_latency; /* of refusals by a limit; ns */
    struct script concurrency_refusal;   /* of too many in flight; without a step: OpenAI's words */
    struct pace pace;
    char **api_keys; /* NULL: any key is good */
    size_t api_key_count;
    struct config_account *accounts; /* their keys are good, too */
    size_t account_count;
    int64_t batch_duration_ns; /* from a batch's creation to its end */
    struct script script;
    struct config_change *changes;
    size_t change_count;
};

/* A server without limits and script. */
void config_init(struct config *config);
void config_free(struct config *config);

/* Reads the object at `pointer`. False with the error filled; config_free is then still due. */
bool config_read(struct config *config, const struct json_reader *reader, const cJSON *object,
                 const char *pointer);

/* One more key that is good. False when there are too many. */
bool config_add_api_key(struct config *config, const char *key, struct error *error);

/* Reads an object of quotas ({"MODEL": {"requests_per_minute": 60, ...}}). Dimensions that are
 * not named keep what *base says for the model (for PATCH), or are QUOTA_NOT_SAID when base is
 * NULL. A limit of null takes the limit away. An enforcement that is not named is the server's. */
bool config_quotas_read(struct config_quotas *quotas, const struct json_reader *reader,
                        const cJSON *object, const char *pointer,
                        struct quota_limits (*base)(void *owner, const char *model), void *owner);
void config_quotas_free(struct config_quotas *quotas);

/* Whether something in it is meant to answer 429: a step with that status, or a limit. */
bool config_can_throttle(const struct config *config);

#endif
