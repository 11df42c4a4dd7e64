/* rule_number: the roundest number in a range, because people write rules.
 *
 *     0.488 to 0.517  ->  0.5        1.93 to 2.11  ->  2        7.4 to 7.9  ->  7.5
 */
#ifndef TOOMANY_GRADE_RULE_NUMBER_H
#define TOOMANY_GRADE_RULE_NUMBER_H

#include "grade/rule.h"

/* The roundest number from low to high (0 or more), the one next to `value` where several are as
 * round; *effort, if not NULL, gets how much there is to write of it: 1 for 2, 2 for 2.5, 3 for
 * 0.375. */
double rule_number_round(double low, double high, double value, int *effort);

/* A number of a rule, known to be from low to high and likeliest near `value` (the nearest of
 * them where it is outside): near it, it is rounded. */
struct rule_number rule_number_between(double low, double high, double value);

/* As above; adds to *effort how much there is to write of it. */
struct rule_number rule_number_rounded(double low, double high, double value, int *effort);

/* How far the ends of the range are apart, as a share of the value; 0 for a number not known. */
double rule_number_width(const struct rule_number *number);

#endif
