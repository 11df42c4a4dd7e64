/* retry_after: how long a server asks to wait before the next attempt.
 *
 * Three forms, in the order in which the official SDKs look for them:
 *
 *     retry-after-ms: 1500.5                          -> 1500500000 ns
 *     retry-after: 1.5                                -> 1500000000 ns
 *     retry-after: Thu, 01 Jan 2026 00:00:20 GMT      -> 20 s, at 00:00:00
 *
 * A form that cannot be read (negative, "NaN", "0x10", "1e3", a date that is past, empty) counts
 * as absent, and the next form is looked at. Fractions of a nanosecond are rounded up, so that
 * nobody comes earlier than asked; more than DURATION_NS_MAX is cut to it.
 * Rules: RFC 9110, 10.2.3 and 5.6.7 (all three forms of dates); retry-after-ms is OpenAI's own.
 */
#ifndef TOOMANY_CLIENT_RETRY_AFTER_H
#define TOOMANY_CLIENT_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the values of the two headers (NULL where the answer had none) and the wall time now in
 * Unix seconds. False, with *wait_ns untouched, when no wait was asked that can be read. */
bool retry_after_read(const char *retry_after_ms, const char *retry_after, int64_t wall_now_s,
                      int64_t *wait_ns);

#endif
