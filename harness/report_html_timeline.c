#include "harness/report_html_parts.h"

#include "base/duration.h"
#include "base/escape.h"
#include "harness/report_timeline.h"
#include "harness/report_words.h"

#include <string.h>

enum {
    CALLS_MAX = 50,            /* rows drawn */
    ATTEMPTS_DRAWN_MAX = 4000, /* in one scenario: a hot loop must not make a page of megabytes */
    ATTEMPTS_LISTED_MAX = 300, /* rows of the table */
    ROW_HEIGHT = 32,           /* px */
    LINE_Y = 22,               /* of a row: below the text of the wait */
    TEXT_Y = 13,
};

struct drawing {
    const struct result *result;
    struct timeline_span span;
    size_t drawn;
    FILE *stream;
};

/* Positions are percentages, so that the drawing takes the width of the page and texts stay as
 * large as they are. */
static double percent_of(const struct drawing *drawing, int64_t at_ns)
{
    return 100.0 * (double)(at_ns - drawing->span.start_ns) /
           (double)(drawing->span.end_ns - drawing->span.start_ns);
}

static const char *class_of(const struct attempt *attempt)
{
    if (attempt->status == 0)
        return "none";
    if (attempt->status == 429)
        return "throttled";
    return attempt->status >= 400 ? "error" : "served";
}

/* Shapes differ too, for those who do not tell the colours apart. */
static const char *shape_of(const struct attempt *attempt)
{
    if (attempt->status == 0)
        return "<path d=\"M-5-5L5 5M-5 5L5-5\"/>";
    if (attempt->status >= 400 && attempt->status != 429)
        return "<path d=\"M0-6L6 0L0 6L-6 0Z\"/>";
    return "<circle r=\"5\"/>";
}

static void put_line(const struct drawing *drawing, const char *class, double from, double to,
                     const char *title)
{
    fprintf(drawing->stream,
            "<line class=\"%s\" x1=\"%.3f%%\" x2=\"%.3f%%\" y1=\"%d\" y2=\"%d\"><title>%s</title>"
            "</line>",
            class, from, to, LINE_Y, LINE_Y, title);
}

/* What a line stands for is written over it where it is long enough. */
static void put_labelled_line(const struct drawing *drawing, const char *class, int64_t from_ns,
                              int64_t to_ns, const char *what)
{
    const double labelled_from_percent = 7;
    char duration[DURATION_TEXT_SIZE];
    char title[REPORT_WORDS_SIZE];
    double from = percent_of(drawing, from_ns);
    double to = percent_of(drawing, to_ns);
    duration_text(to_ns - from_ns, duration);
    snprintf(title, sizeof title, "%s %s", what, duration);
    put_line(drawing, class, from, to, title);
    if (to - from >= labelled_from_percent)
        fprintf(drawing->stream, "<text x=\"%.3f%%\" y=\"%d\">%s</text>", (from + to) / 2, TEXT_Y,
                duration);
}

static int64_t answer_ns(const struct attempt *attempt)
{
    return attempt->answered_ns >= 0 ? attempt->answered_ns : attempt->arrived_ns;
}

static void put_mark(const struct drawing *drawing, const struct attempt *attempt, size_t number)
{
    FILE *stream = drawing->stream;
    char at[DURATION_TEXT_SIZE];
    char took[DURATION_TEXT_SIZE];
    duration_text(answer_ns(attempt) - drawing->span.start_ns, at);
    fprintf(stream, "<svg class=\"mark %s\" x=\"%.3f%%\" y=\"%d\" overflow=\"visible\">%s<title>",
            class_of(attempt), percent_of(drawing, answer_ns(attempt)), LINE_Y, shape_of(attempt));
    if (attempt->status == 0)
        fprintf(stream, "attempt %zu: no answer, arrived at %s", number, at);
    else
        fprintf(stream, "attempt %zu: %d %s at %s, %s under way", number, attempt->status,
                attempt->status == 429  ? "(throttled)"
                : attempt->status < 400 ? "(served)"
                                        : "(error)",
                at, duration_text(attempt->answered_ns - attempt->arrived_ns, took));
    fputs("</title></svg>", stream);
}

static void put_call(struct drawing *drawing, const struct call *call)
{
    size_t room = ATTEMPTS_DRAWN_MAX - drawing->drawn;
    size_t count = call->attempt_count < room ? call->attempt_count : room;
    for (size_t i = 0; i < count; i++) {
        const struct attempt *attempt = &call->attempts[i];
        if (i > 0 && attempt->delay_ns >= 0)
            put_labelled_line(drawing, "wait", answer_ns(&call->attempts[i - 1]),
                              attempt->arrived_ns, "the client waits");
        if (attempt->answered_ns > attempt->arrived_ns)
            put_labelled_line(drawing, "way", attempt->arrived_ns, attempt->answered_ns,
                              "under way");
    }
    if (drawing->result->call_count == 1 && drawing->span.reaches_end && count > 0)
        put_labelled_line(drawing, "after", answer_ns(&call->attempts[call->attempt_count - 1]),
                          drawing->span.end_ns, "the client goes on for");
    for (size_t i = 0; i < count; i++)
        put_mark(drawing, &call->attempts[i], i + 1);
    drawing->drawn += count;
}

static void put_axis(const struct drawing *drawing)
{
    FILE *stream = drawing->stream;
    int64_t span_ns = drawing->span.end_ns - drawing->span.start_ns;
    int64_t tick_ns = timeline_tick_ns(span_ns);
    fputs("<span></span><div class=\"row\"><svg height=\"26\" aria-hidden=\"true\">"
          "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"4\" y2=\"4\"/>",
          stream);
    for (int64_t at_ns = 0; at_ns <= span_ns; at_ns += tick_ns) {
        char text[DURATION_TEXT_SIZE];
        double x = percent_of(drawing, drawing->span.start_ns + at_ns);
        fprintf(stream,
                "<line class=\"grid\" x1=\"%.3f%%\" x2=\"%.3f%%\" y1=\"0\" y2=\"8\"/>"
                "<text x=\"%.3f%%\" y=\"22\">%s</text>",
                x, x, x, duration_text(at_ns, text));
    }
    fputs("</svg></div><span></span>\n", stream);
}

void report_html_timeline(const struct result *result, FILE *stream)
{
    enum { STATUSES_SIZE = 40 };
    if (result->call_count == 0)
        return;
    struct drawing drawing = {result, timeline_span_of(result), 0, stream};
    size_t chosen[CALLS_MAX];
    size_t shown = timeline_choose(result, chosen, CALLS_MAX);
    fputs("<div class=\"scroll\"><div class=\"time\">\n", stream);
    for (size_t i = 0; i < shown; i++) {
        const struct call *call = &result->calls[chosen[i]];
        char statuses[STATUSES_SIZE];
        report_statuses(call, 0, call->attempt_count, statuses, sizeof statuses);
        fputs("<span>", stream);
        if (result->run_count > 1)
            fprintf(stream, "run %d ", call->run + 1);
        fprintf(stream,
                "call %zu</span><div class=\"row\"><svg height=\"%d\" role=\"img\" "
                "aria-label=\"call %zu: %zu attempts: %s\">",
                chosen[i] + 1, ROW_HEIGHT, chosen[i] + 1, call->attempt_count, statuses);
        put_call(&drawing, call);
        fprintf(stream, "</svg></div><span>%s</span>\n", statuses);
    }
    put_axis(&drawing);
    fputs("</div></div>\n", stream);
    if (shown < result->call_count)
        fprintf(stream, "<p class=\"why\">and %zu more calls</p>\n", result->call_count - shown);
}

static void put_cell(FILE *stream, bool is_known, int64_t ns)
{
    char text[DURATION_TEXT_SIZE];
    fprintf(stream, "<td class=\"number\">%s</td>", is_known ? duration_text(ns, text) : "");
}

static void put_attempt(FILE *stream, const struct result *result, const struct call *call,
                        size_t index)
{
    const struct attempt *attempt = &call->attempts[index];
    int64_t origin_ns = report_origin_ns(result);
    fprintf(stream, "<tr><td class=\"number\">%zu</td><td class=\"number\">%zu</td>",
            (size_t)(call - result->calls) + 1, index + 1);
    put_cell(stream, true, attempt->arrived_ns - origin_ns);
    put_cell(stream, attempt->answered_ns >= 0, attempt->answered_ns - origin_ns);
    put_cell(stream, attempt->delay_ns >= 0, attempt->delay_ns);
    if (attempt->status != 0)
        fprintf(stream, "<td class=\"number\">%d</td><td>", attempt->status);
    else
        fputs("<td class=\"number\">none</td><td>", stream);
    escape_xml(stream, attempt->code, strlen(attempt->code), false);
    fputs("</td>", stream);
    put_cell(stream, attempt->retry_after_ns >= 0, attempt->retry_after_ns);
    fputs("</tr>\n", stream);
}

void report_html_attempts(const struct result *result, FILE *stream)
{
    size_t listed = 0;
    size_t total = 0;
    if (result->call_count == 0)
        return;
    fputs("<details class=\"more\"><summary>All attempts</summary><div class=\"scroll\"><table>"
          "<thead><tr><th class=\"number\">Call</th><th class=\"number\">Attempt</th>"
          "<th class=\"number\">Arrived</th><th class=\"number\">Answered</th>"
          "<th class=\"number\">Delay before</th><th class=\"number\">Status</th><th>Code</th>"
          "<th class=\"number\">Retry-After</th></tr></thead><tbody>\n",
          stream);
    for (size_t i = 0; i < result->call_count; i++) {
        const struct call *call = &result->calls[i];
        total += call->attempt_count;
        for (size_t j = 0; j < call->attempt_count && listed < ATTEMPTS_LISTED_MAX; j++, listed++)
            put_attempt(stream, result, call, j);
    }
    fputs("</tbody></table></div>", stream);
    if (listed < total)
        fprintf(stream, "<p class=\"why\">and %zu more; the JSON report has all</p>",
                total - listed);
    fputs("</details>\n", stream);
}
