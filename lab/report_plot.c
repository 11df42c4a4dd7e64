#include "lab/report_plot.h"

#include "lab/advise.h"
#include "lab/gnuplot.h"
#include "lab/report_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sizes in pixels of the picture of all panels and of one alone. */
enum {
    WIDTH = 1200,
    TITLE_HEIGHT = 64,
    PANEL_HEIGHT = 380,
    LEGEND_COLUMNS = 4,
    LEGEND_ROW_HEIGHT = 24,
    TIMELINE_ROW_HEIGHT = 34,
    TIMELINE_EDGES = 84, /* above and below its rows */
    ALONE_WIDTH = 420,
    ALONE_HEIGHT = 330,
    WIDE_WIDTH = 980,
    TIMELINE_BINS = 150, /* MEASURES_BINS is a multiple of it */
};

/* Okabe and Ito's colours, which people with any colour vision tell apart, without the yellow that
 * is too light for lines; then again with other dashes. */
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                      "#E69F00", "#56B4E9", "#6A3D9A", "#7F7F7F"};
enum { COLOUR_COUNT = sizeof colours / sizeof colours[0] };

/* Of a character, in parts of an axis. */
#define LOAD_TIC_WIDTH 0.024
#define THROTTLED_COLOUR "#D55E00"
#define SERVED_COLOUR "#0072B2"
#define INK "#3b4454"
#define GRID "#d5dae2"

/* Where a panel lies in the picture: screen coordinates, from the bottom left. */
struct place {
    double left, right, bottom, top;
};

/* --- data ------------------------------------------------------------------------------------- */

static void put_number(FILE *script, double value)
{
    if (isnan(value) || isinf(value))
        fputs(" NaN", script);
    else
        fprintf(script, " %.6g", value);
}

static void put_estimate(FILE *script, const struct estimate *estimate, double factor)
{
    put_number(script, estimate->mean * factor);
    put_number(script, estimate->low * factor);
    put_number(script, estimate->high * factor);
}

/* load, goodput, p99, p50, throttled, each with low and high; a data block a strategy. */
static void put_cells(FILE *script, const struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++) {
        fprintf(script, "$cells%zu << END\n", i);
        for (size_t load = 0; load < sweep->experiment->load_count; load++) {
            const struct cell_result *cell = sweep_cell(sweep, i, load);
            fprintf(script, "%.10g", sweep->experiment->loads[load]);
            if (cell->repetitions == 0) {
                fputs(" NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN\n", script);
                continue;
            }
            put_estimate(script, &cell->measures[lab_goodput_measure(sweep)], 1);
            put_estimate(script, &cell->measures[MEASURE_COMPLETION_P99], 1);
            put_estimate(script, &cell->measures[MEASURE_COMPLETION_P50], 1);
            put_estimate(script, &cell->measures[MEASURE_THROTTLED_SHARE], 100);
            fputc('\n', script);
        }
        fputs("END\n", script);
    }
}

/* The highest load of which something was run. */
static size_t timeline_load(const struct sweep *sweep)
{
    size_t highest = 0;
    for (size_t i = 0; i < sweep->cell_count; i++) {
        if (sweep->cells[i].repetitions > 0 && sweep->cells[i].load > highest)
            highest = sweep->cells[i].load;
    }
    return highest;
}

/* In which unit times are shown; returns seconds of one. */
static double time_unit(const struct experiment *experiment, const char **name)
{
    enum { FROM_MINUTES_S = 300, FROM_HOURS_S = 3 * 3600 };
    double duration_s = (double)experiment->duration_ns * 1e-9;
    *name = duration_s >= FROM_HOURS_S ? "h" : duration_s >= FROM_MINUTES_S ? "min" : "s";
    return duration_s >= FROM_HOURS_S ? 3600 : duration_s >= FROM_MINUTES_S ? 60 : 1;
}

static double bin_s(const struct experiment *experiment)
{
    return (double)experiment->duration_ns * 1e-9 / MEASURES_BINS;
}

/* Bins drawn as one, and the first that is drawn. In a closed loop the end is enough, when the full
 * quota of the beginning is used up; open loads have their day. */
static int bins_in_one(const struct experiment *experiment)
{
    return experiment->is_open ? MEASURES_BINS / TIMELINE_BINS : 1;
}

static int first_bin(const struct experiment *experiment)
{
    return MEASURES_BINS - TIMELINE_BINS * bins_in_one(experiment);
}

/* The requests of one bin of the time line, and how many of them were throttled. */
static struct measure_bin bin_of(const struct experiment *experiment, const struct run_result *run,
                                 int bin)
{
    int count = bins_in_one(experiment);
    int first = first_bin(experiment) + bin * count;
    struct measure_bin sum = {0};
    for (int i = first; i < first + count; i++) {
        sum.attempts += run->bins[i].attempts;
        sum.throttled += run->bins[i].throttled;
    }
    return sum;
}

static uint64_t peak_of(const struct experiment *experiment, const struct run_result *run)
{
    uint64_t peak = 0;
    for (int i = 0; run != NULL && i < TIMELINE_BINS; i++) {
        uint64_t attempts = bin_of(experiment, run, i).attempts;
        peak = attempts > peak ? attempts : peak;
    }
    return peak;
}

static const struct run_result *timeline_run(const struct sweep *sweep, size_t strategy)
{
    return lab_report_first_run(sweep_cell(sweep, strategy, timeline_load(sweep)));
}

/* Seconds into the run at the edge before `bin` of the time line. */
static double timeline_s(const struct experiment *experiment, double bin)
{
    return (first_bin(experiment) + bin * bins_in_one(experiment)) * bin_s(experiment);
}

/* time, all requests, the admitted ones, both as shares of the row's peak. */
static void put_timeline(FILE *script, const struct sweep *sweep)
{
    const struct experiment *experiment = sweep->experiment;
    const char *unit_name;
    double unit_s = time_unit(experiment, &unit_name);
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        const struct run_result *run = timeline_run(sweep, i);
        uint64_t peak = peak_of(experiment, run);
        fprintf(script, "$line%zu << END\n%.6g 0 0\n", i, timeline_s(experiment, 0) / unit_s);
        for (int bin = 0; peak > 0 && bin < TIMELINE_BINS; bin++) {
            struct measure_bin sum = bin_of(experiment, run, bin);
            fprintf(script, "%.6g %.3g %.3g\n", timeline_s(experiment, bin + 0.5) / unit_s,
                    (double)sum.attempts / (double)peak,
                    (double)(sum.attempts - sum.throttled) / (double)peak);
        }
        fputs("END\n", script);
    }
}

/* --- panels ----------------------------------------------------------------------------------- */

static void put_place(FILE *script, const struct place *place)
{
    fprintf(script, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", place->left,
            place->right);
    fprintf(script, "set bmargin at screen %.5f\nset tmargin at screen %.5f\n", place->bottom,
            place->top);
}

static void put_line_styles(FILE *script, const struct sweep *sweep)
{
    static const int points[] = {7, 5, 9, 11, 13, 6, 4, 8, 10, 12};
    enum { POINT_COUNT = sizeof points / sizeof points[0] };
    const struct cell_result *best = advise_best(sweep);
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++) {
        bool is_best = best != NULL && best->strategy == i;
        fprintf(script, "set linetype %zu lc rgb '%s' dt %zu lw %s pt %d ps %s\n", i + 1,
                colours[i % COLOUR_COUNT], i / COLOUR_COUNT % 4 + 1, is_best ? "3" : "1.5",
                points[i % POINT_COUNT], is_best ? "0.8" : "0.6");
    }
}

/* From 0 to 1 along the axis. */
static double load_position(const struct experiment *experiment, double load, bool is_log)
{
    double first = experiment->loads[0];
    double last = experiment->loads[experiment->load_count - 1];
    if (!is_log)
        return last > 0 ? load / last : 0;
    return log(load / first) / log(last / first);
}

/* "250", "10k", "2M": a tic for each load that has room before the next. */
static void put_load_tics(FILE *script, const struct experiment *experiment, bool is_log)
{
    const char *separator = "";
    double taken = 2;
    fputs("set xtics (", script);
    for (size_t i = experiment->load_count; i-- > 0;) {
        double load = experiment->loads[i];
        double shown = load >= 1e6 ? load / 1e6 : load >= 1e4 ? load / 1e3 : load;
        double position = load_position(experiment, load, is_log);
        char text[LAB_WORDS_SIZE];
        int length = snprintf(text, sizeof text, "%.4g%s", shown,
                              load >= 1e6   ? "M"
                              : load >= 1e4 ? "k"
                                            : "");
        if (taken - position < (length + 1) * LOAD_TIC_WIDTH)
            continue;
        fprintf(script, "%s'%s' %.10g", separator, text, load);
        separator = ", ";
        taken = position;
    }
    fputs(")\n", script);
}

static void put_load_axis(FILE *script, const struct experiment *experiment)
{
    double first = experiment->loads[0];
    double last = experiment->loads[experiment->load_count - 1];
    bool is_log = last / first >= 8;
    fprintf(script, "set xlabel '%s' offset 0,0.3\n",
            experiment->is_open ? "offered load, calls per second" : "workers");
    if (is_log)
        fprintf(script, "set logscale x\nset xrange [%.6g:%.6g]\n", first / 1.15, last * 1.15);
    else
        fprintf(script, "set xrange [%.6g:%.6g]\n", experiment->load_count > 1 ? 0.0 : first / 2,
                last * 1.08);
    put_load_tics(script, experiment, is_log);
}

static void put_panel_frame(FILE *script, const char *title)
{
    fprintf(script,
            "unset key\n"
            "set border 3 lc rgb '" INK "' lw 1\nset tics nomirror tc rgb '" INK "'\n"
            "set xlabel tc rgb '" INK "'\nset ylabel tc rgb '" INK "'\n"
            "set grid lc rgb '" GRID "' lw 1 dt 1\n"
            "set title '%s' tc rgb '" INK "' offset 0,-0.3\n",
            title);
}

/* `what` gives the plot of one strategy by its number. */
static void put_plots(FILE *script, const struct sweep *sweep, const char *columns,
                      const char *style)
{
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++)
        fprintf(script, "%s$cells%zu using %s with %s lt %zu", i > 0 ? ", \\\n  " : "", i, columns,
                style, i + 1);
}

static void put_goodput(FILE *script, const struct lab_report *report)
{
    const struct sweep *sweep = report->sweep;
    enum measure goodput = lab_goodput_measure(sweep);
    double bound = lab_goodput_bound(sweep);
    double most = isinf(bound) ? 0 : bound;
    for (size_t i = 0; i < sweep->cell_count; i++)
        most = fmax(most, sweep->cells[i].measures[goodput].high);
    put_panel_frame(script, goodput == MEASURE_GOODPUT_TOKENS ? "goodput, tokens per second"
                                                              : "goodput, requests per second");
    put_load_axis(script, sweep->experiment);
    fprintf(script, "set yrange [0:%.6g]\n", most > 0 ? most * 1.18 : 1.0);
    if (!isinf(bound))
        fprintf(script,
                "set arrow 1 from graph 0, first %.6g to graph 1, first %.6g nohead dt 2 lw 1.5 "
                "lc rgb '" INK "'\nset label 1 'most that the quota allows' at graph 0.02, "
                "first %.6g offset 0.3,0.8 tc rgb '" INK "' noenhanced\n",
                bound, bound, bound);
    fputs("plot ", script);
    put_plots(script, sweep, "1:3:4", "filledcurves fs transparent solid 0.25 noborder");
    fputs(", \\\n  ", script);
    put_plots(script, sweep, "1:2", "linespoints");
    fputc('\n', script);
}

/* Powers of ten around all values. */
static void put_time_range(FILE *script, const struct sweep *sweep)
{
    double low = INFINITY;
    double high = 0;
    static const enum measure shown[] = {MEASURE_COMPLETION_P50, MEASURE_COMPLETION_P99};
    for (size_t i = 0; i < sweep->cell_count; i++) {
        for (size_t j = 0; j < sizeof shown / sizeof shown[0]; j++) {
            double value = sweep->cells[i].measures[shown[j]].mean;
            if (sweep->cells[i].repetitions == 0 || isnan(value) || value <= 0)
                continue;
            low = fmin(low, value);
            high = fmax(high, value);
        }
    }
    if (high <= 0) {
        low = 0.1;
        high = 10;
    }
    fprintf(script, "set logscale y\nset yrange [%.4g:%.4g]\n", low / 1.5, high * 1.5);
    if (high / low < 20)
        fputs("set ytics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, "
              "1000, 2000, 5000)\n",
              script);
    else
        fputs("set format y '%g'\n", script);
}

static void put_completion(FILE *script, const struct lab_report *report)
{
    put_panel_frame(script, "time to completion in s: 99 % (marks) and median");
    put_load_axis(script, report->sweep->experiment);
    put_time_range(script, report->sweep);
    fputs("plot ", script);
    put_plots(script, report->sweep, "1:8", "lines lw 1.2 dt 3");
    fputs(", \\\n  ", script);
    put_plots(script, report->sweep, "1:5", "linespoints");
    fputc('\n', script);
}

static void put_throttled(FILE *script, const struct lab_report *report)
{
    put_panel_frame(script, "throttled, % of the requests");
    put_load_axis(script, report->sweep->experiment);
    fputs("set yrange [-2:102]\nset ytics 0, 20, 100\nplot ", script);
    put_plots(script, report->sweep, "1:12:13", "filledcurves fs transparent solid 0.25 noborder");
    fputs(", \\\n  ", script);
    put_plots(script, report->sweep, "1:11", "linespoints");
    fputc('\n', script);
}

static const char *peak_words(double peak, char text[LAB_WORDS_SIZE])
{
    snprintf(text, LAB_WORDS_SIZE, peak < 1000 ? "%.3g" : "%.0f", peak);
    return text;
}

static void put_timeline_labels(FILE *script, const struct sweep *sweep)
{
    const struct experiment *experiment = sweep->experiment;
    size_t rows = experiment->strategy_count;
    fputs("set ytics noenhanced scale 0 (", script);
    for (size_t i = 0; i < rows; i++) {
        fputs(i > 0 ? ", " : "", script);
        gnuplot_put_text(script, experiment->strategies[i].label, true);
        fprintf(script, " %zu.3", rows - 1 - i);
    }
    fputs(")\n", script);
    for (size_t i = 0; i < rows; i++) {
        char rate[LAB_WORDS_SIZE];
        const struct run_result *run = timeline_run(sweep, i);
        double peak =
            (double)peak_of(experiment, run) / (bin_s(experiment) * bins_in_one(experiment));
        fprintf(script, "set label %zu '%s%s' at graph 1.01, first %zu.3 tc rgb '" INK "'\n", i + 1,
                run != NULL ? "peak " : "not run", run != NULL ? peak_words(peak, rate) : "",
                rows - 1 - i);
    }
}

/* A row a strategy, each to its own scale, which its peak tells. */
static void put_timelines(FILE *script, const struct lab_report *report)
{
    const struct sweep *sweep = report->sweep;
    const struct experiment *experiment = sweep->experiment;
    size_t rows = experiment->strategy_count;
    const char *unit;
    double unit_s = time_unit(experiment, &unit);
    char load[LAB_WORDS_SIZE];
    char title[LAB_REPORT_LINE_SIZE];
    snprintf(title, sizeof title,
             "requests per second, %s, each row to its own peak; blue: admitted, orange: "
             "throttled",
             lab_words_load(experiment, experiment->loads[timeline_load(sweep)], load));
    put_panel_frame(script, title);
    put_timeline_labels(script, sweep);
    fprintf(script,
            "set border 1\nset grid noytics\nset xlabel 'time of the run, %s' offset 0,0.3\n"
            "set xrange [%.6g:%.6g]\nset yrange [-0.05:%zu]\nplot ",
            unit, timeline_s(experiment, 0) / unit_s,
            timeline_s(experiment, TIMELINE_BINS) / unit_s, rows);
    for (size_t i = 0; i < rows; i++) {
        size_t y = rows - 1 - i;
        fprintf(script,
                "%s$line%zu using 1:(%zu+0.9*$2) with filledcurves y1=%zu lc rgb "
                "'" THROTTLED_COLOUR "', \\\n  $line%zu using 1:(%zu+0.9*$3) with filledcurves "
                "y1=%zu lc rgb '" SERVED_COLOUR "'",
                i > 0 ? ", \\\n  " : "", i, y, y, i, y, y);
    }
    fputc('\n', script);
}

static void put_legend(FILE *script, const struct lab_report *report, const struct place *place)
{
    const struct experiment *experiment = report->sweep->experiment;
    const struct cell_result *best = advise_best(report->sweep);
    put_panel_frame(script, "");
    fprintf(script,
            "unset border\nunset tics\nunset title\nset xrange [0:1]\nset yrange [0:1]\n"
            "set key noenhanced horizontal Left reverse center center samplen 2.5 tc rgb '" INK
            "' at screen %.4f, screen %.4f maxcols %d width 1\nplot ",
            (place->left + place->right) / 2, (place->bottom + place->top) / 2, LEGEND_COLUMNS);
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        char label[STRATEGY_NAME_SIZE + 16];
        snprintf(label, sizeof label, "%s%s", experiment->strategies[i].label,
                 best != NULL && best->strategy == i ? " (best)" : "");
        fprintf(script, "%sNaN with linespoints lt %zu title ", i > 0 ? ", \\\n  " : "", i + 1);
        gnuplot_put_text(script, label, false);
    }
    fputc('\n', script);
}

static void put_panel(FILE *script, const struct lab_report *report, enum plot_panel panel,
                      const struct place *place)
{
    static void (*const puts_of[])(FILE *, const struct lab_report *) = {
        [PLOT_GOODPUT] = put_goodput,
        [PLOT_COMPLETION] = put_completion,
        [PLOT_THROTTLED] = put_throttled,
        [PLOT_TIMELINE] = put_timelines,
    };
    put_place(script, place);
    if (panel == PLOT_LEGEND)
        put_legend(script, report, place);
    else
        puts_of[panel](script, report);
}

static size_t legend_rows(const struct experiment *experiment)
{
    return (experiment->strategy_count + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS;
}

static int legend_height(const struct experiment *experiment)
{
    return (int)legend_rows(experiment) * LEGEND_ROW_HEIGHT + 8;
}

static int timeline_height(const struct experiment *experiment)
{
    return (int)experiment->strategy_count * TIMELINE_ROW_HEIGHT + TIMELINE_EDGES;
}

static void put_data(FILE *script, const struct lab_report *report)
{
    fputs("set encoding utf8\n", script);
    put_cells(script, report->sweep);
    put_timeline(script, report->sweep);
    put_line_styles(script, report->sweep);
}

static void put_headline(FILE *script, const struct lab_report *report, double height)
{
    char how[LAB_REPORT_LINE_SIZE];
    char bound[LAB_REPORT_LINE_SIZE];
    fputs("set label 100 ", script);
    gnuplot_put_text(script, report->sweep->experiment->name, false);
    fprintf(script, " at screen 0.02, screen %.5f font ',17' tc rgb '" INK "' noenhanced\n",
            1 - 22 / height);
    fprintf(script, "set label 101 '%s. %s' at screen 0.02, screen %.5f tc rgb '" INK "'\n",
            lab_report_how(report, how), lab_report_bound(report, bound), 1 - 48 / height);
}

void report_plot_script(const struct lab_report *report, const char *terminal, FILE *script)
{
    const struct experiment *experiment = report->sweep->experiment;
    double height =
        TITLE_HEIGHT + PANEL_HEIGHT + legend_height(experiment) + timeline_height(experiment);
    double panels_top = 1 - (TITLE_HEIGHT + 36) / height;
    double panels_bottom = 1 - (TITLE_HEIGHT + PANEL_HEIGHT - 56) / height;
    double legend_top = 1 - (TITLE_HEIGHT + PANEL_HEIGHT) / height;
    double timeline_top = timeline_height(experiment) / height;
    const struct place places[PLOT_PANEL_COUNT] = {
        [PLOT_GOODPUT] = {0.05, 0.325, panels_bottom, panels_top},
        [PLOT_COMPLETION] = {0.385, 0.66, panels_bottom, panels_top},
        [PLOT_THROTTLED] = {0.715, 0.985, panels_bottom, panels_top},
        [PLOT_TIMELINE] = {0.16, 0.92, 52 / height, timeline_top - 32 / height},
        [PLOT_LEGEND] = {0.02, 0.98, timeline_top, legend_top},
    };
    put_data(script, report);
    fprintf(script, "set terminal %s size %d,%.0f\nset multiplot\n", terminal, WIDTH, height);
    put_headline(script, report, height);
    for (int panel = 0; panel < PLOT_PANEL_COUNT; panel++) {
        put_panel(script, report, (enum plot_panel)panel, &places[panel]);
        fputs("reset\n", script);
    }
    fputs("unset multiplot\n", script);
}

/* --- by gnuplot ------------------------------------------------------------------------------- */

struct drawing {
    char *text;
    size_t length;
    FILE *stream;
};

static bool drawing_begin(struct drawing *script, struct error *error)
{
    *script = (struct drawing){0};
    script->stream = open_memstream(&script->text, &script->length);
    return script->stream != NULL || error_set_run(error, "gnuplot", "out of memory");
}

static bool drawing_end(struct drawing *script, FILE *stream, struct error *error)
{
    bool has_failed = ferror(script->stream) != 0;
    bool done = fclose(script->stream) == 0 && !has_failed;
    done = done ? gnuplot_run(script->text, script->length, stream, error)
                : error_set_run(error, "gnuplot", "out of memory");
    free(script->text);
    return done;
}

static bool draw_all(const struct lab_report *report, const char *terminal, FILE *stream,
                     struct error *error)
{
    struct drawing script;
    if (!drawing_begin(&script, error))
        return false;
    report_plot_script(report, terminal, script.stream);
    return drawing_end(&script, stream, error);
}

bool lab_report_svg(const struct lab_report *report, const struct report_style *style, FILE *stream,
                    struct error *error)
{
    (void)style;
    return draw_all(report, "svg font 'sans-serif,13' background rgb 'white' noenhanced", stream,
                    error);
}

bool lab_report_png(const struct lab_report *report, const struct report_style *style, FILE *stream,
                    struct error *error)
{
    (void)style;
    return draw_all(report, "pngcairo font 'sans-serif,10' background rgb 'white' noenhanced",
                    stream, error);
}

/* gnuplot gives its symbols the same names in every drawing, and a page has several of them: each
 * gets names of its own. What begins an XML file has no place in a page. */
static void put_inline(const char *svg, enum plot_panel panel, FILE *stream)
{
    static const char *const marks[] = {"id='", "id=\"", "href='#", "href=\"#", "url(#"};
    const char *at = strstr(svg, "<svg");
    while (at != NULL && *at != '\0') {
        size_t taken = 1;
        for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
            if (strncmp(at, marks[i], strlen(marks[i])) == 0)
                taken = strlen(marks[i]);
        }
        fwrite(at, 1, taken, stream);
        if (taken > 1)
            fprintf(stream, "p%d-", (int)panel);
        at += taken;
    }
}

bool report_plot_panel(const struct lab_report *report, enum plot_panel panel, FILE *stream,
                       struct error *error)
{
    const struct experiment *experiment = report->sweep->experiment;
    struct drawing script;
    char *svg = NULL;
    size_t length = 0;
    double height = panel == PLOT_TIMELINE ? timeline_height(experiment)
                    : panel == PLOT_LEGEND ? legend_height(experiment)
                                           : ALONE_HEIGHT;
    bool is_wide = panel == PLOT_TIMELINE || panel == PLOT_LEGEND;
    const struct place alone = {0.11, 0.97, 56 / height, 1 - 36 / height};
    const struct place timeline = {0.18, 0.9, 52 / height, 1 - 32 / height};
    const struct place legend = {0, 1, 0, 1};
    if (!drawing_begin(&script, error))
        return false;
    put_data(script.stream, report);
    fprintf(script.stream,
            "set terminal svg font 'sans-serif,13' noenhanced dynamic size %d,%.0f\n",
            is_wide ? WIDE_WIDTH : ALONE_WIDTH, height);
    put_panel(script.stream, report, panel,
              panel == PLOT_TIMELINE ? &timeline
              : panel == PLOT_LEGEND ? &legend
                                     : &alone);
    FILE *drawing = open_memstream(&svg, &length);
    bool done = drawing_end(&script, drawing, error) && drawing != NULL;
    if (drawing != NULL && fclose(drawing) == 0 && done)
        put_inline(svg, panel, stream);
    free(svg);
    return done;
}
