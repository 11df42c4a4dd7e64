/* limit_rules: how limits are counted and how a refusal looks; `rules` and `tier` of a server.
 *
 *     {"tier": "1", "rules": {"enforcement": "fixed_window", "max_tokens": "sum", "settle": true}}
 *
 * The defaults are what OpenAI documents or recorded traffic shows (scenarios/README.md).
 */
#ifndef TOOMANY_MOCKSERVER_LIMIT_RULES_H
#define TOOMANY_MOCKSERVER_LIMIT_RULES_H

#include "base/json.h"
#include "mockserver/azure.h"
#include "mockserver/quota.h"
#include "mockserver/tier.h"

/* What max_tokens of a request adds to its estimate. OpenAI's pages say the maximum of both;
 * recorded requests of 2025 were charged as if it was not there; one of 2025-01 as the sum. */
enum token_rule { TOKENS_IGNORE_MAX, TOKENS_MAXIMUM, TOKENS_SUM };

/* Who has a pool: each key, each organization, or each project of one, which messages then name. */
enum limit_scope { LIMIT_PER_KEY, LIMIT_PER_ORGANIZATION, LIMIT_PER_PROJECT };

/* What is told of the pool in headers, with every answer. */
enum limit_headers { LIMIT_HEADERS_FULL, LIMIT_HEADERS_NONE, LIMIT_HEADERS_AZURE };

/* How a refusal is said: as OpenAI, as Azure OpenAI, or as minimal compatible servers do: without a
 * body, or with one line of text. */
enum limit_dialect { DIALECT_OPENAI, DIALECT_AZURE, DIALECT_EMPTY, DIALECT_PLAIN_TEXT };

struct limit_rules {
    enum quota_enforcement enforcement; /* of pools that do not say their own */
    bool refused_count;
    enum token_rule max_tokens;
    bool settles; /* charges what was really used, once it is known */
    enum limit_scope scope;
    enum limit_headers headers;
    enum limit_dialect dialect;
    enum azure_code azure_code; /* of a refusal in that dialect */
    const struct tier *tier;    /* NULL: none */
};

void limit_rules_init(struct limit_rules *rules);

/* Reads "rules" and "tier" of the object at `pointer`. False with the error filled. */
bool limit_rules_read(struct limit_rules *rules, const struct json_reader *reader,
                      const cJSON *object, const char *pointer);

/* What a request is charged whose text is estimated at `tokens`; tokens_max: its max_tokens, or -1
 * where it has none. */
int64_t limit_rules_tokens(const struct limit_rules *rules, int64_t tokens, int64_t tokens_max);

#endif
