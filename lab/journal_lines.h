/* journal_lines: reads back what a journal has written (JSON Lines, mockserver/journal.h).
 *
 * A line that is no entry is an error with "file:line"; empty lines are passed over.
 */
#ifndef TOOMANY_LAB_JOURNAL_LINES_H
#define TOOMANY_LAB_JOURNAL_LINES_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What experiments want of an entry. */
struct journal_line {
    int64_t arrived_ns;
    int64_t answered_ns; /* -1: never */
    int status;
    int64_t tokens;
    int retry_count;      /* -1: not said */
    uint64_t call_digest; /* of the call's marker, else of its idempotency key; 0: it had none */
};

/* Calls visit for each entry in turn, which returns false to stop (memory is out). */
bool journal_lines_read(const char *path,
                        bool (*visit)(void *owner, const struct journal_line *line), void *owner,
                        struct error *error);

#endif
