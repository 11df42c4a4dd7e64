/* The text report: for each scenario what came of it, what passed between client and server on an
 * axis of time, what was worth a note, what was expected and not seen. Calm where all is well:
 * a scenario that passed takes a few lines. */
#include "harness/report.h"

#include "base/duration.h"
#include "base/escape.h"
#include "base/text_line.h"
#include "harness/report_timeline.h"
#include "harness/report_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    INDENT = 6,         /* of all that stands below a head line */
    FIELD_COLUMN = 16,  /* where the text of a labelled line begins */
    DETAIL_COLUMN = 26, /* and that of "expected", "seen", "hint" */
    TAIL_LINES = 8,     /* of the client's output, where a scenario failed */
    TAIL_LINE_BYTES = 600,
    BAR_COLUMNS = 10,
};

struct page {
    const struct report_style *style;
    FILE *stream;
};

static const struct {
    const char *word;
    enum ink ink;
} heads[REPORT_STATE_COUNT] = {
    [REPORT_PASSED] = {"pass", INK_GREEN},
    [REPORT_FAILED] = {"FAIL", INK_BOLD_RED},
    [REPORT_KNOWN_FAILING] = {"known", INK_YELLOW},
    [REPORT_UNLISTED_DUE] = {"FAIL", INK_BOLD_RED},
    [REPORT_STOPPED] = {"stop", INK_YELLOW},
    [REPORT_COULD_NOT_RUN] = {"ERROR", INK_BOLD_RED},
};

/* All texts that are not the program's own go through here, or through escape_terminal(). */
static void put_paragraph(const struct page *page, const struct text_paragraph *paragraph,
                          const char *text)
{
    char *safe = escape_terminal(text, strlen(text), page->style->unicode);
    text_write_paragraph(paragraph, safe != NULL ? safe : "(out of memory)", page->style,
                         page->stream);
    free(safe);
}

static void put_field(const struct page *page, const char *label, enum ink label_ink,
                      const char *text)
{
    struct text_paragraph paragraph = {
        .indent = INDENT, .column = FIELD_COLUMN, .label = label, .label_ink = label_ink};
    put_paragraph(page, &paragraph, text);
}

static void put_detail(const struct page *page, const char *label, const char *text)
{
    struct text_paragraph paragraph = {
        .indent = FIELD_COLUMN, .column = DETAIL_COLUMN, .label = label, .label_ink = INK_DIM};
    put_paragraph(page, &paragraph, text);
}

static void put_blank(const struct page *page)
{
    fputc('\n', page->stream);
}

/* The name; at the right end how long it took, on a line of its own if the name is long. */
static void write_head(const struct page *page, const struct result *result)
{
    enum { GAP = 2 };
    enum report_state state = report_state_of(result);
    char *name = report_full_name(result);
    char *safe = name != NULL ? escape_terminal(name, strlen(name), page->style->unicode) : NULL;
    const char *shown = safe != NULL ? safe : "(out of memory)";
    char duration[DURATION_TEXT_SIZE];
    char took[REPORT_WORDS_SIZE] = "";
    if (state != REPORT_COULD_NOT_RUN)
        snprintf(took, sizeof took, "%s  %s", duration_text(result->duration_ns, duration),
                 report_time_name(result));
    struct text_line line;
    text_line_start(&line, page->style);
    int width = line.width;
    bool fits = INDENT + text_columns(shown) + GAP + text_columns(took) <= width;
    if (fits) {
        text_line_put(&line, 0, heads[state].ink, heads[state].word);
        text_line_put(&line, INDENT, INK_BOLD, shown);
    } else {
        struct text_paragraph paragraph = {
            .column = INDENT,
            .label = heads[state].word,
            .label_ink = heads[state].ink,
            .ink = INK_BOLD,
        };
        text_write_paragraph(&paragraph, shown, page->style, page->stream);
    }
    text_line_put_right(&line, width, INK_DIM, took);
    if (fits || took[0] != '\0')
        text_line_end(&line, page->stream);
    free(name);
    free(safe);
}

/* What the head's word means, where it is not plain. */
static void write_state(const struct page *page, const struct result *result)
{
    char text[sizeof result->error.place + sizeof result->error.message + 4];
    switch (report_state_of(result)) {
    case REPORT_COULD_NOT_RUN:
        put_field(page, "error", INK_RED, error_text(&result->error, text, sizeof text));
        if (result->command != NULL)
            put_field(page, "command", INK_DIM, result->command);
        break;
    case REPORT_KNOWN_FAILING:
        put_field(page, "known", INK_YELLOW, "it fails, as the list of known failing ones says");
        break;
    case REPORT_UNLISTED_DUE:
        put_field(page, "listed", INK_RED,
                  "it passes, but is listed as known failing: take it off the list");
        break;
    case REPORT_STOPPED:
        put_field(page, "stopped", INK_YELLOW, "by a signal, before its end; judged so far");
        break;
    default:
        break;
    }
}

static void write_verdict(const struct page *page, const struct verdict *verdict)
{
    char name[REPORT_WORDS_SIZE];
    const char *expected = verdict->expected != NULL ? verdict->expected : "";
    const char *seen = verdict->seen != NULL ? verdict->seen : "";
    bool failed = verdict->state == VERDICT_FAILED;
    put_field(page, failed ? "failed" : "unclear", failed ? INK_RED : INK_YELLOW,
              report_expectation_words(verdict->expectation, name));
    put_detail(page, "expected", expected);
    put_detail(page, "seen", seen);
    if (verdict->hint != NULL && verdict->hint[0] != '\0')
        put_detail(page, "hint", verdict->hint);
}

/* "ok  attempts per call  3", cut rather than broken: it held. */
static void write_held(const struct page *page, const struct verdict *verdict, int seen_column)
{
    char name[REPORT_WORDS_SIZE];
    const char *seen = verdict->seen != NULL ? verdict->seen : "";
    char *safe = escape_terminal(seen, strlen(seen), page->style->unicode);
    struct text_line line;
    text_line_start(&line, page->style);
    text_line_put(&line, INDENT, INK_GREEN, "ok");
    text_line_put(&line, FIELD_COLUMN, INK_PLAIN,
                  report_expectation_words(verdict->expectation, name));
    if (safe != NULL && seen_column + text_columns(safe) > line.width)
        text_line_put(&line, line.width - 3, INK_DIM, "...");
    if (safe != NULL) {
        int room = line.width;
        line.width -= seen_column + text_columns(safe) > room ? 4 : 0;
        text_line_put(&line, seen_column, INK_DIM, safe);
        line.width = room;
    }
    text_line_end(&line, page->stream);
    free(safe);
}

static void write_verdicts(const struct page *page, const struct result *result)
{
    enum { GAP = 2 };
    size_t held = 0;
    int seen_column = FIELD_COLUMN;
    bool in_full = page->style->verbose || !result->passed;
    char name[REPORT_WORDS_SIZE];
    for (size_t i = 0; i < result->verdict_count; i++) {
        const struct verdict *verdict = &result->verdicts[i];
        int end =
            FIELD_COLUMN + GAP + text_columns(report_expectation_words(verdict->expectation, name));
        held += verdict->state == VERDICT_HELD;
        if (verdict->state == VERDICT_HELD && end > seen_column)
            seen_column = end;
    }
    for (size_t i = 0; i < result->verdict_count; i++) {
        if (result->verdicts[i].state != VERDICT_HELD)
            write_verdict(page, &result->verdicts[i]);
    }
    for (size_t i = 0; i < result->verdict_count && in_full; i++) {
        if (result->verdicts[i].state == VERDICT_HELD)
            write_held(page, &result->verdicts[i], seen_column);
    }
    if (in_full || held == 0)
        return;
    char text[64];
    snprintf(text, sizeof text, "%zu expectation%s held", held, held == 1 ? "" : "s");
    put_field(page, "ok", INK_GREEN, text);
}

static bool has_one_model(const struct result *result)
{
    for (size_t i = 1; i < result->usage_count; i++) {
        if (strcmp(result->usages[i].model, result->usages[0].model) != 0 ||
            strcmp(result->usages[i].key_tail, result->usages[0].key_tail) != 0)
            return false;
    }
    return true;
}

static void draw_bar(struct text_line *line, int column, const struct usage *usage, bool unicode)
{
    int percent = report_usage_percent(usage);
    int filled = (percent * BAR_COLUMNS + 99) / 100;
    for (int i = 0; i < BAR_COLUMNS; i++) {
        bool is_filled = i < filled;
        text_line_put(line, column + i,
                      !is_filled             ? INK_DIM
                      : usage->throttled > 0 ? INK_YELLOW
                                             : INK_GREEN,
                      unicode ? (is_filled ? "█" : "░") : (is_filled ? "#" : "."));
    }
}

/* In narrow terminals the bar goes first, then what was refused goes to a line of its own. */
static void write_usage(const struct page *page, const struct usage *usage, const char *label,
                        int bar_column, bool with_model)
{
    char text[REPORT_WORDS_SIZE];
    struct text_line line;
    text_line_start(&line, page->style);
    text_line_put(&line, INDENT, INK_DIM, label);
    text_line_put(&line, FIELD_COLUMN, INK_PLAIN, report_expectation_words(usage->dimension, text));
    report_usage_words(usage, text);
    char *refused = strchr(text, ',');
    int column = bar_column + BAR_COLUMNS + 2;
    bool breaks = refused != NULL && column + text_columns(text) > line.width;
    if (breaks)
        *refused = '\0';
    if (column + text_columns(text) <= line.width)
        draw_bar(&line, bar_column, usage, page->style->unicode);
    else
        column = bar_column;
    text_line_put(&line, column, INK_PLAIN, text);
    text_line_end(&line, page->stream);
    if (breaks) {
        struct text_paragraph paragraph = {.column = bar_column};
        put_paragraph(page, &paragraph, refused + 2);
    }
    if (with_model) {
        snprintf(text, sizeof text, "  of %s, key ...%s", usage->model, usage->key_tail);
        put_field(page, NULL, INK_DIM, text);
    }
}

static void write_usages(const struct page *page, const struct result *result)
{
    char text[REPORT_WORDS_SIZE];
    int bar_column = 0;
    bool one_model = has_one_model(result);
    for (size_t i = 0; i < result->usage_count; i++) {
        int end = FIELD_COLUMN + 2 +
                  text_columns(report_expectation_words(result->usages[i].dimension, text));
        bar_column = end > bar_column ? end : bar_column;
    }
    for (size_t i = 0; i < result->usage_count; i++)
        write_usage(page, &result->usages[i], i == 0 ? "quota" : "", bar_column, !one_model);
}

/* Cuts valid UTF-8 to so many columns, with dots at its end. */
static void cut_to_columns(char *text, int columns)
{
    enum { DOTS = 4 };
    if (text_columns(text) <= columns)
        return;
    size_t length = strlen(text);
    while (length > 0 && text_columns(text) > columns - DOTS) {
        do
            length--;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80);
        text[length] = '\0';
    }
    strcpy(text + length, " ...");
}

/* The last line is shown whole: it is the error most often. */
static void write_output_line(const struct page *page, const char *label, const char *text,
                              size_t length, bool is_last)
{
    struct text_paragraph paragraph = {
        .indent = INDENT,
        .column = FIELD_COLUMN + 2,
        .label = label,
        .label_ink = INK_DIM,
        .bar = page->style->unicode ? "│" : "|",
    };
    size_t kept = length > TAIL_LINE_BYTES ? TAIL_LINE_BYTES : length;
    while (kept < length && kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80)
        kept--; /* not within a character */
    if (kept == length && kept > 0 && text[kept - 1] == '\r')
        kept--;
    char *safe = escape_terminal(text, kept, page->style->unicode);
    char *shown = NULL;
    if (safe == NULL || asprintf(&shown, "%s%s", safe, kept + 1 < length ? " ..." : "") < 0)
        shown = NULL;
    if (shown != NULL && !is_last)
        cut_to_columns(shown, page->style->width - paragraph.column);
    text_write_paragraph(&paragraph, shown != NULL ? shown : "", page->style, page->stream);
    free(safe);
    free(shown);
}

/* The end of what the client wrote: stderr, or stdout where that is empty. */
static void write_output(const struct page *page, const struct client_run *run)
{
    bool has_errors = run->errors_length > 0;
    const char *text = has_errors ? run->errors : run->output;
    size_t length = has_errors ? run->errors_length : run->output_length;
    if (text == NULL || length == 0)
        return;
    size_t skipped = 0;
    const char *label = has_errors ? "stderr" : "stdout";
    size_t start = report_tail(text, length, TAIL_LINES, &skipped);
    if (skipped > 0) {
        char before[64];
        snprintf(before, sizeof before, "(%zu lines before)", skipped);
        put_field(page, label, INK_DIM, before);
        label = NULL;
    }
    while (start < length) {
        const char *end = memchr(text + start, '\n', length - start);
        size_t line_length = end != NULL ? (size_t)(end - text) - start : length - start;
        bool is_last = start + line_length + 1 >= length;
        write_output_line(page, label, text + start, line_length, is_last);
        label = NULL;
        start += line_length + 1;
    }
}

static void write_client(const struct page *page, const struct result *result)
{
    const struct client_run *run = report_last_run(result);
    if (result->command != NULL)
        put_field(page, "command", INK_DIM, result->command);
    if (result->file != NULL)
        put_field(page, "scenario", INK_DIM, result->file);
    if (run == NULL)
        return;
    char end[REPORT_WORDS_SIZE];
    char text[REPORT_WORDS_SIZE + 64];
    report_client_end(run, end);
    snprintf(text, sizeof text, "%s", end);
    if (result->run_count > 1)
        snprintf(text, sizeof text, "%s, the last of %zu runs", end, result->run_count);
    put_field(page, "client", INK_DIM, text);
    if (run->survivors != NULL)
        put_field(page, "left", INK_DIM, run->survivors);
    write_output(page, run);
}

bool report_text_one(const struct result *result, const struct report_style *style, FILE *stream)
{
    struct page page = {style, stream};
    bool ran = !result->could_not_run;
    bool explains = ran && !result->passed;
    write_head(&page, result);
    if (explains && result->why != NULL && result->why[0] != '\0') {
        struct text_paragraph paragraph = {.column = INDENT, .ink = INK_DIM};
        put_paragraph(&page, &paragraph, result->why);
    }
    write_state(&page, result);
    if (ran && result->call_count > 0) {
        if (explains)
            put_blank(&page);
        timeline_write(result, style, INDENT, stream);
    }
    if (explains)
        put_blank(&page);
    if (result->time_note != NULL && (result->is_inexact || style->verbose))
        put_field(&page, "time", result->is_inexact ? INK_YELLOW : INK_DIM, result->time_note);
    for (size_t i = 0; i < result->note_count; i++)
        put_field(&page, i == 0 ? "note" : "", INK_DIM, result->notes[i]);
    if (ran)
        write_verdicts(&page, result);
    write_usages(&page, result);
    if (explains) {
        put_blank(&page);
        write_client(&page, result);
    }
    put_blank(&page);
    return !ferror(stream);
}

static void write_names(const struct page *page, const struct results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct result *result = &results->items[i];
        enum report_state state = report_state_of(result);
        if (state == REPORT_PASSED || state == REPORT_KNOWN_FAILING)
            continue;
        char *name = report_full_name(result);
        struct text_paragraph paragraph = {
            .column = INDENT, .label = heads[state].word, .label_ink = heads[state].ink};
        put_paragraph(page, &paragraph, name != NULL ? name : "(out of memory)");
        free(name);
    }
}

bool report_text_summary(const struct results *results, const struct report_style *style,
                         FILE *stream)
{
    struct page page = {style, stream};
    struct report_counts counts = report_count(results);
    struct text_line line;
    int column = 0;
    if (results->count > 1)
        write_names(&page, results);
    if (results->interrupted)
        fputs("stopped by a signal; what was not begun is not counted\n", stream);
    text_line_start(&line, style);
    for (int state = 0; state < REPORT_STATE_COUNT; state++) {
        char text[REPORT_WORDS_SIZE];
        bool always = state == REPORT_PASSED || state == REPORT_FAILED;
        if (counts.of[state] == 0 && !always)
            continue;
        snprintf(text, sizeof text, "%zu %s", counts.of[state],
                 report_state_name((enum report_state)state));
        if (column > 0)
            column = text_line_put(&line, column, INK_PLAIN, ", ");
        if (column + text_columns(text) + 1 > line.width) {
            text_line_end(&line, stream);
            text_line_start(&line, style);
            column = 0;
        }
        column =
            text_line_put(&line, column, counts.of[state] > 0 ? heads[state].ink : INK_PLAIN, text);
    }
    text_line_end(&line, stream);
    return fflush(stream) == 0 && !ferror(stream);
}

bool report_text(const struct results *results, const struct report_style *style, FILE *stream)
{
    for (size_t i = 0; i < results->count; i++)
        report_text_one(&results->items[i], style, stream);
    return report_text_summary(results, style, stream);
}
