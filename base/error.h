/* error: why something could not be done, and where.
 *
 * Functions that can fail for the outside world's reasons return `bool` or a
 * pointer and fill a struct error that the caller owns. A programmer's mistake
 * is an assert instead.
 *
 *     struct error error;
 *     if (!scenario_load(&scenario, "r3.json", &error))
 *         fprintf(stderr, "toomany: %s\n", error_text(&error, text, sizeof text));
 *
 * prints `toomany: r3.json: /expect/attempts_per_call: found a string, wanted a whole number`.
 */
#ifndef TOOMANY_BASE_ERROR_H
#define TOOMANY_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct error {
    char place[512];    /* file:line:column, file: /json/pointer, option name; may be empty */
    char message[768];  /* what was found and what would be right */
    bool could_not_run; /* the machine's fault (exit status 3), not the file's or the user's (2) */
};

/* Fills *error; always returns false, so that `return error_set(...)` reads as failure.
 * A text that is too long is cut. `error` may be NULL. */
bool error_set(struct error *error, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, and marks the failure as the machine's: it could not be run. */
bool error_set_run(struct error *error, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What to do about an errno, to be put behind strerror's text: "; raise `ulimit -n`"; "" where
 * there is nothing to say. Static text. */
const char *error_remedy(int error_number);

/* Puts `outer` and a separator ": " before the place that the error has. */
void error_prefix_place(struct error *error, const char *outer);

/* Writes "place: message" to `text` (size bytes, cut if longer) and returns it. */
const char *error_text(const struct error *error, char *text, size_t size);

#endif
