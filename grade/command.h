/* command: the program as it is started for a probe: alone, several at once, or as a service that
 * is triggered. More than one process is started by the shell, so that the harness has one to
 * watch. */
#ifndef TOOMANY_GRADE_COMMAND_H
#define TOOMANY_GRADE_COMMAND_H

#include "grade/grade.h"

/* A NULL-terminated list to be freed with command_free(); NULL when memory is out. */
char **command_for(const struct grade_options *options, size_t programs);
void command_free(char **command);

/* The command as one reads it; the caller frees it. */
char *command_words(char *const *command);

#endif
