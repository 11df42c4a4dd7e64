/* The card as JUnit XML: one testcase a probe, one testsuite a group. Wrong is a failure; what was
 * not judged (questionable, not applicable, left out) is skipped, with its reason. */
#include "grade/card.h"

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
    escape_xml(stream, value, strlen(value), true);
    fputc('"', stream);
}

static void put_line(FILE *stream, const char *label, const char *text)
{
    fprintf(stream, "%-12s", label);
    escape_xml(stream, text, strlen(text), false);
    fputc('\n', stream);
}

static bool is_skipped(enum probe_outcome outcome)
{
    return outcome == PROBE_QUESTIONABLE || outcome == PROBE_NOT_APPLICABLE ||
           outcome == PROBE_LEFT_OUT;
}

static void put_timeline(FILE *stream, const struct result *result)
{
    struct report_style style = {.unicode = true, .width = TIMELINE_WIDTH};
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

static void put_case(FILE *stream, const struct finding *finding)
{
    const struct probe *probe = finding->probe;
    char class_name[64];
    char message[PROBE_SEEN_SIZE + 32];
    snprintf(class_name, sizeof class_name, "toomany.grade.%.*s", (int)strcspn(probe->id, "/"),
             probe->id);
    int64_t duration_ns = finding->start != NULL ? finding->start->result.duration_ns : 0;
    fputs("    <testcase", stream);
    put_attribute(stream, "classname", class_name);
    put_attribute(stream, "name", probe->id);
    fprintf(stream, " time=\"%" PRId64 ".%03" PRId64 "\">\n", duration_ns / NS_PER_S,
            duration_ns % NS_PER_S / NS_PER_MS);
    snprintf(message, sizeof message, "%s: %s", probe_outcome_name(finding->judgement.outcome),
             finding->judgement.seen);
    if (finding->judgement.outcome == PROBE_WRONG) {
        fputs("      <failure", stream);
        put_attribute(stream, "message", message);
        put_attribute(stream, "type", probe_severity_name(probe->severity));
        fputs(">", stream);
        put_line(stream, "requirement", probe->requirement);
        put_line(stream, "sent", grade_sent(finding));
        put_line(stream, "seen", finding->judgement.seen);
        put_line(stream, "cure", probe->cure);
        put_line(stream, "source", probe->source);
        fputs("</failure>\n", stream);
    } else if (is_skipped(finding->judgement.outcome)) {
        fputs("      <skipped", stream);
        put_attribute(stream, "message", message);
        fputs("/>\n", stream);
    }
    fputs("      <system-out>", stream);
    put_line(stream, probe_outcome_name(finding->judgement.outcome), finding->judgement.seen);
    if (finding->start != NULL)
        put_timeline(stream, &finding->start->result);
    fputs("</system-out>\n    </testcase>\n", stream);
}

static void put_numbers(FILE *stream, const struct grade *grade, int group)
{
    size_t tests = 0;
    size_t failures = 0;
    size_t skipped = 0;
    for (size_t i = 0; i < grade->finding_count; i++) {
        const struct finding *finding = &grade->findings[i];
        if (group >= 0 && finding->probe->group != (enum probe_group)group)
            continue;
        tests++;
        failures += finding->judgement.outcome == PROBE_WRONG;
        skipped += is_skipped(finding->judgement.outcome);
    }
    fprintf(stream, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\"", tests, failures,
            skipped);
}

bool card_junit(const struct grade *grade, const struct report_style *style, FILE *stream)
{
    (void)style;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", stream);
    put_attribute(stream, "name", grade->command);
    put_numbers(stream, grade, -1);
    fputs(">\n", stream);
    for (int group = 0; group < GROUP_COUNT; group++) {
        fputs("  <testsuite", stream);
        put_attribute(stream, "name", probe_group_name((enum probe_group)group));
        put_numbers(stream, grade, group);
        fputs(">\n", stream);
        for (size_t i = 0; i < grade->finding_count; i++) {
            if (grade->findings[i].probe->group == (enum probe_group)group)
                put_case(stream, &grade->findings[i]);
        }
        fputs("  </testsuite>\n", stream);
    }
    fputs("</testsuites>\n", stream);
    return fflush(stream) == 0 && !ferror(stream);
}
