#include "cli/serve.h"

#include <errno.h>
#include <string.h>

static FILE *open_file(const char *file)
{
    FILE *stream = fopen(file, "we");
    if (stream != NULL)
        setvbuf(stream, NULL, _IOLBF, 0); /* a line is whole or not there */
    return stream;
}

bool serve_journal_open(struct serve_journal *journal, const struct serve_options *options,
                        struct error *error)
{
    *journal = (struct serve_journal){.file = options->journal_file,
                                      .bytes_max = options->journal_bytes_max};
    if (journal->file == NULL)
        return true;
    journal->is_stdout = strcmp(journal->file, "-") == 0;
    if (journal->is_stdout)
        setvbuf(stdout, NULL, _IOLBF, 0);
    journal->stream = journal->is_stdout ? stdout : open_file(journal->file);
    return journal->stream != NULL || error_set_run(error, journal->file, "%s", strerror(errno));
}

FILE *serve_journal_next(void *owner)
{
    struct serve_journal *journal = owner;
    char aside[4096];
    bool is_closed = fclose(journal->stream) == 0;
    journal->stream = NULL;
    if ((size_t)snprintf(aside, sizeof aside, "%s.1", journal->file) >= sizeof aside ||
        !is_closed || rename(journal->file, aside) != 0)
        return NULL;
    journal->stream = open_file(journal->file);
    return journal->stream;
}

bool serve_journal_close(struct serve_journal *journal)
{
    if (journal->stream == NULL)
        return true;
    bool is_whole = fflush(journal->stream) == 0;
    if (!journal->is_stdout)
        is_whole &= fclose(journal->stream) == 0;
    journal->stream = NULL;
    return is_whole;
}
