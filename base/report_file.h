/* report_file: puts a report where it shall go, whole or not at all.
 *
 * A file is written through a temporary one beside it, so that a full disk never leaves half a
 * report; a link stays a link; a device or a pipe is written to as it is. An error names the path.
 */
#ifndef TOOMANY_BASE_REPORT_FILE_H
#define TOOMANY_BASE_REPORT_FILE_H

#include "base/error.h"

#include <stdio.h>

/* Writes the report to the stream; false when it could not, with errno saying why. */
typedef bool report_file_writer(void *owner, FILE *stream);

/* Whether a report can be put at `path`, as far as can be said before it is made: its folder is
 * there and may be written to. False with the error filled. */
bool report_file_check(const char *path, struct error *error);

/* NULL or "-" as the path writes to stdout. False with the error filled. */
bool report_file_write(const char *path, report_file_writer *write, void *owner,
                       struct error *error);

#endif
