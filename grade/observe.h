/* observe: the delays of a grade's starts, as rule.h wants them. */
#ifndef TOOMANY_GRADE_OBSERVE_H
#define TOOMANY_GRADE_OBSERVE_H

#include "grade/grade.h"

/* Fills grade->rule from the starts that were refused again and again, and from those that were
 * asked to wait. grade->has_rule stays false where there was none, or memory is out. */
void grade_observe(struct grade *grade);

#endif
