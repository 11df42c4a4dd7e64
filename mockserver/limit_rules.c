#include "mockserver/limit_rules.h"

#include <string.h>

void limit_rules_init(struct limit_rules *rules)
{
    *rules = (struct limit_rules){.refused_count = true};
}

static bool read_tier(struct limit_rules *rules, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    const char *name = NULL;
    if (!json_read_string(reader, object, pointer, "tier", &name))
        return false;
    if (name == NULL)
        return true;
    rules->tier = tier_find(name);
    if (rules->tier != NULL)
        return true;
    char place[JSON_POINTER_SIZE];
    return json_wrong(reader, json_pointer_member(place, pointer, "tier"),
                      cJSON_GetObjectItemCaseSensitive(object, "tier"), "one of " TIER_NAMES);
}

bool limit_rules_read(struct limit_rules *rules, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    static const char *const known[] = {"enforcement", "refused_requests_count",
                                        "max_tokens",  "settle",
                                        "per",         "headers",
                                        "dialect",     "azure_code",
                                        NULL};
    static const char *const max_tokens[] = {"ignored", "maximum", "sum", NULL};
    static const char *const scopes[] = {"key", "organization", "project", NULL};
    static const char *const headers[] = {"full", "none", "azure", NULL};
    static const char *const dialects[] = {"openai", "azure", "empty", "plain_text", NULL};
    static const char *const codes[] = {"429", "RateLimitReached", NULL};
    const cJSON *item = NULL;
    if (!read_tier(rules, reader, object, pointer) ||
        !json_read_object(reader, object, pointer, "rules", &item))
        return false;
    if (item == NULL)
        return true;
    char place[JSON_POINTER_SIZE];
    json_pointer_member(place, pointer, "rules");
    int enforcement = (int)rules->enforcement;
    int rule = (int)rules->max_tokens;
    int scope = (int)rules->scope;
    int dialect = (int)rules->dialect;
    int code = (int)rules->azure_code;
    bool is_read =
        json_known_members(reader, item, place, known) &&
        json_read_word(reader, item, place, "enforcement", quota_enforcement_names, &enforcement) &&
        json_read_bool(reader, item, place, "refused_requests_count", &rules->refused_count) &&
        json_read_word(reader, item, place, "max_tokens", max_tokens, &rule) &&
        json_read_bool(reader, item, place, "settle", &rules->settles) &&
        json_read_word(reader, item, place, "per", scopes, &scope) &&
        json_read_word(reader, item, place, "dialect", dialects, &dialect) &&
        json_read_word(reader, item, place, "azure_code", codes, &code);
    /* A server that speaks another dialect has its headers, too, unless it says otherwise. */
    int profile = dialect == DIALECT_OPENAI  ? (int)rules->headers
                  : dialect == DIALECT_AZURE ? LIMIT_HEADERS_AZURE
                                             : LIMIT_HEADERS_NONE;
    if (!is_read || !json_read_word(reader, item, place, "headers", headers, &profile))
        return false;
    rules->enforcement = (enum quota_enforcement)enforcement;
    rules->max_tokens = (enum token_rule)rule;
    rules->scope = (enum limit_scope)scope;
    rules->headers = (enum limit_headers)profile;
    rules->dialect = (enum limit_dialect)dialect;
    rules->azure_code = (enum azure_code)code;
    return true;
}

int64_t limit_rules_tokens(const struct limit_rules *rules, int64_t tokens, int64_t tokens_max)
{
    if (rules->max_tokens == TOKENS_IGNORE_MAX || tokens_max <= 0)
        return tokens;
    /* No real limit is near it, and sums must not overflow. */
    if (tokens_max > QUOTA_LIMIT_MAX)
        tokens_max = QUOTA_LIMIT_MAX;
    if (rules->max_tokens == TOKENS_SUM)
        return tokens + tokens_max;
    return tokens > tokens_max ? tokens : tokens_max;
}
