/* The page: all in one file, without scripts and without anything to load. */
#include "lab/report.h"

#include "base/escape.h"
#include "base/html_style.h"
#include "lab/advise.h"
#include "lab/report_plot.h"
#include "lab/report_words.h"

#include <string.h>

static const char style_sheet[] =
    "main{max-width:76rem}"
    ".body{padding:1.1rem}"
    ".advice{font-size:1.05rem;margin:1.2rem 0 1.6rem;padding:.8rem 1.1rem;border-radius:10px;"
    "background:var(--good-wash)}"
    ".advice.is-short{background:var(--warn-wash)}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:.4rem 1rem}"
    ".plots svg,.wide svg{width:100%;height:auto;display:block}"
    ".wide{overflow-x:auto}.wide svg{min-width:44rem}"
    "@media(prefers-color-scheme:dark){.plots svg,.wide svg{"
    "filter:invert(.92) hue-rotate(180deg)}}"
    "tbody th{padding-top:1.1rem;font-size:.9rem;color:var(--ink);font-weight:600}"
    "tbody th small{font-weight:400;color:var(--soft);margin-left:.6rem}"
    "td.number:first-child{width:5rem}"
    "td small{color:var(--soft);margin-left:.35rem}"
    "tr.is-best td{background:var(--good-wash)}"
    "tr.is-best td:first-child::before{content:\"best \";color:var(--good);font-weight:600}"
    ".is-lost{color:var(--bad)}"
    "thead th.number{vertical-align:bottom;white-space:normal;overflow-wrap:normal}"
    "@media print{:root{--paper:#fff}main{padding:0;max-width:none}.card{break-inside:avoid}}";

static const enum measure shown[] = {MEASURE_GOODPUT_REQUESTS,
                                     MEASURE_GOODPUT_TOKENS,
                                     MEASURE_QUOTA_SHARE,
                                     MEASURE_THROTTLED_SHARE,
                                     MEASURE_ATTEMPTS_PER_SUCCESS,
                                     MEASURE_CALLS_LOST,
                                     MEASURE_COMPLETION_P50,
                                     MEASURE_COMPLETION_P90,
                                     MEASURE_COMPLETION_P99,
                                     MEASURE_COMPLETION_MAX,
                                     MEASURE_WAITED,
                                     MEASURE_WASTED,
                                     MEASURE_HERD,
                                     MEASURE_FAIRNESS};
enum { SHOWN_COUNT = sizeof shown / sizeof shown[0] };

static void put_text(FILE *stream, const char *text)
{
    escape_xml(stream, text, strlen(text), false);
}

static void put_head(FILE *stream, const struct lab_report *report)
{
    const struct experiment *experiment = report->sweep->experiment;
    char line[LAB_REPORT_LINE_SIZE];
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          stream);
    put_text(stream, experiment->name);
    fputs("</title>\n<style>", stream);
    html_style_put(stream);
    fputs(style_sheet, stream);
    fputs("</style></head>\n<body><main>\n<p class=\"brand\">toomany load</p>\n<h1>", stream);
    put_text(stream, experiment->name);
    fputs("</h1>\n<p class=\"counts\">", stream);
    put_text(stream, lab_report_how(report, line));
    fputs(". ", stream);
    put_text(stream, lab_report_bound(report, line));
    fputs("</p>\n", stream);
    if (experiment->why != NULL) {
        fputs("<p class=\"why\">", stream);
        put_text(stream, experiment->why);
        fputs("</p>\n", stream);
    }
}

static void put_advice(FILE *stream, const struct lab_report *report)
{
    const struct cell_result *best = advise_best(report->sweep);
    if (report->advice == NULL)
        return;
    fprintf(stream, "<p class=\"advice%s\">",
            best != NULL && advise_feeds(best) ? "" : " is-short");
    put_text(stream, report->advice);
    fputs("</p>\n", stream);
}

static bool put_plots(FILE *stream, const struct lab_report *report, struct error *error)
{
    static const enum plot_panel small[] = {PLOT_GOODPUT, PLOT_COMPLETION, PLOT_THROTTLED};
    fputs("<section class=\"card body\">\n<div class=\"plots\">\n", stream);
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        if (!report_plot_panel(report, small[i], stream, error))
            return false;
    }
    fputs("</div>\n<div class=\"wide\">\n", stream);
    if (!report_plot_panel(report, PLOT_LEGEND, stream, error))
        return false;
    fputs("</div>\n</section>\n<section class=\"card body\"><div class=\"wide\">\n", stream);
    if (!report_plot_panel(report, PLOT_TIMELINE, stream, error))
        return false;
    fputs("</div></section>\n", stream);
    return true;
}

static void put_table_head(FILE *stream, const struct experiment *experiment)
{
    fprintf(stream,
            "<section class=\"card body\"><div class=\"scroll\"><table>\n<thead><tr>"
            "<th class=\"number\">%s</th>",
            experiment->is_open ? "calls/s" : "workers");
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        const struct measure_description *measure = measure_describe(shown[i]);
        fputs("<th class=\"number\" title=\"", stream);
        escape_xml(stream, measure->description, strlen(measure->description), true);
        fputs("\">", stream);
        put_text(stream, measure->label);
        if (measure->is_share || measure->unit[0] != '\0')
            fprintf(stream, "<br>%s", measure->is_share ? "%" : measure->unit);
        fputs("</th>", stream);
    }
    fputs("</tr></thead>\n", stream);
}

static void put_cell(FILE *stream, const struct lab_report *report, const struct cell_result *cell,
                     bool is_best)
{
    char text[LAB_WORDS_SIZE];
    const struct experiment *experiment = report->sweep->experiment;
    fprintf(stream, "<tr%s><td class=\"number\">%s%s%s</td>", is_best ? " class=\"is-best\"" : "",
            lab_words_load_number(experiment, experiment->loads[cell->load], text),
            cell->is_cut_short ? "<small>cut short</small>" : "",
            measures_are_late(cell) ? "<small>machine too slow</small>" : "");
    if (cell->repetitions == 0) {
        fprintf(stream, "<td colspan=\"%d\">not run</td></tr>\n", (int)SHOWN_COUNT);
        return;
    }
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        const struct estimate *estimate = &cell->measures[shown[i]];
        bool is_lost = shown[i] == MEASURE_CALLS_LOST && estimate->mean > ADVISE_LOST_ALLOWED;
        fprintf(stream, "<td class=\"number%s\">%s", is_lost ? " is-lost" : "",
                lab_words_measure(shown[i], estimate->mean, text));
        if ((shown[i] == MEASURE_GOODPUT_REQUESTS || shown[i] == MEASURE_GOODPUT_TOKENS) &&
            estimate->has_interval)
            fprintf(stream, "<small>%s</small>", lab_words_interval(shown[i], estimate, text));
        fputs("</td>", stream);
    }
    fputs("</tr>\n", stream);
}

static void put_table(FILE *stream, const struct lab_report *report)
{
    const struct sweep *sweep = report->sweep;
    const struct cell_result *best = advise_best(sweep);
    put_table_head(stream, sweep->experiment);
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++) {
        const struct strategy *strategy = &sweep->experiment->strategies[i];
        fprintf(stream, "<tbody><tr><th colspan=\"%d\">", (int)SHOWN_COUNT + 1);
        put_text(stream, strategy->label);
        fputs("<small>", stream);
        put_text(stream, strategy->description);
        fputs("</small></th></tr>\n", stream);
        for (size_t load = 0; load < sweep->experiment->load_count; load++) {
            const struct cell_result *cell = sweep_cell(sweep, i, load);
            put_cell(stream, report, cell, cell == best);
        }
        fputs("</tbody>\n", stream);
    }
    fputs("</table></div></section>\n", stream);
}

static void put_sources(FILE *stream, const struct experiment *experiment)
{
    fputs("<section class=\"card body\"><h2 style=\"margin-top:0\">Where the rules come from</h2>"
          "<dl>\n",
          stream);
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        fputs("<dt>", stream);
        put_text(stream, experiment->strategies[i].label);
        fputs("</dt><dd>", stream);
        put_text(stream, experiment->strategies[i].source);
        fputs("</dd>\n", stream);
    }
    fputs("</dl></section>\n", stream);
}

bool lab_report_html(const struct lab_report *report, const struct report_style *style,
                     FILE *stream, struct error *error)
{
    (void)style;
    put_head(stream, report);
    put_advice(stream, report);
    if (!put_plots(stream, report, error))
        return false;
    put_table(stream, report);
    put_sources(stream, report->sweep->experiment);
    fputs("<footer>\xc2\xb1 is half of the 95 % confidence interval. What a measure is stands in "
          "its tooltip. Made by toomany " TOOMANY_VERSION ".</footer>\n</main></body></html>\n",
          stream);
    return true;
}
