/* JUnit XML, as Jenkins, GitLab and the GitHub test reporters read it: one testcase a scenario, its
 * time line in system-out, the client's stderr in system-err. What did not hold is a failure; what
 * could not be run or was stopped is an error; what is known to fail is skipped.
 * Format: https://github.com/testmoapp/junitxml (what the readers have in common). */
#include "harness/report.h"

#include "base/duration.h"
#include "base/escape.h"
#include "harness/report_timeline.h"
#include "harness/report_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TIMELINE_WIDTH = 100 };

static void put_attribute(FILE *stream, const char *name, const char *value)
{
    fprintf(stream, " %s=\"", name);
    if (value != NULL)
        escape_xml(stream, value, strlen(value), true);
    fputc('"', stream);
}

static void put_text(FILE *stream, const char *text)
{
    if (text != NULL)
        escape_xml(stream, text, strlen(text), false);
}

/* Readers expect seconds with a decimal point. */
static void put_time(FILE *stream, int64_t ns)
{
    fprintf(stream, " time=\"%" PRId64 ".%03" PRId64 "\"", ns / NS_PER_S,
            ns % NS_PER_S / NS_PER_MS);
}

/* "toomany.r3-fixed-recovers" for "scenarios/r3-fixed-recovers.json"; readers split at dots. */
static void put_class(FILE *stream, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *stem = slash != NULL ? slash + 1 : file;
    const char *dot = strrchr(stem, '.');
    size_t length = dot != NULL && dot != stem ? (size_t)(dot - stem) : strlen(stem);
    fputs(" classname=\"toomany.", stream);
    escape_xml(stream, stem, length, true);
    fputc('"', stream);
}

static void put_evidence(FILE *stream, const struct result *result)
{
    for (size_t i = 0; i < result->verdict_count; i++) {
        const struct verdict *verdict = &result->verdicts[i];
        if (verdict->state == VERDICT_HELD)
            continue;
        put_text(stream, verdict->expectation);
        fputs(verdict->state == VERDICT_UNDETERMINED ? " (undecided)\n  expected  "
                                                     : "\n  expected  ",
              stream);
        put_text(stream, verdict->expected);
        fputs("\n  seen      ", stream);
        put_text(stream, verdict->seen);
        if (verdict->hint != NULL && verdict->hint[0] != '\0') {
            fputs("\n  hint      ", stream);
            put_text(stream, verdict->hint);
        }
        fputc('\n', stream);
    }
}

/* The first verdict that did not hold stands for all: lists show only this. */
static void put_failure_message(FILE *stream, const struct result *result)
{
    const struct verdict *first = NULL;
    size_t more = 0;
    for (size_t i = 0; i < result->verdict_count; i++) {
        if (result->verdicts[i].state == VERDICT_HELD)
            continue;
        more += first != NULL;
        first = first != NULL ? first : &result->verdicts[i];
    }
    fputs(" message=\"", stream);
    if (first != NULL) {
        escape_xml(stream, first->expectation, strlen(first->expectation), true);
        fputs(": expected ", stream);
        escape_xml(stream, first->expected, strlen(first->expected), true);
        fputs(", seen ", stream);
        escape_xml(stream, first->seen, strlen(first->seen), true);
    }
    if (more > 0)
        fprintf(stream, " (and %zu more)", more);
    fputc('"', stream);
}

static void put_outcome(FILE *stream, const struct result *result)
{
    char text[sizeof result->error.place + sizeof result->error.message + 4];
    switch (report_state_of(result)) {
    case REPORT_PASSED:
    case REPORT_STATE_COUNT:
        return;
    case REPORT_FAILED:
        fputs("      <failure", stream);
        put_failure_message(stream, result);
        fputs(" type=\"expectation\">", stream);
        put_evidence(stream, result);
        fputs("</failure>\n", stream);
        return;
    case REPORT_KNOWN_FAILING:
        fputs("      <skipped message=\"known failing\"/>\n", stream);
        return;
    case REPORT_UNLISTED_DUE:
        fputs("      <failure message=\"it passes, but is listed as known failing: take it off the "
              "list\" type=\"known-failing\"/>\n",
              stream);
        return;
    case REPORT_STOPPED:
        fputs("      <error message=\"stopped by a signal before its end\" type=\"stopped\">",
              stream);
        put_evidence(stream, result);
        fputs("</error>\n", stream);
        return;
    case REPORT_COULD_NOT_RUN:
        fputs("      <error", stream);
        put_attribute(stream, "message", error_text(&result->error, text, sizeof text));
        fputs(" type=\"could-not-run\">", stream);
        put_text(stream, text);
        fputs("</error>\n", stream);
        return;
    }
}

static void put_timeline(FILE *stream, const struct result *result)
{
    static const struct report_style style = {.unicode = true, .width = TIMELINE_WIDTH};
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (memory == NULL)
        return;
    timeline_write(result, &style, 0, memory);
    if (fclose(memory) == 0)
        escape_xml(stream, text, length, false);
    free(text);
}

static void put_output(FILE *stream, const struct result *result)
{
    const struct client_run *run = report_last_run(result);
    fputs("      <system-out>", stream);
    put_timeline(stream, result);
    if (result->time_note != NULL) {
        fputs("time: ", stream);
        put_text(stream, result->time_note);
        fputc('\n', stream);
    }
    for (size_t i = 0; i < result->note_count; i++) {
        fputs("note: ", stream);
        put_text(stream, result->notes[i]);
        fputc('\n', stream);
    }
    if (run != NULL) {
        char end[REPORT_WORDS_SIZE];
        fputs("client: ", stream);
        put_text(stream, result->command);
        fprintf(stream, ": %s\n", report_client_end(run, end));
    }
    fputs("</system-out>\n", stream);
    if (run == NULL || run->errors_length == 0)
        return;
    fputs("      <system-err>", stream);
    escape_xml(stream, run->errors, run->errors_length, false);
    fputs("</system-err>\n", stream);
}

static void put_case(FILE *stream, const struct result *result)
{
    char *name = report_full_name(result);
    fputs("    <testcase", stream);
    put_class(stream, result->file);
    put_attribute(stream, "name", name != NULL ? name : result->name);
    put_attribute(stream, "file", result->file);
    put_time(stream, result->duration_ns);
    fputs(">\n", stream);
    put_outcome(stream, result);
    put_output(stream, result);
    fputs("    </testcase>\n", stream);
    free(name);
}

bool report_junit(const struct results *results, const struct report_style *style, FILE *stream)
{
    (void)style;
    struct report_counts counts = report_count(results);
    int64_t duration_ns = 0;
    char numbers[128];
    for (size_t i = 0; i < results->count; i++)
        duration_ns += results->items[i].duration_ns;
    snprintf(numbers, sizeof numbers,
             " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", results->count,
             counts.of[REPORT_FAILED] + counts.of[REPORT_UNLISTED_DUE],
             counts.of[REPORT_STOPPED] + counts.of[REPORT_COULD_NOT_RUN],
             counts.of[REPORT_KNOWN_FAILING]);
    fprintf(stream, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"toomany\"%s",
            numbers);
    put_time(stream, duration_ns);
    fprintf(stream, ">\n  <testsuite name=\"toomany\"%s", numbers);
    put_time(stream, duration_ns);
    fputs(">\n", stream);
    for (size_t i = 0; i < results->count; i++)
        put_case(stream, &results->items[i]);
    fputs("  </testsuite>\n</testsuites>\n", stream);
    return fflush(stream) == 0 && !ferror(stream);
}
