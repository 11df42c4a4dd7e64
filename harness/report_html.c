/* The HTML report: one page that stands for itself, without scripts and without anything to load:
 * a summary, then a card for each scenario; those that did not pass are open. */
#include "harness/report.h"

#include "base/duration.h"
#include "base/escape.h"
#include "base/html_style.h"
#include "harness/report_html_parts.h"
#include "harness/report_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL_LINES = 40, TAIL_BYTES = 16 * 1024 };

/* Every state looks like one of three: good, bad, or to be looked at. */
static const char *const looks[REPORT_STATE_COUNT] = {
    [REPORT_PASSED] = "good",      [REPORT_FAILED] = "bad",   [REPORT_KNOWN_FAILING] = "warn",
    [REPORT_UNLISTED_DUE] = "bad", [REPORT_STOPPED] = "warn", [REPORT_COULD_NOT_RUN] = "bad",
};

static void put_text(FILE *stream, const char *text)
{
    if (text != NULL)
        escape_xml(stream, text, strlen(text), false);
}

static void put_headline(FILE *stream, const struct results *results)
{
    struct report_counts counts = report_count(results);
    const char *separator = "";
    if (report_all_well(results))
        fprintf(stream, "<h1>%s</h1>\n<p class=\"counts\">",
                results->count == 1 ? "The scenario passed" : "All is well");
    else
        fprintf(stream, "<h1>%zu of %zu scenario%s did not pass</h1>\n<p class=\"counts\">",
                results->count - counts.of[REPORT_PASSED] - counts.of[REPORT_KNOWN_FAILING],
                results->count, results->count == 1 ? "" : "s");
    for (int state = 0; state < REPORT_STATE_COUNT; state++) {
        if (counts.of[state] == 0)
            continue;
        fprintf(stream, "%s%zu %s", separator, counts.of[state],
                report_state_name((enum report_state)state));
        separator = ", ";
    }
    if (results->interrupted)
        fputs("; stopped by a signal before the end", stream);
    fputs("</p>\n<div class=\"share\" aria-hidden=\"true\">", stream);
    for (int state = 0; state < REPORT_STATE_COUNT; state++) {
        if (counts.of[state] > 0)
            fprintf(stream, "<span class=\"%s\" style=\"flex:%zu\"></span>", looks[state],
                    counts.of[state]);
    }
    fputs("</div>\n", stream);
}

static void put_legend(FILE *stream)
{
    fputs("<ul class=\"legend\" aria-label=\"Legend of the time lines\">"
          "<li><svg class=\"mark served\"><circle cx=\"8\" cy=\"8\" r=\"5\"/></svg>served</li>"
          "<li><svg class=\"mark throttled\"><circle cx=\"8\" cy=\"8\" r=\"5\"/></svg>429</li>"
          "<li><svg class=\"mark error\"><path d=\"M8 2L14 8L8 14L2 8Z\"/></svg>other error</li>"
          "<li><svg class=\"mark none\"><path d=\"M3 3L13 13M3 13L13 3\"/></svg>no answer</li>"
          "<li><svg><line class=\"way\" x1=\"1\" x2=\"15\" y1=\"8\" y2=\"8\"/></svg>under way</li>"
          "<li><svg><line class=\"wait\" x1=\"0\" x2=\"16\" y1=\"8\" y2=\"8\"/></svg>"
          "the client waits</li></ul>\n",
          stream);
}

static void put_verdict(FILE *stream, const struct verdict *verdict)
{
    static const char *const words[] = {
        [VERDICT_HELD] = "held", [VERDICT_FAILED] = "failed", [VERDICT_UNDETERMINED] = "unclear"};
    static const char *const classes[] = {
        [VERDICT_HELD] = "good", [VERDICT_FAILED] = "bad", [VERDICT_UNDETERMINED] = "warn"};
    bool has_hint =
        verdict->state != VERDICT_HELD && verdict->hint != NULL && verdict->hint[0] != '\0';
    char name[REPORT_WORDS_SIZE];
    fprintf(stream, "<tr%s><td class=\"state is-%s\">%s</td><td>",
            has_hint ? " class=\"has-hint\"" : "", classes[verdict->state], words[verdict->state]);
    put_text(stream, report_expectation_words(verdict->expectation, name));
    fputs("</td><td>", stream);
    put_text(stream, verdict->expected);
    fputs("</td><td>", stream);
    put_text(stream, verdict->seen);
    fputs("</td></tr>\n", stream);
    if (!has_hint)
        return;
    fputs("<tr><td></td><td class=\"hint\" colspan=\"3\">", stream);
    put_text(stream, verdict->hint);
    fputs("</td></tr>\n", stream);
}

static void put_verdicts(FILE *stream, const struct result *result)
{
    if (result->verdict_count == 0)
        return;
    fputs("<h2>Expectations</h2><div class=\"scroll\"><table><thead><tr><th>Verdict</th>"
          "<th>Expectation</th><th>Expected</th><th>Seen</th></tr></thead><tbody>\n",
          stream);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < result->verdict_count; i++) {
            bool held = result->verdicts[i].state == VERDICT_HELD;
            if (held == (pass == 1))
                put_verdict(stream, &result->verdicts[i]);
        }
    }
    fputs("</tbody></table></div>\n", stream);
}

static void put_usages(FILE *stream, const struct result *result)
{
    if (result->usage_count == 0)
        return;
    fputs("<h2>Quota</h2><div class=\"usage\">\n", stream);
    for (size_t i = 0; i < result->usage_count; i++) {
        const struct usage *usage = &result->usages[i];
        int percent = report_usage_percent(usage);
        char text[REPORT_WORDS_SIZE];
        fputs("<div>", stream);
        put_text(stream, report_expectation_words(usage->dimension, text));
        fputs("<br><code>", stream);
        put_text(stream, usage->model);
        fprintf(stream,
                "</code></div><div class=\"bar\"><span class=\"%s\" style=\"width:%d%%\"></span>"
                "</div><div>%s</div>\n",
                usage->throttled > 0 ? "warn" : "good", percent > 100 ? 100 : percent,
                report_usage_words(usage, text));
    }
    fputs("</div>\n", stream);
}

static void put_output(FILE *stream, const char *title, const char *text, size_t length)
{
    size_t skipped = 0;
    if (text == NULL || length == 0)
        return;
    size_t start = report_tail(text, length, TAIL_LINES, &skipped);
    if (length - start > TAIL_BYTES)
        start = length - TAIL_BYTES;
    fprintf(stream, "<h2>%s", title);
    if (skipped > 0)
        fprintf(stream, ", without the %zu lines before", skipped);
    fputs("</h2><pre tabindex=\"0\">", stream);
    escape_xml(stream, text + start, length - start, false);
    fputs("</pre>\n", stream);
}

static void put_term(FILE *stream, const char *term, const char *text, bool is_code)
{
    if (text == NULL || text[0] == '\0')
        return;
    fprintf(stream, "<dt>%s</dt><dd>%s", term, is_code ? "<code>" : "");
    put_text(stream, text);
    fputs(is_code ? "</code></dd>\n" : "</dd>\n", stream);
}

static void put_client(FILE *stream, const struct result *result)
{
    const struct client_run *run = report_last_run(result);
    char text[REPORT_WORDS_SIZE];
    fputs("<h2>Client</h2><dl>\n", stream);
    put_term(stream, "command", result->command, true);
    put_term(stream, "scenario", result->file, true);
    snprintf(text, sizeof text, "%" PRIu64, result->seed);
    put_term(stream, "seed", text, false);
    if (run != NULL) {
        put_term(stream, "ended", report_client_end(run, text), false);
        put_term(stream, "left behind", run->survivors, false);
    }
    snprintf(text, sizeof text, "%" PRIu64 ", %" PRIu64 " throttled, at most %d in flight",
             result->requests, result->throttled, result->in_flight_most);
    if (!result->could_not_run)
        put_term(stream, "requests", text, false);
    fputs("</dl>\n", stream);
    if (run == NULL)
        return;
    put_output(stream, "stderr", run->errors, run->errors_length);
    if (!result->passed && run->errors_length == 0)
        put_output(stream, "stdout", run->output, run->output_length);
}

static void put_alert(FILE *stream, const struct result *result)
{
    char text[sizeof result->error.place + sizeof result->error.message + 4];
    const char *alert = NULL;
    switch (report_state_of(result)) {
    case REPORT_COULD_NOT_RUN:
        alert = error_text(&result->error, text, sizeof text);
        break;
    case REPORT_UNLISTED_DUE:
        alert = "It passes, but is listed as known failing: take it off the list.";
        break;
    case REPORT_STOPPED:
        alert = "Stopped by a signal before its end; judged so far.";
        break;
    default:
        return;
    }
    fputs("<p class=\"alert\">", stream);
    put_text(stream, alert);
    fputs("</p>\n", stream);
}

static void put_card(FILE *stream, const struct result *result)
{
    enum report_state state = report_state_of(result);
    char *name = report_full_name(result);
    char duration[DURATION_TEXT_SIZE];
    fprintf(stream,
            "<details class=\"card is-%s\"%s><summary><span class=\"pill is-%s\">%s</span>"
            "<span class=\"name\">",
            looks[state], state == REPORT_PASSED ? "" : " open", looks[state],
            report_state_name(state));
    put_text(stream, name);
    fputs("</span><span class=\"took\">", stream);
    if (state != REPORT_COULD_NOT_RUN)
        fprintf(stream, "%s, %s", duration_text(result->duration_ns, duration),
                report_time_name(result));
    fputs("</span></summary>\n<div class=\"body\">\n", stream);
    if (result->why != NULL && result->why[0] != '\0') {
        fputs("<p class=\"why\">", stream);
        put_text(stream, result->why);
        fputs("</p>\n", stream);
    }
    put_alert(stream, result);
    report_html_timeline(result, stream);
    if (result->time_note != NULL) {
        fputs("<p class=\"why\">", stream);
        put_text(stream, result->time_note);
        fputs("</p>\n", stream);
    }
    if (result->note_count > 0)
        fputs("<ul class=\"notes\">\n", stream);
    for (size_t i = 0; i < result->note_count; i++) {
        fputs("<li>", stream);
        put_text(stream, result->notes[i]);
        fputs("</li>\n", stream);
    }
    if (result->note_count > 0)
        fputs("</ul>\n", stream);
    put_verdicts(stream, result);
    put_usages(stream, result);
    put_client(stream, result);
    report_html_attempts(result, stream);
    fputs("</div></details>\n", stream);
    free(name);
}

static void put_head(FILE *stream, const struct results *results)
{
    fprintf(stream,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            /* Nothing may be loaded or run, whatever a client printed. */
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'\">\n"
            "<title>toomany: %zu of %zu passed</title>\n<style>",
            report_count(results).of[REPORT_PASSED], results->count);
    html_style_put(stream);
    for (size_t i = 0; report_html_style[i] != NULL; i++)
        fputs(report_html_style[i], stream);
    fputs("</style>\n</head>\n", stream);
}

bool report_html(const struct results *results, const struct report_style *style, FILE *stream)
{
    (void)style;
    put_head(stream, results);
    fputs("<body>\n<main>\n<p class=\"brand\">toomany " TOOMANY_VERSION
          ", retry logic against rate limits</p>\n",
          stream);
    put_headline(stream, results);
    put_legend(stream);
    for (size_t i = 0; i < results->count; i++)
        put_card(stream, &results->items[i]);
    fputs("<footer>Times are those of the run&#39;s clock, from the first request on; in the table "
          "of attempts from the client&#39;s start on.</footer>\n</main>\n</body>\n</html>\n",
          stream);
    return fflush(stream) == 0 && !ferror(stream);
}
