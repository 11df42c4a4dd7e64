/* rule_header: what a client makes of Retry-After, from runs in which it was sent. */
#ifndef TOOMANY_GRADE_RULE_HEADER_H
#define TOOMANY_GRADE_RULE_HEADER_H

#include "grade/rule.h"

/* Fills rule->header and header_most_ns; needs the rule that was found from the runs without the
 * header, against which it tells "honoured" from "happens to wait as long". */
void rule_header_find(struct rule *rule, const struct rule_observation observations[],
                      size_t count);

#endif
