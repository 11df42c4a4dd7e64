/* card: draws a grade as text, JSON, JUnit XML and HTML. One file a kind, card_NAME.c, and one row
 * in card.c. The order of things is the same in all: the overall grade, the groups, the rule that
 * the program follows, the worst findings with their time lines, then every probe. */
#ifndef TOOMANY_GRADE_CARD_H
#define TOOMANY_GRADE_CARD_H

#include "base/report_style.h"
#include "grade/grade.h"

enum { CARD_WORST_MAX = 3 }; /* findings that are shown whole in front */

struct card_kind {
    const char *name;
    bool (*write)(const struct grade *grade, const struct report_style *style, FILE *stream);
};

/* NULL when there is no such kind. */
const struct card_kind *card_find(const char *name);
/* "text, json, junit, html" */
const char *card_kind_names(void);

/* As report_to_path() of harness/report.h. */
bool card_to_path(const struct card_kind *kind, const struct grade *grade, const char *path,
                  struct error *error);

/* The kinds. Each returns false when the stream failed. */
bool card_text(const struct grade *grade, const struct report_style *style, FILE *stream);
bool card_json(const struct grade *grade, const struct report_style *style, FILE *stream);
bool card_junit(const struct grade *grade, const struct report_style *style, FILE *stream);
bool card_html(const struct grade *grade, const struct report_style *style, FILE *stream);

/* How the grades are computed, for the foot of a card. */
extern const char *const card_key;

/* "11 right, 1 wrong, 2 non-strict"; what there is none of is left out. Returns text. */
enum { CARD_WORDS_SIZE = 256 };
const char *card_counts(const struct group_score *group, char text[CARD_WORDS_SIZE]);

/* "virtual time, 60 starts of the program in 8.4 s" */
const char *card_facts(const struct grade *grade, char text[CARD_WORDS_SIZE]);

#endif
