/* journal_once: an entry's beginning and end, each in one step, for tests in which nobody else uses
 * the journal.
 */
#ifndef TOOMANY_TESTS_JOURNAL_ONCE_H
#define TOOMANY_TESTS_JOURNAL_ONCE_H

#include "mockserver/journal.h"

/* NULL when full and refusing. */
static inline struct journal_entry *journal_begin(struct journal *journal)
{
    struct journal_entry *entry = journal_take(journal);
    if (entry != NULL)
        journal_start(entry);
    return entry;
}

static inline void journal_finish(struct journal *journal, struct journal_entry *entry)
{
    journal_stream(journal, entry);
    journal_end(journal, entry);
}

#endif
