#include "harness/report_timeline.h"

#include "base/duration.h"
#include "base/text_line.h"
#include "harness/report_words.h"

#include <string.h>

/* What is drawn with; one set in line-drawing characters, one in ASCII. */
struct pen {
    const char *served;
    const char *throttled;
    const char *other_error;
    const char *no_answer;
    const char *under_way;
    const char *wait;
    const char *after; /* the client goes on after its last answer */
    const char *end;
    const char *axis;
    const char *axis_start;
    const char *tick;
};

static const struct pen unicode_pen = {"●", "○", "◆", "×", "━", "─", "╌", "┤", "─", "├", "┼"};
static const struct pen ascii_pen = {"o", "x", "!", "?", "=", "-", ".", "|", "-", "+", "+"};

struct canvas {
    const struct result *result;
    const struct report_style *style;
    const struct pen *pen;
    struct timeline_span span;
    int column; /* where the axis begins */
    int width;  /* of the axis */
};

enum { STATUSES_SIZE = 40 };

struct timeline_span timeline_span_of(const struct result *result)
{
    struct timeline_span span = {.start_ns = INT64_MAX, .end_ns = INT64_MIN};
    for (size_t i = 0; i < result->call_count; i++) {
        const struct call *call = &result->calls[i];
        for (size_t j = 0; j < call->attempt_count; j++) {
            const struct attempt *attempt = &call->attempts[j];
            int64_t last_ns =
                attempt->answered_ns >= 0 ? attempt->answered_ns : attempt->arrived_ns;
            if (attempt->arrived_ns < span.start_ns)
                span.start_ns = attempt->arrived_ns;
            if (last_ns > span.end_ns)
                span.end_ns = last_ns;
        }
    }
    if (span.end_ns < span.start_ns)
        return (struct timeline_span){0, 1, false};
    /* Starting and ending an interpreter takes time too; only a stay that stands out is shown. */
    enum { SHARE_SHOWN = 8 };
    int64_t shown_from_ns = NS_PER_S / 2;
    const struct client_run *run = report_last_run(result);
    int64_t after_ns = run != NULL ? run->ended_ns - span.end_ns : 0;
    if (after_ns >= shown_from_ns && after_ns > (run->ended_ns - span.start_ns) / SHARE_SHOWN) {
        span.end_ns = run->ended_ns;
        span.reaches_end = true;
    }
    if (span.end_ns == span.start_ns)
        span.end_ns++;
    return span;
}

int64_t timeline_tick_ns(int64_t span_ns)
{
    static const int64_t long_ticks_s[] = {10,   20,   30,   60,    120,   300,  600,
                                           1200, 3600, 7200, 14400, 43200, 86400};
    enum { TICKS_MAX = 6, LONG_COUNT = sizeof long_ticks_s / sizeof long_ticks_s[0] };
    for (int64_t power_ns = 1; power_ns <= NS_PER_S; power_ns *= 10) {
        if (span_ns / power_ns <= TICKS_MAX)
            return power_ns;
        if (span_ns / (2 * power_ns) <= TICKS_MAX)
            return 2 * power_ns;
        if (span_ns / (5 * power_ns) <= TICKS_MAX)
            return 5 * power_ns;
    }
    for (size_t i = 0; i < LONG_COUNT; i++) {
        if (span_ns / (long_ticks_s[i] * NS_PER_S) <= TICKS_MAX)
            return long_ticks_s[i] * NS_PER_S;
    }
    return (span_ns / (TICKS_MAX * NS_PER_DAY) + 1) * NS_PER_DAY;
}

static int column_of(const struct canvas *canvas, int64_t at_ns)
{
    double share = (double)(at_ns - canvas->span.start_ns) /
                   (double)(canvas->span.end_ns - canvas->span.start_ns);
    return canvas->column + (int)(share * (canvas->width - 1) + 0.5);
}

static int answer_column(const struct canvas *canvas, const struct attempt *attempt)
{
    return column_of(canvas,
                     attempt->answered_ns >= 0 ? attempt->answered_ns : attempt->arrived_ns);
}

static const char *mark_of(const struct pen *pen, const struct attempt *attempt)
{
    if (attempt->status == 0)
        return pen->no_answer;
    if (attempt->status == 429)
        return pen->throttled;
    return attempt->status >= 400 ? pen->other_error : pen->served;
}

static enum ink ink_of(const struct attempt *attempt)
{
    if (attempt->status == 429)
        return INK_YELLOW;
    return attempt->status == 0 || attempt->status >= 400 ? INK_RED : INK_GREEN;
}

/* A line over the columns [from, to), with a text in its middle where it fits. */
static void draw_line(struct text_line *line, int from, int to, const char *stroke,
                      const char *text)
{
    enum { SPACES = 2 };
    for (int i = from; i < to; i++)
        text_line_put(line, i, INK_DIM, stroke);
    int length = text_columns(text);
    if (length == 0 || to - from < length + SPACES)
        return;
    int middle = from + (to - from - length) / 2;
    text_line_put(line, middle - 1, INK_PLAIN, " ");
    text_line_put(line, middle, INK_PLAIN, text);
    text_line_put(line, middle + length, INK_PLAIN, " ");
}

/* The wait in full where there is room, else shorter, else not at all. */
static void draw_wait(struct text_line *line, int from, int to, const char *stroke, int64_t wait_ns)
{
    enum { ROOM_BESIDE_TEXT = 4 }; /* a space and a stroke on either side */
    char full[DURATION_TEXT_SIZE];
    char brief[REPORT_WORDS_SIZE];
    if (wait_ns >= NS_PER_MS)
        wait_ns -= wait_ns % NS_PER_US;
    duration_text(wait_ns, full);
    report_short_duration(wait_ns, brief);
    bool full_fits = to - from >= text_columns(full) + ROOM_BESIDE_TEXT;
    draw_line(line, from, to, stroke, full_fits ? full : brief);
}

/* After the last answer of the result: what the client did until its end. */
static void draw_after(const struct canvas *canvas, struct text_line *line, int from,
                       int64_t since_ns)
{
    const struct client_run *run = report_last_run(canvas->result);
    int end = column_of(canvas, canvas->span.end_ns);
    draw_wait(line, from, end, canvas->pen->after, run->ended_ns - since_ns);
    text_line_put(line, end, INK_DIM, canvas->pen->end);
}

/* `with_latency` writes on the heavy lines how long they are: for a drawing without an axis. */
static void draw_call(const struct canvas *canvas, const struct call *call, bool with_latency,
                      struct text_line *line)
{
    int before = -1;
    for (size_t i = 0; i < call->attempt_count; i++) {
        const struct attempt *attempt = &call->attempts[i];
        int arrived = column_of(canvas, attempt->arrived_ns);
        if (i > 0 && attempt->delay_ns >= 0)
            draw_wait(line, before + 1, arrived, canvas->pen->wait, attempt->delay_ns);
        before = answer_column(canvas, attempt);
        if (with_latency)
            draw_wait(line, arrived, before, canvas->pen->under_way,
                      attempt->answered_ns - attempt->arrived_ns);
        else
            draw_line(line, arrived, before, canvas->pen->under_way, "");
    }
    /* Marks last, so that no line covers them. */
    for (size_t i = 0; i < call->attempt_count; i++)
        text_line_put(line, answer_column(canvas, &call->attempts[i]), ink_of(&call->attempts[i]),
                      mark_of(canvas->pen, &call->attempts[i]));
}

/* Attempts whose marks fall on the same column share a label. */
static size_t same_column(const struct canvas *canvas, const struct call *call, size_t from)
{
    size_t to = from + 1;
    while (to < call->attempt_count && answer_column(canvas, &call->attempts[to]) ==
                                           answer_column(canvas, &call->attempts[from]))
        to++;
    return to;
}

/* Centred on `column`, but within the axis and after `first`; -1 where there is no room. */
static int place_label(const struct canvas *canvas, int column, int length, int first)
{
    int start = column - length / 2;
    int last_start = canvas->column + canvas->width - length;
    start = start > last_start ? last_start : start;
    if (start < first && column >= first)
        start = first;
    return start >= first && start <= last_start ? start : -1;
}

/* The statuses below their marks. False where they have no room for all. */
static bool label_statuses(const struct canvas *canvas, const struct call *call,
                           struct text_line *line)
{
    int first = canvas->column;
    for (size_t i = 0; i < call->attempt_count;) {
        char text[STATUSES_SIZE];
        size_t to = same_column(canvas, call, i);
        report_statuses(call, i, to, text, sizeof text);
        int length = text_columns(text);
        int start = place_label(canvas, answer_column(canvas, &call->attempts[i]), length, first);
        if (start < 0)
            return false;
        text_line_put(line, start, ink_of(&call->attempts[to - 1]), text);
        first = start + length + 1;
        i = to;
    }
    return true;
}

/* Above the marks, where each try of the client's own loop begins; what lies between is its SDK's.
 */
static void write_loop_labels(const struct canvas *canvas, const struct call *call, FILE *stream)
{
    struct text_line line;
    if (!call_is_nested(call))
        return;
    text_line_start(&line, canvas->style);
    int first = canvas->column;
    size_t number = 0;
    for (size_t i = 0; i < call->attempt_count; i++) {
        char text[32];
        if (!call->attempts[i].starts_loop)
            continue;
        snprintf(text, sizeof text, "loop %zu", ++number);
        int start = column_of(canvas, call->attempts[i].arrived_ns);
        if (start < first || start + text_columns(text) > line.width)
            return;
        first = text_line_put(&line, start, INK_DIM, text) + 1;
    }
    text_line_end(&line, stream);
}

/* One attempt and nothing after it needs no axis. */
static void write_one_attempt(const struct canvas *canvas, const struct attempt *attempt,
                              FILE *stream)
{
    struct text_line line;
    char duration[DURATION_TEXT_SIZE];
    char text[REPORT_WORDS_SIZE];
    snprintf(text, sizeof text, "%d after %s", attempt->status,
             duration_text(attempt->answered_ns - attempt->arrived_ns, duration));
    text_line_start(&line, canvas->style);
    text_line_put(&line, canvas->column, ink_of(attempt), mark_of(canvas->pen, attempt));
    text_line_put(&line, canvas->column + 2, INK_PLAIN,
                  attempt->answered_ns >= 0 ? text : "no answer");
    text_line_end(&line, stream);
}

static void write_single(const struct canvas *canvas, FILE *stream)
{
    struct text_line line;
    struct text_line labels;
    const struct call *call = &canvas->result->calls[0];
    const struct attempt *last = &call->attempts[call->attempt_count - 1];
    char text[REPORT_WORDS_SIZE];
    int last_column = answer_column(canvas, last);
    int end = column_of(canvas, canvas->span.end_ns);
    if (call->attempt_count == 1 && !canvas->span.reaches_end) {
        write_one_attempt(canvas, last, stream);
        return;
    }
    write_loop_labels(canvas, call, stream);
    text_line_start(&line, canvas->style);
    text_line_start(&labels, canvas->style);
    draw_call(canvas, call, true, &line);
    bool all_labelled = label_statuses(canvas, call, &labels);
    if (!all_labelled) {
        text_line_start(&labels, canvas->style);
        report_statuses(call, 0, call->attempt_count, text, (size_t)canvas->width / 2);
        text_line_put(&labels, canvas->column, INK_PLAIN, text);
    }
    if (canvas->span.reaches_end && end > last_column) {
        draw_after(canvas, &line, last_column + 1,
                   last->answered_ns >= 0 ? last->answered_ns : last->arrived_ns);
        report_client_end_short(report_last_run(canvas->result), text);
        if (end - last_column > text_columns(text) + 3)
            text_line_put_right(&labels, end + 1, INK_DIM, text);
    }
    text_line_end(&line, stream);
    text_line_end(&labels, stream);
}

static void write_axis(const struct canvas *canvas, FILE *stream)
{
    struct text_line line;
    struct text_line labels;
    int64_t span_ns = canvas->span.end_ns - canvas->span.start_ns;
    int64_t tick_ns = timeline_tick_ns(span_ns);
    text_line_start(&line, canvas->style);
    text_line_start(&labels, canvas->style);
    draw_line(&line, canvas->column, canvas->column + canvas->width, canvas->pen->axis, "");
    int first = canvas->column;
    for (int64_t at_ns = 0; at_ns <= span_ns; at_ns += tick_ns) {
        char text[DURATION_TEXT_SIZE];
        int column = column_of(canvas, canvas->span.start_ns + at_ns);
        text_line_put(&line, column, INK_DIM,
                      at_ns == 0 ? canvas->pen->axis_start : canvas->pen->tick);
        duration_text(at_ns, text);
        if (column >= first && column + text_columns(text) <= canvas->style->width)
            first = text_line_put(&labels, column, INK_DIM, text) + 1;
    }
    if (canvas->span.reaches_end)
        text_line_put(&line, canvas->column + canvas->width - 1, INK_DIM, canvas->pen->end);
    text_line_end(&line, stream);
    text_line_end(&labels, stream);
}

static void label_of(const struct result *result, size_t index, char text[REPORT_WORDS_SIZE])
{
    if (result->run_count > 1)
        snprintf(text, REPORT_WORDS_SIZE, "run %d call %zu", result->calls[index].run + 1,
                 index + 1);
    else
        snprintf(text, REPORT_WORDS_SIZE, "call %zu", index + 1);
}

static bool is_served(const struct call *call)
{
    int status = call->attempt_count > 0 ? call->attempts[call->attempt_count - 1].status : 0;
    return status >= 200 && status < 300;
}

size_t timeline_choose(const struct result *result, size_t chosen[], size_t count_max)
{
    size_t telling = 0;
    for (size_t i = 0; i < result->call_count; i++)
        telling += result->calls[i].attempt_count != 1 || !is_served(&result->calls[i]);
    size_t quiet_room = telling < count_max ? count_max - telling : 0;
    size_t count = 0;
    for (size_t i = 0; i < result->call_count && count < count_max; i++) {
        bool is_quiet = result->calls[i].attempt_count == 1 && is_served(&result->calls[i]);
        if (is_quiet && quiet_room == 0)
            continue;
        quiet_room -= is_quiet;
        chosen[count++] = i;
    }
    return count;
}

static void write_rest(const struct result *result, const size_t *chosen, size_t shown, int indent,
                       const struct report_style *style, FILE *stream)
{
    size_t rest = result->call_count - shown;
    size_t served = 0;
    for (size_t i = 0; i < result->call_count; i++)
        served += is_served(&result->calls[i]);
    for (size_t i = 0; i < shown; i++)
        served -= is_served(&result->calls[chosen[i]]);
    struct text_line line;
    char text[REPORT_WORDS_SIZE];
    snprintf(text, sizeof text, "... and %zu more call%s: %zu served, %zu not", rest,
             rest == 1 ? "" : "s", served, rest - served);
    text_line_start(&line, style);
    text_line_put(&line, indent, INK_PLAIN, text);
    text_line_end(&line, stream);
}

static void write_several(struct canvas *canvas, int indent, FILE *stream)
{
    enum { GAP = 2 };
    const struct result *result = canvas->result;
    size_t chosen[TIMELINE_CALLS_MAX];
    size_t shown = timeline_choose(result, chosen, TIMELINE_CALLS_MAX);
    char text[REPORT_WORDS_SIZE];
    int label_columns = 0;
    int status_columns = 0;
    for (size_t i = 0; i < shown; i++) {
        const struct call *call = &result->calls[chosen[i]];
        label_of(result, chosen[i], text);
        label_columns = text_columns(text) > label_columns ? text_columns(text) : label_columns;
        report_statuses(call, 0, call->attempt_count, text, STATUSES_SIZE / 2);
        status_columns = text_columns(text) > status_columns ? text_columns(text) : status_columns;
    }
    canvas->column = indent + label_columns + GAP;
    canvas->width = canvas->width - label_columns - status_columns - 2 * GAP;
    for (size_t i = 0; i < shown; i++) {
        struct text_line line;
        const struct call *call = &result->calls[chosen[i]];
        text_line_start(&line, canvas->style);
        label_of(result, chosen[i], text);
        text_line_put(&line, indent, INK_DIM, text);
        draw_call(canvas, call, false, &line);
        report_statuses(call, 0, call->attempt_count, text, STATUSES_SIZE / 2);
        text_line_put(&line, canvas->column + canvas->width + GAP,
                      call->attempt_count > 0 ? ink_of(&call->attempts[call->attempt_count - 1])
                                              : INK_PLAIN,
                      text);
        text_line_end(&line, stream);
    }
    write_axis(canvas, stream);
    if (shown < result->call_count)
        write_rest(result, chosen, shown, indent, canvas->style, stream);
}

void timeline_write(const struct result *result, const struct report_style *style, int indent,
                    FILE *stream)
{
    if (result->call_count == 0)
        return;
    struct text_line line;
    text_line_start(&line, style);
    struct canvas canvas = {
        .result = result,
        .style = style,
        .pen = style->unicode ? &unicode_pen : &ascii_pen,
        .span = timeline_span_of(result),
        .column = indent,
        .width = line.width - indent,
    };
    if (result->call_count == 1 && result->calls[0].attempt_count > 0)
        write_single(&canvas, stream);
    else
        write_several(&canvas, indent, stream);
}
