/* against: what differs between a grade and an earlier one, of which there is the report in JSON.
 */
#ifndef TOOMANY_GRADE_AGAINST_H
#define TOOMANY_GRADE_AGAINST_H

#include "base/report_style.h"
#include "grade/grade.h"

#include <stdio.h>

struct against; /* opaque: the earlier report */

/* NULL with the error filled (place: file and line, or pointer) where it is no report of a grade.
 */
struct against *against_load(const char *path, struct error *error);
void against_free(struct against *against);

/* Writes the grades, the rule and the verdicts that differ, from the earlier to this one. Probes
 * that only one of the two has are no difference. False when the stream failed. */
bool against_write(const struct against *against, const struct grade *grade,
                   const struct report_style *style, FILE *stream);

#endif
