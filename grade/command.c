#include "grade/command.h"

#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* $1: how many. Each has a key of its own, so that their calls are told apart. The exit code is
 * that of one that failed. */
static const char several[] =
    "n=$1; shift; pids=\n"
    "while [ $n -gt 0 ]; do\n"
    "  OPENAI_API_KEY=$OPENAI_API_KEY-000$n \"$@\" & pids=\"$pids $!\"; n=$((n-1))\n"
    "done\n"
    "status=0\n"
    "for pid in $pids; do wait $pid || status=$?; done\n"
    "exit $status\n";

/* $1: how many triggers, $2: the trigger, $3: seconds from the service's start to it. */
static const char triggered[] =
    "n=$1; trigger=$2; delay=$3; shift 3; pids=\n"
    "\"$@\" & service=$!\n"
    "sleep $delay\n"
    "while [ $n -gt 0 ]; do sh -c \"$trigger\" & pids=\"$pids $!\"; n=$((n-1)); done\n"
    "status=0\n"
    "for pid in $pids; do wait $pid || status=$?; done\n"
    "kill $service 2>/dev/null; wait $service 2>/dev/null\n"
    "exit $status\n";

struct list {
    char **items;
    size_t count;
    bool failed;
};

static void add(struct list *list, const char *text)
{
    list->items[list->count] = strdup(text);
    list->failed |= list->items[list->count] == NULL;
    list->count += !list->failed;
}

char **command_for(const struct grade_options *options, size_t programs)
{
    enum { OWN = 8 };
    size_t count = 0;
    char number[32];
    while (options->command[count] != NULL)
        count++;
    struct list list = {.items = calloc(count + OWN, sizeof(char *))};
    if (list.items == NULL)
        return NULL;
    if (programs > 1 || options->trigger != NULL) {
        add(&list, "/bin/sh");
        add(&list, "-c");
        add(&list, options->trigger != NULL ? triggered : several);
        add(&list, "sh");
        snprintf(number, sizeof number, "%zu", programs);
        add(&list, number);
    }
    if (options->trigger != NULL) {
        add(&list, options->trigger);
        snprintf(number, sizeof number, "%" PRId64 ".%03" PRId64,
                 options->trigger_delay_ns / NS_PER_S,
                 options->trigger_delay_ns % NS_PER_S / NS_PER_MS);
        add(&list, number);
    }
    for (size_t i = 0; i < count && !list.failed; i++)
        add(&list, options->command[i]);
    if (!list.failed)
        return list.items;
    command_free(list.items);
    return NULL;
}

void command_free(char **command)
{
    for (size_t i = 0; command != NULL && command[i] != NULL; i++)
        free(command[i]);
    free(command);
}

char *command_words(char *const *command)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        return NULL;
    for (size_t i = 0; command[i] != NULL; i++) {
        bool is_plain =
            command[i][0] != '\0' && strpbrk(command[i], " \t\n'\"\\$`;&|<>()*?") == NULL;
        fprintf(stream, is_plain ? "%s%s" : "%s'%s'", i > 0 ? " " : "", command[i]);
    }
    fclose(stream);
    return text;
}
