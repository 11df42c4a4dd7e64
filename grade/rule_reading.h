/* rule_reading: one range of delays, said as people say it.
 *
 *     375 ms to 500 ms    0.5 s, minus up to 25 %       subtractive: one digit and two
 *     1 s to 1.25 s       1 s, plus up to 25 %          proportional
 *     0.9 s to 1.1 s      1 s, 10 % around it           around
 *     0 to 2 s            full jitter of 2 s
 */
#ifndef TOOMANY_GRADE_RULE_READING_H
#define TOOMANY_GRADE_RULE_READING_H

#include "grade/rule.h"

/* Fills base_ns, jitter, share_low and share_high of the rule from the ends of the range in which
 * the first delay lies. */
void rule_reading_take(struct rule *rule, struct rule_number low_ns, struct rule_number high_ns);

#endif
