/* The card in the terminal. */
#include "grade/card.h"
#include "grade/observe.h"

#include "base/escape.h"
#include "base/text_line.h"
#include "harness/report_timeline.h"

#include <stdlib.h>
#include <string.h>

enum {
    INDENT = 2,
    GROUP_COLUMN = 6,
    COUNTS_COLUMN = 24,
    DETAIL_INDENT = 6,
    DETAIL_COLUMN = 16,
    ID_COLUMN = 18,
    ALSO_COLUMN = 34, /* later where an id is long */
    TIMELINE_CALLS_SHOWN = 1,
};

static const enum ink outcome_inks[PROBE_OUTCOME_COUNT] = {
    [PROBE_RIGHT] = INK_GREEN,         [PROBE_WRONG] = INK_RED,
    [PROBE_NON_STRICT] = INK_YELLOW,   [PROBE_INFORMATIONAL] = INK_PLAIN,
    [PROBE_QUESTIONABLE] = INK_YELLOW, [PROBE_NOT_APPLICABLE] = INK_DIM,
    [PROBE_LEFT_OUT] = INK_DIM,
};

struct page {
    const struct grade *grade;
    const struct report_style *style;
    FILE *stream;
};

static enum ink letter_ink(char letter)
{
    if (letter == 'A')
        return INK_GREEN;
    if (letter == 'D' || letter == 'F')
        return INK_BOLD_RED;
    return letter == '-' ? INK_DIM : INK_YELLOW;
}

static void put(const struct page *page, int indent, int column, const char *label, enum ink ink,
                const char *text)
{
    char *safe = escape_terminal(text, strlen(text), page->style->unicode);
    struct text_paragraph paragraph = {
        .indent = indent, .column = column, .label = label, .label_ink = ink};
    text_write_paragraph(&paragraph, safe != NULL ? safe : "(out of memory)", page->style,
                         page->stream);
    free(safe);
}

static void write_head(const struct page *page)
{
    const struct grade *grade = page->grade;
    char facts[CARD_WORDS_SIZE];
    char letter[2] = {grade->letter, '\0'};
    char *safe = escape_terminal(grade->command, strlen(grade->command), page->style->unicode);
    struct text_line line;
    text_line_start(&line, page->style);
    text_line_put(&line, INDENT, letter_ink(grade->letter), letter);
    text_line_put(&line, GROUP_COLUMN, INK_BOLD, safe != NULL ? safe : "");
    text_line_end(&line, page->stream);
    free(safe);
    put(page, 0, GROUP_COLUMN, "", INK_PLAIN, card_facts(grade, facts));
    if (grade->time_note != NULL && grade->time == CLOCK_REAL)
        put(page, 0, GROUP_COLUMN, "", INK_PLAIN, grade->time_note);
    if (grade->interrupted)
        put(page, 0, GROUP_COLUMN, "", INK_PLAIN,
            "It was stopped before its end: what was not judged is left out.");
    fputc('\n', page->stream);
}

static void write_groups(const struct page *page)
{
    for (int i = 0; i < GROUP_COUNT; i++) {
        const struct group_score *group = &page->grade->groups[i];
        char letter[2] = {group->letter, '\0'};
        char counts[CARD_WORDS_SIZE];
        card_counts(group, counts);
        if (counts[0] == '\0')
            continue;
        struct text_line line;
        text_line_start(&line, page->style);
        text_line_put(&line, INDENT, letter_ink(group->letter), letter);
        text_line_put(&line, GROUP_COLUMN, INK_PLAIN, probe_group_name((enum probe_group)i));
        text_line_put(&line, COUNTS_COLUMN, INK_DIM, counts);
        text_line_end(&line, page->stream);
    }
}

static void write_rule(const struct page *page)
{
    char sentence[GRADE_RULE_SENTENCE_SIZE];
    if (!page->grade->has_rule)
        return;
    fputc('\n', page->stream);
    put(page, GROUP_COLUMN, COUNTS_COLUMN, "its rule", INK_PLAIN,
        grade_rule_sentence(page->grade, sentence));
}

static void write_finding(const struct page *page, size_t number, const struct finding *finding)
{
    char text[128];
    const struct probe *probe = finding->probe;
    snprintf(text, sizeof text, "%zu", number);
    fputc('\n', page->stream);
    struct text_line line;
    text_line_start(&line, page->style);
    text_line_put(&line, INDENT, INK_BOLD_RED, text);
    snprintf(text, sizeof text, "%s, %s", probe->id, probe_severity_name(probe->severity));
    text_line_put(&line, GROUP_COLUMN, INK_BOLD, text);
    text_line_end(&line, page->stream);
    put(page, 0, DETAIL_INDENT, "", INK_PLAIN, probe->requirement);
    put(page, DETAIL_INDENT, DETAIL_COLUMN, "sent", INK_DIM, grade_sent(finding));
    put(page, DETAIL_INDENT, DETAIL_COLUMN, "seen", INK_DIM, finding->judgement.seen);
    if (finding->start != NULL)
        timeline_write(&finding->start->result, page->style, DETAIL_INDENT, page->stream);
    put(page, DETAIL_INDENT, DETAIL_COLUMN, "cure", INK_DIM, probe->cure);
    put(page, DETAIL_INDENT, DETAIL_COLUMN, "source", INK_DIM, probe->source);
}

static void write_worst(const struct page *page)
{
    const struct finding *worst[GRADE_PROBES_MAX];
    size_t count = grade_worst(page->grade, worst, GRADE_PROBES_MAX);
    for (size_t i = 0; i < count && i < CARD_WORST_MAX; i++)
        write_finding(page, i + 1, worst[i]);
    if (count <= CARD_WORST_MAX || page->style->verbose)
        return;
    fputc('\n', page->stream);
    struct text_line line;
    text_line_start(&line, page->style);
    text_line_put(&line, GROUP_COLUMN, INK_BOLD, "also wrong");
    text_line_end(&line, page->stream);
    int column = ALSO_COLUMN;
    for (size_t i = CARD_WORST_MAX; i < count; i++) {
        int after_id = GROUP_COLUMN + text_columns(worst[i]->probe->id) + 2;
        column = after_id > column ? after_id : column;
    }
    for (size_t i = CARD_WORST_MAX; i < count; i++)
        put(page, GROUP_COLUMN, column, worst[i]->probe->id, INK_PLAIN, worst[i]->judgement.seen);
}

static void write_all(const struct page *page)
{
    fputc('\n', page->stream);
    for (size_t i = 0; i < page->grade->finding_count; i++) {
        const struct finding *finding = &page->grade->findings[i];
        struct text_line line;
        text_line_start(&line, page->style);
        text_line_put(&line, INDENT, outcome_inks[finding->judgement.outcome],
                      probe_outcome_name(finding->judgement.outcome));
        text_line_put(&line, ID_COLUMN, INK_PLAIN, finding->probe->id);
        text_line_end(&line, page->stream);
        put(page, 0, ID_COLUMN + 2, "", INK_DIM, finding->judgement.seen);
    }
}

static void write_left_out(const struct page *page)
{
    char *text = NULL;
    size_t length = 0;
    bool is_first = true;
    FILE *words = page->grade->is_full ? NULL : open_memstream(&text, &length);
    if (words == NULL)
        return;
    fputs("Probes that take minutes in real time are left out; --full runs them too: ", words);
    for (size_t i = 0; i < page->grade->finding_count; i++) {
        const struct finding *finding = &page->grade->findings[i];
        if (finding->judgement.outcome != PROBE_LEFT_OUT)
            continue;
        fprintf(words, "%s%s", is_first ? "" : ", ", finding->probe->id);
        is_first = false;
    }
    if (fclose(words) == 0)
        put(page, 0, INDENT, "", INK_PLAIN, text);
    free(text);
}

bool card_text(const struct grade *grade, const struct report_style *style, FILE *stream)
{
    struct page page = {grade, style, stream};
    write_head(&page);
    write_groups(&page);
    write_rule(&page);
    write_worst(&page);
    if (style->verbose)
        write_all(&page);
    fputc('\n', stream);
    write_left_out(&page);
    put(&page, 0, INDENT, "", INK_PLAIN, card_key);
    return fflush(stream) == 0 && !ferror(stream);
}
