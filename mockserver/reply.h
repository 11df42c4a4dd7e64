/* reply: what a model says to a conversation: the words of the script or the set-up, a value that
 * fits the format that was asked for, a call of a tool that was offered, or a sentence.
 */
#ifndef TOOMANY_MOCKSERVER_REPLY_H
#define TOOMANY_MOCKSERVER_REPLY_H

#include "mockserver/tool_choice.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct reply {
    const char *text; /* what is said; of a call its arguments, which are JSON, or its input */
    const char *tool; /* the name of the one that is called, or NULL */
    enum tool_kind tool_kind;
    int64_t tokens; /* of the text */
    bool is_cut;
    char *owned; /* memory that the text stands in, where nobody else has it; or NULL */
};

/* `root` is the body of a POST /v1/chat/completions or /v1/responses, or NULL: nothing but text was
 * asked for; `content` the words that are set, or NULL. Both are used until reply_free().
 *
 * The reply ends after tokens_max, as OpenAI's does in the middle of whatever is being said: a
 * text, a value in a format, the arguments of a call. -1: nothing is cut. */
void reply_choose(struct reply *reply, const cJSON *root, const char *content, int64_t tokens_max);

/* Ends a text before the first of the sequences of "stop" (or NULL) that is in it, as its natural
 * end: it is no longer cut. */
void reply_end_before(struct reply *reply, const cJSON *stop);

void reply_free(struct reply *reply);

#endif
