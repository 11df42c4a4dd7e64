#include "harness/scenario_list.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool add_file(struct scenario_list *list, const char *path, struct error *error)
{
    if (list->count == SCENARIO_LIST_MAX)
        return error_set(error, path, "more than %d scenarios", SCENARIO_LIST_MAX);
    struct scenario *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL)
        return error_set_run(error, path, "out of memory");
    list->items = items;
    if (!scenario_load(&items[list->count], path, error))
        return false;
    list->count++;
    return true;
}

static int is_scenario(const struct dirent *entry)
{
    return fnmatch("*.json", entry->d_name, 0) == 0 &&
           fnmatch("*.schema.json", entry->d_name, 0) != 0;
}

static bool add_folder(struct scenario_list *list, const char *path, struct error *error)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_scenario, alphasort);
    if (count < 0)
        return error_set(error, path, "%s", strerror(errno));
    bool all_read = count > 0 || error_set(error, path, "no *.json in this folder");
    for (int i = 0; i < count; i++) {
        char *file = NULL;
        if (all_read && asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
            all_read = error_set_run(error, path, "out of memory");
        all_read = all_read && add_file(list, file, error);
        free(file);
        free(entries[i]);
    }
    free(entries);
    return all_read;
}

bool scenario_list_add(struct scenario_list *list, const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return add_folder(list, path, error);
    return add_file(list, path, error);
}

void scenario_list_free(struct scenario_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        scenario_free(&list->items[i]);
    free(list->items);
    *list = (struct scenario_list){0};
}
