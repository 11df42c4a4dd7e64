/* The card as one page that stands for itself, without scripts and without anything to load. */
#include "grade/card.h"
#include "grade/observe.h"

#include "base/escape.h"
#include "base/html_style.h"
#include "harness/report_html_parts.h"
#include "harness/report_words.h"

#include <inttypes.h>
#include <string.h>

/* Beside what all reports have. */
static const char *const style_sheet[] = {
    ".overall{display:flex;gap:1.4rem;align-items:center;margin:0 0 1.6rem}"
    ".letter{font-weight:700;border-radius:10px;text-align:center;line-height:1}"
    ".overall .letter{font-size:3.2rem;padding:1rem 1.4rem}"
    ".letter.is-A{background:var(--good-wash);color:var(--good)}"
    ".letter.is-B,.letter.is-C{background:var(--warn-wash);color:var(--warn)}"
    ".letter.is-D,.letter.is-F{background:var(--bad-wash);color:var(--bad)}"
    ".letter.is-none{color:var(--soft)}"
    ".overall h1{overflow-wrap:anywhere}",
    ".groups .letter{display:inline-block;min-width:2rem;padding:.3rem 0}"
    ".groups tr:last-child th{border-bottom:0}"
    ".groups td{vertical-align:middle}"
    ".groups th[scope=row]{color:inherit;font-size:.88rem}"
    ".pill.is-plain{background:var(--code);color:var(--soft)}"
    ".card.is-plain{box-shadow:none}"
    ".pill{min-width:6.6rem}"
    ".seen{color:var(--soft);font-size:.85rem;flex:1.4;overflow-wrap:anywhere}"
    ".card .name{font-family:ui-monospace,\"DejaVu Sans Mono\",monospace;font-size:.85rem}"
    ".rule{font-size:1.05rem}",
    NULL};

static const char *const looks[PROBE_OUTCOME_COUNT] = {
    [PROBE_RIGHT] = "good",        [PROBE_WRONG] = "bad",
    [PROBE_NON_STRICT] = "warn",   [PROBE_INFORMATIONAL] = "plain",
    [PROBE_QUESTIONABLE] = "warn", [PROBE_NOT_APPLICABLE] = "plain",
    [PROBE_LEFT_OUT] = "plain",
};

static void put_text(FILE *stream, const char *text)
{
    escape_xml(stream, text, strlen(text), false);
}

static void put_paragraph(FILE *stream, const char *class, const char *text)
{
    fprintf(stream, "<p class=\"%s\">", class);
    put_text(stream, text);
    fputs("</p>\n", stream);
}

static void put_letter(FILE *stream, char letter)
{
    if (letter == '-')
        fputs("<span class=\"letter is-none\" title=\"nothing applied\">&ndash;</span>", stream);
    else
        fprintf(stream, "<span class=\"letter is-%c\">%c</span>", letter, letter);
}

static void put_head(FILE *stream, const struct grade *grade)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          /* Nothing may be loaded or run, whatever a program printed. */
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\">\n<title>",
          stream);
    if (grade->letter != '-')
        fprintf(stream, "%c: ", grade->letter);
    put_text(stream, grade->command);
    fputs("</title>\n<style>", stream);
    html_style_put(stream);
    for (size_t i = 0; report_html_style[i] != NULL; i++)
        fputs(report_html_style[i], stream);
    for (size_t i = 0; style_sheet[i] != NULL; i++)
        fputs(style_sheet[i], stream);
    fputs("</style>\n</head>\n", stream);
}

static void put_overall(FILE *stream, const struct grade *grade)
{
    char facts[CARD_WORDS_SIZE];
    fputs("<div class=\"overall\">", stream);
    put_letter(stream, grade->letter);
    fputs("<div><h1>", stream);
    put_text(stream, grade->command);
    fputs("</h1>\n", stream);
    put_paragraph(stream, "counts", card_facts(grade, facts));
    if (grade->trigger != NULL) {
        fputs("<p class=\"counts\">triggered by <code>", stream);
        put_text(stream, grade->trigger);
        fputs("</code></p>\n", stream);
    }
    if (grade->time_note != NULL)
        put_paragraph(stream, "counts", grade->time_note);
    fputs("</div></div>\n", stream);
    if (grade->interrupted)
        put_paragraph(stream, "alert",
                      "It was stopped before its end: what was not judged is left out.");
}

static void put_groups(FILE *stream, const struct grade *grade)
{
    fputs("<div class=\"scroll\"><table class=\"groups\"><tbody>\n", stream);
    for (int i = 0; i < GROUP_COUNT; i++) {
        char counts[CARD_WORDS_SIZE];
        if (card_counts(&grade->groups[i], counts)[0] == '\0')
            continue;
        fputs("<tr><td>", stream);
        put_letter(stream, grade->groups[i].letter);
        fprintf(stream, "</td><th scope=\"row\">%s</th><td>%s</td></tr>\n",
                probe_group_name((enum probe_group)i), counts);
    }
    fputs("</tbody></table></div>\n", stream);
}

static void put_term(FILE *stream, const char *term, const char *text)
{
    fprintf(stream, "<dt>%s</dt><dd>", term);
    put_text(stream, text);
    fputs("</dd>\n", stream);
}

static void put_finding(FILE *stream, const struct finding *finding, bool is_open)
{
    const struct probe *probe = finding->probe;
    const char *look = looks[finding->judgement.outcome];
    const char *outcome = probe_outcome_name(finding->judgement.outcome);
    bool is_wrong = finding->judgement.outcome == PROBE_WRONG;
    fprintf(stream,
            "<details class=\"card is-%s\"%s><summary><span class=\"pill is-%s\">%s</span>"
            "<span class=\"name\">%s</span><span class=\"seen\">",
            look, is_open ? " open" : "", look, outcome, probe->id);
    put_text(stream, finding->judgement.seen);
    fputs("</span></summary>\n<div class=\"body\">\n", stream);
    put_paragraph(stream, "why", probe->requirement);
    if (finding->start != NULL)
        report_html_timeline(&finding->start->result, stream);
    fputs("<dl>\n", stream);
    put_term(stream, "severity", probe_severity_name(probe->severity));
    put_term(stream, "sent", grade_sent(finding));
    put_term(stream, "seen", finding->judgement.seen);
    if (is_wrong)
        put_term(stream, "usual cure", probe->cure);
    put_term(stream, "source", probe->source);
    fputs("</dl>\n", stream);
    if (finding->start != NULL)
        report_html_attempts(&finding->start->result, stream);
    fputs("</div></details>\n", stream);
}

bool card_html(const struct grade *grade, const struct report_style *style, FILE *stream)
{
    const struct finding *worst[CARD_WORST_MAX];
    char sentence[GRADE_RULE_SENTENCE_SIZE];
    (void)style;
    put_head(stream, grade);
    fputs("<body>\n<main>\n<p class=\"brand\">toomany " TOOMANY_VERSION
          ", a report card for retry logic</p>\n",
          stream);
    put_overall(stream, grade);
    put_groups(stream, grade);
    if (grade->has_rule) {
        fputs("<h2>The rule that it follows</h2>\n", stream);
        put_paragraph(stream, "rule", grade_rule_sentence(grade, sentence));
    }
    size_t count = grade_worst(grade, worst, CARD_WORST_MAX);
    if (count > 0)
        fputs("<h2>The most important findings</h2>\n", stream);
    for (size_t i = 0; i < count && i < CARD_WORST_MAX; i++)
        put_finding(stream, worst[i], true);
    for (int group = 0; group < GROUP_COUNT; group++) {
        bool has_head = false;
        for (size_t i = 0; i < grade->finding_count; i++) {
            const struct finding *finding = &grade->findings[i];
            if (finding->probe->group != (enum probe_group)group)
                continue;
            if (!has_head)
                fprintf(stream, "<h2 id=\"group-%d\">%s</h2>\n", group,
                        probe_group_name((enum probe_group)group));
            has_head = true;
            put_finding(stream, finding, false);
        }
    }
    fputs("<footer>", stream);
    put_text(stream, card_key);
    fputs(" Times are those of the run&#39;s clock.</footer>\n</main>\n</body>\n</html>\n", stream);
    return fflush(stream) == 0 && !ferror(stream);
}
