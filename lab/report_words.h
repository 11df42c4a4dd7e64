/* report_words: how numbers of an experiment read in tables, pages and sentences.
 *
 *     rate      0.4213   8.25   1250      four digits, never an exponent
 *     share     98.2 %
 *     seconds   0.82 s   12.3 s   340 s
 *     NAN       -
 */
#ifndef TOOMANY_LAB_REPORT_WORDS_H
#define TOOMANY_LAB_REPORT_WORDS_H

#include "lab/measures.h"
#include "lab/sweep.h"

enum { LAB_WORDS_SIZE = 64 };

const char *lab_words_rate(double value, char text[LAB_WORDS_SIZE]);
const char *lab_words_share(double value, char text[LAB_WORDS_SIZE]);
const char *lab_words_seconds(double value, char text[LAB_WORDS_SIZE]);

/* A measure in its unit, without it: shares in percent. */
const char *lab_words_measure(enum measure measure, double value, char text[LAB_WORDS_SIZE]);

/* Half of the interval in the digits of the mean, "±0.012"; "" where there is none. */
const char *lab_words_interval(enum measure measure, const struct estimate *estimate,
                               char text[LAB_WORDS_SIZE]);

/* "16 workers", "1 worker", "2.5 calls/s"; lab_words_load_number: without the word. */
const char *lab_words_load(const struct experiment *experiment, double load,
                           char text[LAB_WORDS_SIZE]);
const char *lab_words_load_number(const struct experiment *experiment, double load,
                                  char text[LAB_WORDS_SIZE]);

/* Goodput in what the limit that binds counts: tokens, or requests. Where tokens bind, requests do
 * not tell: who serves only small ones serves more of them. "requests/s", "tokens/s" is its unit.
 */
enum measure lab_goodput_measure(const struct sweep *sweep);
/* The most of it that the quota allows; INFINITY: no limit. */
double lab_goodput_bound(const struct sweep *sweep);

/* "requests per minute", with blanks for underscores. */
const char *lab_words_limit(enum quota_dimension limit, char text[LAB_WORDS_SIZE]);

#endif
