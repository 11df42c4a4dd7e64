/* TAP version 13 (https://testanything.org/tap-version-13-specification.html), which prove reads;
 * 14 it refuses: one test point a scenario, with a YAML diagnostic below those that did not pass.
 * What is known to fail is a TODO, which TAP readers do not count as failing. */
#include "harness/report.h"

#include "base/duration.h"
#include "base/escape.h"
#include "harness/report_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL_LINES = 8, CALLS_MAX = 20, STATUSES_SIZE = 120 };

/* A description ends at the line and at " #": both are escaped, as the specification says. */
static void put_description(FILE *stream, const char *name)
{
    char *safe = escape_terminal(name, strlen(name), true);
    for (const char *character = safe; character != NULL && *character != '\0'; character++) {
        if (*character == '#' || *character == '\\')
            fputc('\\', stream);
        fputc(*character, stream);
    }
    free(safe);
}

static void put_field(FILE *stream, const char *indent, const char *name, const char *text,
                      size_t length)
{
    fprintf(stream, "%s%s: ", indent, name);
    escape_quoted(stream, text, length);
    fputc('\n', stream);
}

static void put_string(FILE *stream, const char *indent, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0')
        put_field(stream, indent, name, text, strlen(text));
}

static void put_verdicts(FILE *stream, const struct result *result)
{
    bool has_head = false;
    for (size_t i = 0; i < result->verdict_count; i++) {
        const struct verdict *verdict = &result->verdicts[i];
        if (verdict->state == VERDICT_HELD)
            continue;
        if (!has_head)
            fputs("  verdicts:\n", stream);
        has_head = true;
        put_string(stream, "    - ", "expectation", verdict->expectation);
        fprintf(stream, "      undetermined: %s\n",
                verdict->state == VERDICT_UNDETERMINED ? "true" : "false");
        put_string(stream, "      ", "expected", verdict->expected);
        put_string(stream, "      ", "seen", verdict->seen);
        put_string(stream, "      ", "hint", verdict->hint);
    }
}

/* Each call in one line: "429 x2 200; delays 1.003s, 2.004s". */
static void put_calls(FILE *stream, const struct result *result)
{
    if (result->call_count == 0)
        return;
    fputs("  calls:\n", stream);
    for (size_t i = 0; i < result->call_count && i < CALLS_MAX; i++) {
        const struct call *call = &result->calls[i];
        char text[STATUSES_SIZE * 2];
        report_statuses(call, 0, call->attempt_count, text, STATUSES_SIZE);
        size_t used = strlen(text);
        for (size_t j = 1; j < call->attempt_count && used + DURATION_TEXT_SIZE < sizeof text;
             j++) {
            char delay[DURATION_TEXT_SIZE];
            if (call->attempts[j].delay_ns >= 0)
                used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                         j == 1 ? "; delays " : ", ",
                                         duration_text(call->attempts[j].delay_ns, delay));
        }
        fputs("    - ", stream);
        escape_quoted(stream, text, strlen(text));
        fputc('\n', stream);
    }
    if (result->call_count > CALLS_MAX)
        fprintf(stream, "    - \"... and %zu more\"\n", result->call_count - CALLS_MAX);
}

static void put_diagnostic(FILE *stream, const struct result *result)
{
    char text[sizeof result->error.place + sizeof result->error.message + 4];
    char end[REPORT_WORDS_SIZE];
    const struct client_run *run = report_last_run(result);
    fputs("  ---\n", stream);
    put_string(stream, "  ", "state", report_state_name(report_state_of(result)));
    put_string(stream, "  ", "file", result->file);
    put_string(stream, "  ", "command", result->command);
    fprintf(stream, "  seed: %" PRIu64 "\n  time: %s\n  duration_ms: %" PRId64 ".%03" PRId64 "\n",
            result->seed, clock_kind_name(result->time), result->duration_ns / NS_PER_MS,
            result->duration_ns % NS_PER_MS / NS_PER_US);
    if (result->time_note != NULL)
        put_string(stream, "  ", "time_note", result->time_note);
    if (result->could_not_run)
        put_string(stream, "  ", "error", error_text(&result->error, text, sizeof text));
    put_verdicts(stream, result);
    put_calls(stream, result);
    for (size_t i = 0; i < result->note_count; i++) {
        fputs(i == 0 ? "  notes:\n    - " : "    - ", stream);
        escape_quoted(stream, result->notes[i], strlen(result->notes[i]));
        fputc('\n', stream);
    }
    if (run != NULL) {
        size_t skipped = 0;
        size_t start = report_tail(run->errors, run->errors_length, TAIL_LINES, &skipped);
        put_string(stream, "  ", "client", report_client_end(run, end));
        if (run->errors_length > 0)
            put_field(stream, "  ", "stderr", run->errors + start, run->errors_length - start);
    }
    fputs("  ...\n", stream);
}

static void put_point(FILE *stream, const struct result *result, size_t number)
{
    enum report_state state = report_state_of(result);
    char *name = report_full_name(result);
    fprintf(stream, "%s %zu - ", state == REPORT_PASSED ? "ok" : "not ok", number);
    put_description(stream, name != NULL ? name : result->name);
    fputs(state == REPORT_KNOWN_FAILING ? " # TODO known failing\n" : "\n", stream);
    if (state != REPORT_PASSED)
        put_diagnostic(stream, result);
    free(name);
}

bool report_tap(const struct results *results, const struct report_style *style, FILE *stream)
{
    (void)style;
    fprintf(stream, "TAP version 13\n1..%zu\n", results->count);
    for (size_t i = 0; i < results->count; i++)
        put_point(stream, &results->items[i], i + 1);
    if (results->interrupted)
        fputs("Bail out! stopped by a signal\n", stream);
    return fflush(stream) == 0 && !ferror(stream);
}
