#include "mockserver/account.h"

#include "mockserver/openai_error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool account_name_is_good(const char *name)
{
    size_t length = 0;
    for (; name[length] != '\0'; length++) {
        if (!isalnum((unsigned char)name[length]) && name[length] != '-' && name[length] != '_')
            return false;
    }
    return length > 0 && length <= CONFIG_ACCOUNT_NAME_MAX;
}

static const struct config_account *find(const struct config *config, const char *key)
{
    for (size_t i = 0; i < config->account_count; i++) {
        if (strcmp(config->accounts[i].key, key) == 0)
            return &config->accounts[i];
    }
    return NULL;
}

bool account_has_key(const struct config *config, const char *key)
{
    return find(config, key) != NULL;
}

/* The name that the set-up gives the key, or the headers, or the server's own. False when headers
 * name another than the set-up does, or what can be no name. */
static bool choose(const char *set_up, const char *header, const char *own, const char **name)
{
    bool has_header = header != NULL && header[0] != '\0';
    const char *chosen = set_up != NULL ? set_up : has_header ? header : own;
    *name = chosen == own || account_name_is_good(chosen) ? chosen : own;
    return !has_header || strcmp(*name, header) == 0;
}

enum account_match account_find(const struct config *config, const char *key,
                                const char *organization, const char *project,
                                struct account *account)
{
    const struct config_account *set_up = find(config, key);
    bool is_organization = choose(set_up != NULL ? set_up->organization : NULL, organization,
                                  OPENAI_ORGANIZATION, &account->organization);
    bool is_project =
        choose(set_up != NULL ? set_up->project : NULL, project, OPENAI_PROJECT, &account->project);
    if (!is_organization)
        return ACCOUNT_OTHER_ORGANIZATION;
    return is_project ? ACCOUNT_FOUND : ACCOUNT_OTHER_PROJECT;
}

const char *account_owner(const struct account *account, enum limit_scope scope, const char *key,
                          char text[ACCOUNT_OWNER_SIZE])
{
    if (scope == LIMIT_PER_KEY)
        return key;
    if (scope == LIMIT_PER_ORGANIZATION)
        return account->organization;
    snprintf(text, ACCOUNT_OWNER_SIZE, "%s %s", account->organization, account->project);
    return text;
}
