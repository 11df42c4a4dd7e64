#include "grade/against.h"

#include "base/escape.h"
#include "base/json.h"
#include "base/text_line.h"

#include <stdlib.h>
#include <string.h>

struct against {
    char *path;
    cJSON *root;
    const cJSON *probes;
};

enum { INDENT = 2, WHAT_COLUMN = 2, TEXT_COLUMN = 34 };

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static bool check(struct against *against, struct error *error)
{
    struct json_reader reader = {.file = against->path, .error = error};
    if (!cJSON_IsObject(against->root))
        return json_wrong(&reader, "", against->root, "a report of `toomany grade --format json`");
    if (!json_read_array(&reader, against->root, "", "probes", &against->probes))
        return false;
    if (against->probes == NULL)
        return json_wrong(&reader, "/probes", NULL, "a report of `toomany grade --format json`");
    char place[JSON_POINTER_SIZE];
    size_t index = 0;
    const cJSON *probe;
    cJSON_ArrayForEach (probe, against->probes) {
        if (text_of(probe, "id") == NULL || text_of(probe, "verdict") == NULL)
            return json_wrong(&reader, json_pointer_item(place, "/probes", index), probe,
                              "a probe with \"id\" and \"verdict\"");
        index++;
    }
    return true;
}

struct against *against_load(const char *path, struct error *error)
{
    struct against *against = calloc(1, sizeof *against);
    if (against == NULL || (against->path = strdup(path)) == NULL) {
        free(against);
        error_set_run(error, path, "out of memory");
        return NULL;
    }
    against->root = json_load(path, error);
    if (against->root != NULL && check(against, error))
        return against;
    against_free(against);
    return NULL;
}

void against_free(struct against *against)
{
    if (against == NULL)
        return;
    cJSON_Delete(against->root);
    free(against->path);
    free(against);
}

struct page {
    const struct report_style *style;
    FILE *stream;
    size_t differences;
};

static void put(struct page *page, const char *what, const char *before, const char *after,
                const char *seen)
{
    char *text = NULL;
    if (asprintf(&text, "%s -> %s%s%s", before, after, seen[0] != '\0' ? ": " : "", seen) < 0)
        return;
    char *safe = escape_terminal(text, strlen(text), page->style->unicode);
    struct text_paragraph paragraph = {
        .indent = WHAT_COLUMN, .column = TEXT_COLUMN, .label = what, .label_ink = INK_BOLD};
    text_write_paragraph(&paragraph, safe != NULL ? safe : "", page->style, page->stream);
    free(safe);
    free(text);
    page->differences++;
}

static void put_letter(struct page *page, const char *what, const cJSON *object, char letter)
{
    const char *before = text_of(object, "grade");
    char after[2] = {letter, '\0'};
    if (before == NULL)
        before = "-";
    if (strcmp(before, after) != 0)
        put(page, what, before, after, "");
}

static const cJSON *find(const cJSON *list, const char *key, const char *value)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        const char *text = text_of(item, key);
        if (text != NULL && strcmp(text, value) == 0)
            return item;
    }
    return NULL;
}

static void put_rule(struct page *page, const struct against *against, const struct grade *grade)
{
    char after[RULE_SENTENCE_SIZE];
    const char *before =
        text_of(cJSON_GetObjectItemCaseSensitive(against->root, "rule"), "sentence");
    if (before == NULL || !grade->has_rule)
        return;
    rule_sentence(&grade->rule, after);
    if (strcmp(before, after) != 0)
        put(page, "its rule", before, after, "");
}

bool against_write(const struct against *against, const struct grade *grade,
                   const struct report_style *style, FILE *stream)
{
    struct page page = {style, stream, 0};
    const char *command = text_of(against->root, "command");
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(against->root, "groups");
    char *head = NULL;
    if (asprintf(&head, "Against %s (%s)", against->path, command != NULL ? command : "") >= 0) {
        char *safe = escape_terminal(head, strlen(head), style->unicode);
        struct text_paragraph paragraph = {.indent = INDENT, .column = INDENT, .label = ""};
        fputc('\n', stream);
        text_write_paragraph(&paragraph, safe != NULL ? safe : "", style, stream);
        free(safe);
        free(head);
    }
    put_letter(&page, "overall", against->root, grade->letter);
    for (int i = 0; i < GROUP_COUNT; i++) {
        const char *name = probe_group_name((enum probe_group)i);
        const cJSON *before = find(groups, "group", name);
        if (before != NULL)
            put_letter(&page, name, before, grade->groups[i].letter);
    }
    put_rule(&page, against, grade);
    for (size_t i = 0; i < grade->finding_count; i++) {
        const struct finding *finding = &grade->findings[i];
        const cJSON *before = find(against->probes, "id", finding->probe->id);
        const char *after = probe_outcome_name(finding->judgement.outcome);
        if (before != NULL && strcmp(text_of(before, "verdict"), after) != 0)
            put(&page, finding->probe->id, text_of(before, "verdict"), after,
                finding->judgement.seen);
    }
    if (page.differences == 0)
        fprintf(stream, "  no difference\n");
    return fflush(stream) == 0 && !ferror(stream);
}
