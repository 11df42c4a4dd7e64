/* service: times of the model as a journal has them.
 *
 *     "service_time": {"kind": "measured", "journal": "yesterday.jsonl"}
 *
 * takes of every request that was served with 200 the time from its arrival to the last byte of its
 * answer; "request_tokens" with a journal takes their tokens.
 */
#ifndef TOOMANY_LAB_SERVICE_H
#define TOOMANY_LAB_SERVICE_H

#include "base/distribution.h"
#include "base/error.h"

/* False with the error filled: no such file, a line that is no entry, nobody served. The caller
 * frees with distribution_free. */
bool service_times_of_journal(struct distribution *times, const char *path, struct error *error);
bool service_tokens_of_journal(struct distribution *tokens, const char *path, struct error *error);

#endif
