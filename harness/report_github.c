/* GitHub Actions workflow commands: annotations beside the scenario files of a pull request.
 *
 *     ::error file=scenarios/r4.json,title=gives up after three::attempts_per_call: expected 3, ...
 *
 * Rule: https://docs.github.com/actions/reference/workflow-commands-for-github-actions and
 * escapeData/escapeProperty in actions/toolkit, packages/core/src/command.ts. */
#include "harness/report.h"

#include "base/escape.h"
#include "harness/report_words.h"

#include <stdlib.h>
#include <string.h>

/* A client's output must not begin a command of its own, so line ends never get out as they are. */
static void put_escaped(FILE *stream, const char *text, bool is_property)
{
    char *valid = escape_utf8(text, strlen(text));
    for (const char *character = valid; character != NULL && *character != '\0'; character++) {
        bool is_escaped = strchr("%\r\n", *character) != NULL ||
                          (is_property && strchr(":,", *character) != NULL);
        if (is_escaped)
            fprintf(stream, "%%%02X", (unsigned)(unsigned char)*character);
        else if ((unsigned char)*character < 0x20 || *character == 0x7F)
            fprintf(stream, "\\x%02x", (unsigned)(unsigned char)*character);
        else
            fputc(*character, stream);
    }
    free(valid);
}

static void begin(FILE *stream, const char *command, const struct result *result)
{
    char *name = report_full_name(result);
    fprintf(stream, "::%s file=", command);
    put_escaped(stream, result->file, true);
    fputs(",title=", stream);
    put_escaped(stream, name != NULL ? name : result->name, true);
    fputs("::", stream);
    free(name);
}

static void put_message(FILE *stream, const char *command, const struct result *result,
                        const char *message)
{
    begin(stream, command, result);
    put_escaped(stream, message, false);
    fputc('\n', stream);
}

static void put_verdict(FILE *stream, const struct result *result, const struct verdict *verdict)
{
    begin(stream, "error", result);
    put_escaped(stream, verdict->expectation, false);
    if (verdict->state == VERDICT_UNDETERMINED)
        fputs(" (undecided)", stream);
    fputs(": expected ", stream);
    put_escaped(stream, verdict->expected, false);
    fputs(", seen ", stream);
    put_escaped(stream, verdict->seen, false);
    if (verdict->hint != NULL && verdict->hint[0] != '\0') {
        fputs("%0A", stream);
        put_escaped(stream, verdict->hint, false);
    }
    fputc('\n', stream);
}

static void put_ambiguity(FILE *stream, const struct result *result)
{
    size_t ambiguous = 0;
    char text[160];
    for (size_t i = 0; i < result->call_count; i++)
        ambiguous += result->calls[i].grouping == GROUPED_AMBIGUOUS;
    if (ambiguous == 0)
        return;
    snprintf(text, sizeof text,
             "which attempts belong to which of %zu calls is not certain; ask the client for a "
             "marker (\"call_marker\")",
             ambiguous);
    put_message(stream, "notice", result, text);
}

static void put_result(FILE *stream, const struct result *result)
{
    char text[sizeof result->error.place + sizeof result->error.message + 4];
    switch (report_state_of(result)) {
    case REPORT_COULD_NOT_RUN:
        put_message(stream, "error", result, error_text(&result->error, text, sizeof text));
        return;
    case REPORT_STOPPED:
        put_message(stream, "error", result, "stopped by a signal before its end");
        return;
    case REPORT_UNLISTED_DUE:
        put_message(stream, "error", result,
                    "it passes, but is listed as known failing: take it off the list");
        return;
    case REPORT_KNOWN_FAILING:
        put_message(stream, "warning", result, "it fails, as the list of known failing ones says");
        return;
    default:
        break;
    }
    for (size_t i = 0; i < result->verdict_count; i++) {
        if (result->verdicts[i].state != VERDICT_HELD)
            put_verdict(stream, result, &result->verdicts[i]);
    }
    put_ambiguity(stream, result);
}

bool report_github(const struct results *results, const struct report_style *style, FILE *stream)
{
    (void)style;
    for (size_t i = 0; i < results->count; i++)
        put_result(stream, &results->items[i]);
    return fflush(stream) == 0 && !ferror(stream);
}
