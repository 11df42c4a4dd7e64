/* stop_sequences: texts before which a model is to stop, "stop" of chats and completions.
 *
 *     "stop": "\n"        "stop": ["END", "###"]
 *
 * A string, or up to four in an array; the answer ends before the first that would occur in it. An
 * empty one occurs nowhere.
 */
#ifndef TOOMANY_MOCKSERVER_STOP_SEQUENCES_H
#define TOOMANY_MOCKSERVER_STOP_SEQUENCES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct endpoint_call;

enum { STOP_SEQUENCES_MAX = 4 }; /* OpenAI's, as its refusals say */

/* Refuses a "stop" that is none. */
bool stop_sequences_read(struct endpoint_call *call);

/* Where in a text the first of them begins; its end where none does. `stop` may be NULL. */
size_t stop_sequences_find(const cJSON *stop, const char *text);

#endif
