/* scenario_list: the scenarios that were named on a command line, files and folders. */
#ifndef TOOMANY_HARNESS_SCENARIO_LIST_H
#define TOOMANY_HARNESS_SCENARIO_LIST_H

#include "harness/scenario.h"

struct scenario_list {
    struct scenario *items;
    size_t count;
};

enum { SCENARIO_LIST_MAX = 10000 };

/* Adds the scenario at `path`, or every *.json of a folder by name, but for *.schema.json. All are
 * read before any is run. False with the error filled; scenario_list_free is still due. */
bool scenario_list_add(struct scenario_list *list, const char *path, struct error *error);

void scenario_list_free(struct scenario_list *list);

#endif
