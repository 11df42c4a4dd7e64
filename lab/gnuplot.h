/* gnuplot: runs gnuplot, which draws the plots, as a program of its own.
 *
 * It gets the script on its standard input and nothing of the user's own settings. What it draws
 * on its standard output is handed on; what it complains about becomes the error.
 */
#ifndef TOOMANY_LAB_GNUPLOT_H
#define TOOMANY_LAB_GNUPLOT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* False, with the error filled (could_not_run) and saying what to install, when there is none. */
bool gnuplot_is_there(struct error *error);

/* Runs the script and copies its output to the stream. False with the error filled when it could
 * not be started or failed. */
bool gnuplot_run(const char *script, size_t length, FILE *stream, struct error *error);

/* Writes `text` as a string that gnuplot takes as it is: it would run what is in backquotes, and
 * has its own mind about quotes. `is_tic`: as the label of a tic, in which % stands for the number.
 */
void gnuplot_put_text(FILE *script, const char *text, bool is_tic);

#endif
