/* observe: the delays of a grade's starts, as rule.h wants them. */
#ifndef TOOMANY_GRADE_OBSERVE_H
#define TOOMANY_GRADE_OBSERVE_H

#include "grade/grade.h"

enum { GRADE_RULE_SENTENCE_SIZE = 2 * RULE_SENTENCE_SIZE + 40 };

/* Fills grade->rule from the starts that were refused again and again, and from those that were
 * asked to wait; where a loop is around an SDK's own retries, it is the SDK's, and
 * grade->loop_rule the loop's. grade->has_rule stays false where there was none. */
void grade_observe(struct grade *grade);

/* The rule in one sentence, and that of the loop around it where there is one. Returns text. */
const char *grade_rule_sentence(const struct grade *grade, char text[GRADE_RULE_SENTENCE_SIZE]);

#endif
