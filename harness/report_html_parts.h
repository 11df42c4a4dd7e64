/* report_html_parts: the pieces of the HTML report that have files of their own. */
#ifndef TOOMANY_HARNESS_REPORT_HTML_PARTS_H
#define TOOMANY_HARNESS_REPORT_HTML_PARTS_H

#include "harness/result.h"

#include <stdio.h>

/* What this report adds to base/html_style.h, in pieces and NULL at the end. */
extern const char *const report_html_style[];

/* The calls of a result as inline SVG, one row a call on one axis of time; every mark and line says
 * in a tooltip what it is. Nothing where there is no call. */
void report_html_timeline(const struct result *result, FILE *stream);

/* The table of all attempts, for those who read numbers or cannot see the drawing. */
void report_html_attempts(const struct result *result, FILE *stream);

#endif
