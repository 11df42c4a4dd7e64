#include "harness/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void result_init(struct result *result)
{
    memset(result, 0, sizeof *result);
    result->wall_ms = -1;
}

void result_free(struct result *result)
{
    for (size_t i = 0; i < result->run_count; i++) {
        free(result->runs[i].output);
        free(result->runs[i].errors);
        free(result->runs[i].survivors);
        free(result->runs[i].waits);
    }
    for (size_t i = 0; i < result->call_count; i++)
        free(result->calls[i].attempts);
    for (size_t i = 0; i < result->verdict_count; i++) {
        free(result->verdicts[i].expected);
        free(result->verdicts[i].seen);
    }
    for (size_t i = 0; i < result->note_count; i++)
        free(result->notes[i]);
    free(result->runs);
    free(result->calls);
    free(result->verdicts);
    free(result->usages);
    free(result->notes);
    free(result->name);
    free(result->file);
    free(result->why);
    free(result->command);
    free(result->time_note);
    result_init(result);
}

/* A note that does not fit into memory is left out: it explains, it decides nothing. */
void result_note(struct result *result, const char *format, ...)
{
    char *note = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&note, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    char **notes = realloc(result->notes, (result->note_count + 1) * sizeof *notes);
    if (notes == NULL) {
        free(note);
        return;
    }
    result->notes = notes;
    notes[result->note_count++] = note;
}

const char *call_grouping_name(enum call_grouping grouping)
{
    static const char *const names[] = {
        [GROUPED_BY_MARKER] = "marker",         [GROUPED_BY_IDEMPOTENCY] = "idempotency key",
        [GROUPED_BY_COUNTER] = "retry counter", [GROUPED_BY_BODY] = "equal bodies",
        [GROUPED_BY_CONNECTION] = "connection", [GROUPED_AMBIGUOUS] = "ambiguous",
    };
    return names[grouping];
}

/* A scenario that passes though it is listed as known failing is an error, so it does not count. */
size_t results_passed(const struct results *results)
{
    size_t count = 0;
    for (size_t i = 0; i < results->count; i++) {
        const struct result *result = &results->items[i];
        count += result->passed && !result->could_not_run && !result->interrupted &&
                 result->known_failing != LISTED_BUT_PASSED;
    }
    return count;
}
