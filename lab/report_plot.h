/* report_plot: the plots, drawn by gnuplot (lab/gnuplot.h).
 *
 * Four panels: goodput, time to completion and throttled share against the load, and a time line
 * of the requests of each strategy at the highest load, in which bursts stand out. SVG and PNG
 * reports show all of them under one legend; the page (report_html.c) takes them one by one.
 */
#ifndef TOOMANY_LAB_REPORT_PLOT_H
#define TOOMANY_LAB_REPORT_PLOT_H

#include "lab/report.h"

enum plot_panel { PLOT_GOODPUT, PLOT_COMPLETION, PLOT_THROTTLED, PLOT_TIMELINE, PLOT_LEGEND };
enum { PLOT_PANEL_COUNT = PLOT_LEGEND + 1 };

/* One panel as SVG without background and without what must stand once in a page. */
bool report_plot_panel(const struct lab_report *report, enum plot_panel panel, FILE *stream,
                       struct error *error);

/* The gnuplot script of all panels, for tests: what reports hand to gnuplot. */
void report_plot_script(const struct lab_report *report, const char *terminal, FILE *script);

#endif
