#include "grade/card.h"

#include "base/report_file.h"

#include <inttypes.h>
#include <string.h>

static const struct card_kind kinds[] = {
    {"text", card_text}, {"json", card_json}, {"junit", card_junit}, {"html", card_html}};

const char *const card_key =
    "A wrong probe costs 1 point where minor, 3 where major, 9 where critical. A group without is "
    "A, "
    "up to 2 points B, up to 5 C, up to 8 D, more F. Overall: F where something critical is wrong, "
    "else the average of the groups, at most one better than the worst.";

const struct card_kind *card_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const char *card_kind_names(void)
{
    return "text, json, junit, html";
}

struct card_order {
    const struct card_kind *kind;
    const struct grade *grade;
};

static bool write_kind(void *owner, FILE *stream)
{
    const struct card_order *order = owner;
    struct report_style style = report_style_for(stream);
    return order->kind->write(order->grade, &style, stream);
}

bool card_to_path(const struct card_kind *kind, const struct grade *grade, const char *path,
                  struct error *error)
{
    struct card_order order = {kind, grade};
    return report_file_write(path, write_kind, &order, error);
}

const char *card_counts(const struct group_score *group, char text[CARD_WORDS_SIZE])
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < PROBE_OUTCOME_COUNT && length < CARD_WORDS_SIZE; i++) {
        if (group->counts[i] > 0)
            length += (size_t)snprintf(text + length, CARD_WORDS_SIZE - length, "%s%zu %s",
                                       length > 0 ? ", " : "", group->counts[i],
                                       probe_outcome_name((enum probe_outcome)i));
    }
    return text;
}

const char *card_facts(const struct grade *grade, char text[CARD_WORDS_SIZE])
{
    snprintf(text, CARD_WORDS_SIZE, "%s time, %zu probe%s, %zu start%s of the program in %.1f s",
             grade->time == CLOCK_VIRTUAL ? "virtual" : "real", grade->finding_count,
             grade->finding_count == 1 ? "" : "s", grade->start_count,
             grade->start_count == 1 ? "" : "s", (double)grade->wall_ms / 1000);
    return text;
}
