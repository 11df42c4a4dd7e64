/* known_client: the retry rules of clients that many programs use, each with its source.
 *
 * To add one, add its row to the table in known_client.c.
 */
#ifndef TOOMANY_GRADE_KNOWN_CLIENT_H
#define TOOMANY_GRADE_KNOWN_CLIENT_H

#include "grade/rule_data.h"

/* Times in seconds, as their authors write them; 0: the rule has no such number. */
struct known_client {
    const char *name;
    const char *rule;   /* in words: "0.5 s, doubled, at most 8 s, minus up to 25 %" */
    const char *source; /* where the rule stands: project, commit, file */
    enum rule_family family;
    bool first_immediate;
    double base_s;
    double step_s;
    double factor;
    double cap_s;
    bool cap_is_last;
    double floor_s;
    double share_low; /* 1 and 1: no jitter */
    double share_high;
    double jitter_s;
    int attempts_max; /* by default; 0: none, or the user has to say */
    enum rule_header header;
    double header_most_s;
};

/* The rows in order; one without a name ends them. */
const struct known_client *known_client_table(void);

/* Fills rule->known and known_also with those whose rule the delays follow and fill, and whose way
 * with Retry-After is what was seen; those with the same number of attempts first. Jitter must
 * show: delays that are all alike match nobody who draws them. A client that does what a row says
 * is missed in one of a thousand cases. */
void known_client_find(struct rule *rule, const struct rule_data *data);

/* The row as a rule. */
struct rule known_client_rule(const struct known_client *client);

#endif
