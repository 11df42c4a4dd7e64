/* service: times of the model as a journal has them.
 *
 *     "service_time": {"kind": "measured", "journal": "yesterday.jsonl"}
 *
 * takes of every request to a model that was served with 200 the time from its arrival to the last
 * byte of its answer; "request_tokens" with a journal takes their tokens. What costs no token asked
 * no model (a list of models, a file), and is passed over. Amounts are cut to what an experiment
 * may say itself: in virtual time an answer takes none.
 */
#ifndef TOOMANY_LAB_SERVICE_H
#define TOOMANY_LAB_SERVICE_H

#include "base/distribution.h"
#include "base/duration.h"
#include "base/error.h"

/* Of an experiment's times and sizes. No answer takes less: a loop without end at one moment would
 * be possible. */
#define SERVICE_NS_MIN NS_PER_US
#define SERVICE_NS_MAX NS_PER_DAY
#define SERVICE_TOKENS_MAX INT64_C(1000000000)

/* False with the error filled: no such file, a line that is no entry, nobody served. The caller
 * frees with distribution_free. */
bool service_times_of_journal(struct distribution *times, const char *path, struct error *error);
bool service_tokens_of_journal(struct distribution *tokens, const char *path, struct error *error);

#endif
