#include "harness/known_failing.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static bool add(struct known_failing_list *list, const char *start, size_t length)
{
    char **names = realloc(list->names, (list->count + 1) * sizeof *names);
    if (names == NULL)
        return false;
    list->names = names;
    names[list->count] = strndup(start, length);
    return names[list->count++] != NULL;
}

bool known_failing_parse(struct known_failing_list *list, const char *text, struct error *error)
{
    *list = (struct known_failing_list){0};
    while (*text != '\0') {
        text += strspn(text, " \t\r\n");
        size_t length = strcspn(text, "\n");
        size_t used = length;
        while (used > 0 && strchr(" \t\r", text[used - 1]) != NULL)
            used--;
        if (used > 0 && text[0] != '#' && !add(list, text, used)) {
            known_failing_free(list);
            return error_set_run(error, "", "out of memory");
        }
        text += length;
    }
    return true;
}

bool known_failing_load(struct known_failing_list *list, const char *path, struct error *error)
{
    size_t length = 0;
    char *text = json_file_bytes(path, KNOWN_FAILING_BYTES_MAX, &length, error);
    if (text == NULL)
        return false;
    bool is_read = known_failing_parse(list, text, error);
    free(text);
    return is_read;
}

void known_failing_free(struct known_failing_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct known_failing_list){0};
}

bool known_failing_has(const struct known_failing_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0)
            return true;
    }
    return false;
}

const char *known_failing_unknown(const struct known_failing_list *list,
                                  const struct scenario_list *scenarios)
{
    for (size_t i = 0; i < list->count; i++) {
        bool found = false;
        for (size_t j = 0; j < scenarios->count && !found; j++)
            found = strcmp(list->names[i], scenarios->items[j].name) == 0;
        if (!found)
            return list->names[i];
    }
    return NULL;
}
