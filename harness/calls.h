/* calls: which requests are the attempts of one call.
 *
 * The evidence, strongest first:
 *   1. a marker that the scenario asked the client to send (the same marker: the same call);
 *   2. Idempotency-Key (the same key: the same call);
 *   3. the SDK's own counter, x-stainless-retry-count: n > 0 continues a call whose last attempt
 *      said n-1 and failed; 0 starts an attempt of the client's own loop, or a new call;
 *   4. equal bodies in time order: a request continues a call with the same body whose last answer
 *      was an error, be it with status 200;
 *   5. the connection, where calls with equal bodies ran at the same time and the scenario says
 *      that each call keeps to a connection of its own.
 * Where several calls could be continued, or one could but the request may as well start a new
 * call, all calls with that body are marked ambiguous, and expectations that rest on them are not
 * decided. Harnesses that merge such requests report retry storms that never were.
 *
 * A connection alone tells nothing: the pools of the SDKs put a retry on whichever connection is
 * idle, that of another call as well as its own.
 *
 * Calls ran at the same time when two requests with the same body were under way together, or when
 * a connection is used again after another one was. Calls with equal bodies and without a counter
 * that take turns on one connection look like one call that is retried; nothing that the server
 * sees could show otherwise.
 *
 * Pure. Takes time n log n for n requests.
 */
#ifndef TOOMANY_HARNESS_CALLS_H
#define TOOMANY_HARNESS_CALLS_H

#include "harness/result.h"
#include "mockserver/journal.h"

struct calls_input {
    const struct journal *journal;
    /* For each run of the client the sequence number of its last request (0: none so far): what
     * comes after it belongs to the next. */
    const uint64_t *run_lasts;
    size_t run_count;
    bool by_connection; /* each call keeps to a connection of its own */
};

/* Puts the journal's POST requests together to calls, in the order of their first attempts. Fills
 * *calls and *call_count, which the caller owns, also what there is of them when memory is out and
 * it returns false. */
bool calls_find(const struct calls_input *input, struct call **calls, size_t *call_count);

#endif
