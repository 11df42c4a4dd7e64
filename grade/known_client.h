/* known_client: the retry rules of clients that many programs use, each with its source.
 *
 * To add one, add its row to the table in known_client.c.
 */
#ifndef TOOMANY_GRADE_KNOWN_CLIENT_H
#define TOOMANY_GRADE_KNOWN_CLIENT_H

#include "grade/rule.h"

struct known_client {
    const char *name;
    const char *rule;   /* in words: "0.5 s, doubled, at most 8 s, minus up to 25 %" */
    const char *source; /* where the rule stands: project, version, file */
};

#endif
