/* batch_work: reads the input file of a batch and does what it asks for.
 *
 * Each line is {"custom_id", "method": "POST", "url", "body"}. A file that OpenAI would refuse
 * fails the batch; a body that the endpoint refuses fails its request alone, whose error goes to
 * the error file.
 */
#ifndef TOOMANY_MOCKSERVER_BATCH_WORK_H
#define TOOMANY_MOCKSERVER_BATCH_WORK_H

#include "mockserver/api.h"
#include "mockserver/store.h"

enum { BATCH_REQUESTS_MAX = 50000 }; /* OpenAI's own limit */

/* Fills the batch's model, tokens, lines, output and errors, or its error. Answers depend on
 * `bits`. False when memory is out. */
bool batch_work(struct batch *batch, struct api *api, const struct stored_file *input,
                uint64_t bits);

#endif
