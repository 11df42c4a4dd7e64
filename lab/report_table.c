/* The table: for each strategy a line a load, and at the end the best load of each, best first.
 * As many measures as the terminal has room for. */
#include "lab/report.h"

#include "base/escape.h"
#include "base/text_line.h"
#include "lab/advise.h"
#include "lab/report_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARK_WIDTH = 2,
    LOAD_WIDTH = 9,
    INTERVAL_WIDTH = 9,
    LABEL_WIDTH = 19,
};

struct column {
    enum measure measure;
    const char *title;
    const char *unit;
    int width;
    int from_width; /* of the terminal */
    bool has_interval;
    bool is_in_summary;
};

/* The first is goodput, in what binds. */
static const struct column columns[] = {
    {MEASURE_GOODPUT_REQUESTS, "goodput", NULL, 9, 0, true, true},
    {MEASURE_QUOTA_SHARE, "of quota", "%", 9, 0, false, true},
    {MEASURE_THROTTLED_SHARE, "throttled", "%", 10, 0, false, true},
    {MEASURE_ATTEMPTS_PER_SUCCESS, "attempts", "/success", 9, 90, false, false},
    {MEASURE_CALLS_LOST, "lost", "%", 6, 0, false, true},
    {MEASURE_COMPLETION_P50, "p50", "s", 8, 0, false, false},
    {MEASURE_COMPLETION_P90, "p90", "s", 8, 116, false, false},
    {MEASURE_COMPLETION_P99, "p99", "s", 8, 0, false, true},
    {MEASURE_WAITED, "waited", "s", 8, 0, false, true},
    {MEASURE_WASTED, "wasted", "s", 8, 98, false, false},
    {MEASURE_HERD, "herd", "retries", 8, 108, false, false},
    {MEASURE_FAIRNESS, "fairness", "1: equal", 9, 126, false, false},
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

struct table {
    const struct lab_report *report;
    const struct report_style *style;
    FILE *stream;
    const struct cell_result *best;
    enum measure goodput;
};

static bool is_shown(const struct table *table, const struct column *column, bool in_summary)
{
    return in_summary ? column->is_in_summary : table->style->width >= column->from_width;
}

/* Only ASCII where the terminal shows no more. */
static const char *plus_minus(const struct table *table, char text[LAB_WORDS_SIZE])
{
    static const char sign[] = "±";
    char rest[LAB_WORDS_SIZE];
    if (table->style->unicode || strncmp(text, sign, strlen(sign)) != 0)
        return text;
    snprintf(rest, sizeof rest, "%s", text + strlen(sign));
    snprintf(text, LAB_WORDS_SIZE, "+-%.*s", LAB_WORDS_SIZE - 3, rest);
    return text;
}

static enum ink ink_of(const struct column *column, const struct cell_result *cell)
{
    enum { THROTTLED_OFTEN_PERCENT = 20 };
    double mean = cell->measures[column->measure].mean;
    if (column->measure == MEASURE_CALLS_LOST && mean > ADVISE_LOST_ALLOWED)
        return INK_RED;
    if (column->measure == MEASURE_QUOTA_SHARE && mean >= ADVISE_SHARE_WANTED)
        return INK_GREEN;
    if (column->measure == MEASURE_THROTTLED_SHARE && mean * 100 >= THROTTLED_OFTEN_PERCENT)
        return INK_YELLOW;
    return INK_PLAIN;
}

static void put_heads(const struct table *table, bool in_summary)
{
    const struct experiment *experiment = table->report->sweep->experiment;
    int first = MARK_WIDTH + LOAD_WIDTH + (in_summary ? LABEL_WIDTH : 0);
    for (int row = 0; row < 2; row++) {
        struct text_line line;
        int at = first;
        text_line_start(&line, table->style);
        if (row == 0)
            text_line_put_right(&line, at, INK_BOLD, experiment->is_open ? "calls/s" : "workers");
        for (size_t i = 0; i < COLUMN_COUNT; i++) {
            const struct column *column = &columns[i];
            if (!is_shown(table, column, in_summary))
                continue;
            at += column->width;
            if (i == 0 && row == 1)
                text_line_put_right(&line, at + 1, INK_DIM, measure_describe(table->goodput)->unit);
            else
                text_line_put_right(&line, at, row == 0 ? INK_BOLD : INK_DIM,
                                    row == 0 ? column->title : column->unit);
            at += column->has_interval && !in_summary ? INTERVAL_WIDTH : 0;
        }
        text_line_end(&line, table->stream);
    }
}

static void put_cell(const struct table *table, const struct cell_result *cell, bool in_summary)
{
    const struct experiment *experiment = table->report->sweep->experiment;
    struct text_line line;
    char text[LAB_WORDS_SIZE];
    int at = MARK_WIDTH + LOAD_WIDTH + (in_summary ? LABEL_WIDTH : 0);
    bool is_best = cell == table->best;
    text_line_start(&line, table->style);
    if (is_best)
        text_line_put(&line, 0, INK_GREEN, "*");
    if (cell->is_cut_short)
        text_line_put(&line, 0, INK_YELLOW, "#");
    if (measures_are_late(cell))
        text_line_put(&line, 1, INK_YELLOW, "!");
    if (in_summary) {
        const char *label = experiment->strategies[cell->strategy].label;
        char *shown = escape_terminal(label, strlen(label), table->style->unicode);
        text_line_put(&line, MARK_WIDTH, is_best ? INK_GREEN : INK_PLAIN,
                      shown != NULL ? shown : "?");
        free(shown);
    }
    text_line_put_right(&line, at, is_best ? INK_GREEN : INK_PLAIN,
                        lab_words_load_number(experiment, experiment->loads[cell->load], text));
    if (cell->repetitions == 0) {
        text_line_put(&line, at + 2, INK_DIM, "not run");
        text_line_end(&line, table->stream);
        return;
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const struct column *column = &columns[i];
        enum measure measure = i == 0 ? table->goodput : column->measure;
        const struct estimate *estimate = &cell->measures[measure];
        if (!is_shown(table, column, in_summary))
            continue;
        at += column->width;
        text_line_put_right(&line, at, ink_of(column, cell),
                            lab_words_measure(measure, estimate->mean, text));
        if (column->has_interval && !in_summary) {
            lab_words_interval(measure, estimate, text);
            text_line_put(&line, at + 1, INK_DIM, plus_minus(table, text));
            at += INTERVAL_WIDTH;
        }
    }
    text_line_end(&line, table->stream);
}

static void put_strategy(const struct table *table, size_t index)
{
    const struct sweep *sweep = table->report->sweep;
    const struct strategy *strategy = &sweep->experiment->strategies[index];
    char *label = escape_terminal(strategy->label, strlen(strategy->label), table->style->unicode);
    struct text_line line;
    text_line_start(&line, table->style);
    int at = text_line_put(&line, 0, INK_BOLD, label != NULL ? label : "?");
    text_line_put(&line, at + 2, INK_DIM, strategy->description);
    text_line_end(&line, table->stream);
    free(label);
    for (size_t load = 0; load < sweep->experiment->load_count; load++)
        put_cell(table, sweep_cell(sweep, index, load), false);
}

static bool comes_before(const struct table *table, const struct cell_result *cell,
                         const struct cell_result *other)
{
    if (cell == table->best || other == table->best)
        return cell == table->best;
    return advise_is_better(table->report->sweep, cell, other);
}

/* Best first; those of which nothing was run to its end are left out. */
static void put_summary(const struct table *table)
{
    const struct sweep *sweep = table->report->sweep;
    const struct cell_result *sorted[EXPERIMENT_STRATEGIES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++) {
        const struct cell_result *cell = advise_best_of(sweep, i);
        if (cell == NULL)
            continue;
        size_t at = count++;
        for (; at > 0 && comes_before(table, cell, sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = cell;
    }
    if (count == 0)
        return;
    fputs("\nThe best load of each, best first\n", table->stream);
    put_heads(table, true);
    for (size_t i = 0; i < count; i++)
        put_cell(table, sorted[i], true);
}

static void put_text(const struct table *table, const char *text, enum ink ink)
{
    const struct text_paragraph paragraph = {.ink = ink};
    char *shown = escape_terminal(text, strlen(text), table->style->unicode);
    text_write_paragraph(&paragraph, shown != NULL ? shown : "?", table->style, table->stream);
    free(shown);
}

static bool was_cut_short(const struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->cell_count; i++) {
        if (sweep->cells[i].is_cut_short)
            return true;
    }
    return false;
}

static const struct cell_result *latest(const struct sweep *sweep)
{
    const struct cell_result *latest = NULL;
    for (size_t i = 0; i < sweep->cell_count; i++) {
        const struct cell_result *cell = &sweep->cells[i];
        if (measures_are_late(cell) && (latest == NULL || cell->measures[MEASURE_LATE].mean >
                                                              latest->measures[MEASURE_LATE].mean))
            latest = cell;
    }
    return latest;
}

static void put_lateness(const struct table *table)
{
    const struct cell_result *late = latest(table->report->sweep);
    char text[LAB_REPORT_LINE_SIZE];
    char seconds[LAB_WORDS_SIZE];
    if (late == NULL)
        return;
    snprintf(text, sizeof text,
             "!  this machine was too slow: what was due came late, by up to %s on average; the "
             "measures tell of the machine, too, and not of the strategy alone",
             lab_words_seconds(late->measures[MEASURE_LATE].mean, seconds));
    put_text(table, text, INK_YELLOW);
}

static void put_notes(const struct table *table)
{
    char text[LAB_REPORT_LINE_SIZE];
    fputc('\n', table->stream);
    if (table->best != NULL && advise_feeds(table->best)) {
        snprintf(text, sizeof text,
                 "*  of all that reach %.0f %% of the quota and lose at most %g %% of the calls, "
                 "the one whose calls wait least, and of equals the one with the shortest p99",
                 ADVISE_SHARE_WANTED * 100, ADVISE_LOST_ALLOWED * 100);
        put_text(table, text, INK_DIM);
    } else if (table->best != NULL) {
        snprintf(text, sizeof text,
                 "*  nearest; nothing reaches %.0f %% of the quota with at "
                 "most %g %% of the calls lost",
                 ADVISE_SHARE_WANTED * 100, ADVISE_LOST_ALLOWED * 100);
        put_text(table, text, INK_DIM);
    }
    if (was_cut_short(table->report->sweep))
        put_text(table,
                 "#  cut short: its measures are of the time that it ran, and it is not compared "
                 "with the others",
                 INK_DIM);
    put_lateness(table);
    snprintf(text, sizeof text, "%s  half of the 95 %% confidence interval",
             table->style->unicode ? "±" : "+-");
    put_text(table, text, INK_DIM);
}

bool lab_report_table(const struct lab_report *report, const struct report_style *style,
                      FILE *stream, struct error *error)
{
    const struct experiment *experiment = report->sweep->experiment;
    const struct table table = {report, style, stream, advise_best(report->sweep),
                                lab_goodput_measure(report->sweep)};
    char text[LAB_REPORT_LINE_SIZE];
    (void)error;
    put_text(&table, experiment->name, INK_BOLD);
    put_text(&table, lab_report_how(report, text), INK_PLAIN);
    put_text(&table, lab_report_bound(report, text), INK_PLAIN);
    fputc('\n', stream);
    put_heads(&table, false);
    for (size_t i = 0; i < experiment->strategy_count; i++)
        put_strategy(&table, i);
    if (experiment->strategy_count > 1)
        put_summary(&table);
    put_notes(&table);
    if (report->advice != NULL) {
        fputc('\n', stream);
        put_text(&table, report->advice, INK_PLAIN);
    }
    return true;
}
