/* report: draws results as text, JSON, JUnit XML, TAP, HTML and GitHub annotations.
 *
 * One file a kind, one row in the table of report.c. To add one: write report_NAME.c with a
 * `bool report_NAME(const struct results *, const struct report_style *, FILE *)` and its row.
 */
#ifndef TOOMANY_HARNESS_REPORT_H
#define TOOMANY_HARNESS_REPORT_H

#include "base/error.h"
#include "base/report_style.h"
#include "harness/result.h"

#include <stdio.h>

struct report_kind {
    const char *name;
    bool (*write)(const struct results *results, const struct report_style *style, FILE *stream);
};

/* NULL when there is no such kind; report_kind_names() lists them as "text, json, ...". */
const struct report_kind *report_find(const char *name);
const char *report_kind_names(void);

/* Writes a report of this kind to `path` through a temporary file beside it, so that a full disk
 * never leaves half a report; NULL or "-" writes to stdout. */
bool report_to_path(const struct report_kind *kind, const struct results *results, const char *path,
                    struct error *error);

/* The kinds. Each returns false when the stream failed. */
bool report_text(const struct results *results, const struct report_style *style, FILE *stream);
bool report_json(const struct results *results, const struct report_style *style, FILE *stream);
bool report_junit(const struct results *results, const struct report_style *style, FILE *stream);
bool report_tap(const struct results *results, const struct report_style *style, FILE *stream);
bool report_html(const struct results *results, const struct report_style *style, FILE *stream);
/* GitHub Actions workflow commands: one ::error a verdict that did not hold. */
bool report_github(const struct results *results, const struct report_style *style, FILE *stream);

/* One scenario as text: what check prints as each one ends. */
bool report_text_one(const struct result *result, const struct report_style *style, FILE *stream);
/* The closing line: "9 passed, 1 failed, ...". */
bool report_text_summary(const struct results *results, const struct report_style *style,
                         FILE *stream);

#endif
