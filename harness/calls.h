/* calls: which requests are the attempts of one call.
 *
 * The evidence, strongest first:
 *   1. a marker that the scenario asked the client to send (the same marker: the same call);
 *   2. Idempotency-Key (the same key: the same call);
 *   3. the SDK's own counter, x-stainless-retry-count: n > 0 continues a call whose last attempt
 *      said n-1 and failed; 0 starts an attempt of the client's own loop, or a new call;
 *   4. equal bodies in time order: a request continues a call with the same body whose last answer
 *      was an error;
 *   5. the connection, where calls with equal bodies ran at the same time.
 * Where several calls could be continued and nothing tells them apart, the call is marked
 * ambiguous, and expectations that rest on it are not decided. Harnesses that merge such requests
 * report retry storms that never were.
 *
 * Calls ran at the same time when two requests with the same body were under way together, or when
 * a connection is used again after another one was.
 *
 * Pure.
 */
#ifndef TOOMANY_HARNESS_CALLS_H
#define TOOMANY_HARNESS_CALLS_H

#include "harness/result.h"
#include "mockserver/journal.h"

/* Puts the journal's POST requests together to calls, in the order of their first attempts.
 * `run_lasts` says for each run of the client the sequence number of its last request (0: none so
 * far): what comes after it belongs to the next. Fills *calls and *call_count, which the caller
 * owns; false when memory is out. */
bool calls_find(const struct journal *journal, const uint64_t *run_lasts, size_t run_count,
                struct call **calls, size_t *call_count);

#endif
