/* report: shows what a sweep found, as a table, CSV, JSON, plots and a page.
 *
 * One file a kind, one row in the table of report.c. To add one: write report_NAME.c with a
 * `lab_report_writer` and its row. The same sweep gives the same bytes, on every machine; plots,
 * with the same version of gnuplot.
 */
#ifndef TOOMANY_LAB_REPORT_H
#define TOOMANY_LAB_REPORT_H

#include "base/error.h"
#include "base/report_style.h"
#include "lab/sweep.h"

#include <stdio.h>

struct lab_report {
    const struct sweep *sweep;
    bool is_simulated;  /* or run for real */
    const char *advice; /* sentences, lab/advise.h; NULL: not asked for */
};

/* False, with the error filled, when it could not be made; the caller looks after the stream. */
typedef bool lab_report_writer(const struct lab_report *report, const struct report_style *style,
                               FILE *stream, struct error *error);

struct lab_report_kind {
    const char *name;
    bool is_drawn;  /* by gnuplot, which has to be there */
    bool is_binary; /* nothing for a terminal */
    lab_report_writer *write;
};

/* NULL when there is no such kind; lab_report_kind_names() lists them as "table, csv, ...". */
const struct lab_report_kind *lab_report_find(const char *name);
const char *lab_report_kind_names(void);

/* Writes a report of this kind to `path`, whole or not at all; NULL or "-" writes to stdout. */
bool lab_report_to_path(const struct lab_report_kind *kind, const struct lab_report *report,
                        const char *path, struct error *error);

lab_report_writer lab_report_table;
lab_report_writer lab_report_csv;
lab_report_writer lab_report_json;
lab_report_writer lab_report_svg;
lab_report_writer lab_report_png;
lab_report_writer lab_report_html;

/* One line that says what was run: "simulated, 10 repetitions of 10m0s each, seed 1". */
enum { LAB_REPORT_LINE_SIZE = 256 };
const char *lab_report_how(const struct lab_report *report, char text[LAB_REPORT_LINE_SIZE]);
/* And what the quota allows: "The quota allows at most 9.17 requests/s, by its requests per
 * minute." */
const char *lab_report_bound(const struct lab_report *report, char text[LAB_REPORT_LINE_SIZE]);

/* The first repetition that has been run of a cell; NULL: none. */
const struct run_result *lab_report_first_run(const struct cell_result *cell);

#endif
