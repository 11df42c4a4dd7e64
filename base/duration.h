/* duration: lengths of time as OpenAI writes them, held as whole nanoseconds.
 *
 *     "250ms"  ->        250000000
 *     "1.5s"   ->       1500000000
 *     "6m0s"   ->     360000000000
 *     "114h18m0s", "1d" are read too; "5" (no unit), "s", "-1s" and "1s " are not.
 *
 * Formatting is that of Go's time.Duration.String(), cut (not rounded) to whole
 * milliseconds, as OpenAI's x-ratelimit-reset-* headers and messages show it:
 * 9904800000 ns -> "9.904s", 6600000 ns -> "6ms", 900000 ns -> "0s", 432000000000 ns -> "7m12s".
 */
#ifndef TOOMANY_BASE_DURATION_H
#define TOOMANY_BASE_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MINUTE (60 * NS_PER_S)
#define NS_PER_HOUR (60 * NS_PER_MINUTE)
#define NS_PER_DAY (24 * NS_PER_HOUR)

/* The longest duration that is read: ten years, far from the end of int64_t. */
#define DURATION_NS_MAX (3650 * NS_PER_DAY)

enum { DURATION_TEXT_SIZE = 40 };

/* Reads `text` (whole string) into *ns. Units: ns, us, ms, s, m, h, d, largest first,
 * each at most once; a fraction is allowed in each part. False if it is not a duration
 * or is longer than DURATION_NS_MAX; *ns is then untouched. */
bool duration_parse(const char *text, int64_t *ns);

/* Writes Go's form, cut to milliseconds, into `text` and returns it. ns may be negative. */
const char *duration_go(int64_t ns, char text[DURATION_TEXT_SIZE]);

/* Writes a form for people, cut and never rounded up to the next unit: exact where it is whole in
 * milliseconds ("1s", "250ms", "2m5s"), else "37us", "1.5ms", "1.004s" and from a minute on as
 * duration_go. */
const char *duration_text(int64_t ns, char text[DURATION_TEXT_SIZE]);

#endif
