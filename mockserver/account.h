/* account: whose a request is: of which organization and project, by its key and its headers.
 *
 *     key of "accounts"        their organization and project; another in the headers is refused
 *     OpenAI-Organization, OpenAI-Project    those, for any other key
 *     nothing of these         the server's own: org-toomany, proj_toomany
 */
#ifndef TOOMANY_MOCKSERVER_ACCOUNT_H
#define TOOMANY_MOCKSERVER_ACCOUNT_H

#include "mockserver/config.h"
#include "mockserver/limit_rules.h"

#include <stdbool.h>

struct account {
    const char *organization;
    const char *project;
};

enum account_match { ACCOUNT_FOUND, ACCOUNT_OTHER_ORGANIZATION, ACCOUNT_OTHER_PROJECT };

/* Letters, digits, '-' and '_': what may stand in a header and in a message. */
bool account_name_is_good(const char *name);

/* `organization` and `project` are what the headers say, or NULL. The account's names are these, or
 * the set-up's, and last no longer. */
enum account_match account_find(const struct config *config, const char *key,
                                const char *organization, const char *project,
                                struct account *account);

/* Whether the set-up says whose this key is. */
bool account_has_key(const struct config *config, const char *key);

enum { ACCOUNT_OWNER_SIZE = 2 * CONFIG_ACCOUNT_NAME_MAX + 4 };

/* Whose pools a request draws from: the key's, the organization's or the project's. Returns `key`,
 * or what it has written to `text`. */
const char *account_owner(const struct account *account, enum limit_scope scope, const char *key,
                          char text[ACCOUNT_OWNER_SIZE]);

#endif
