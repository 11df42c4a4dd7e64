/* reply: what a model says to a conversation: the words of the script or the set-up, a value that
 * fits the format that was asked for, a call of a tool that was offered, or a sentence.
 *
 * A tool is called where tool_choice demands one, or where it is left open, no words are set, and
 * no tool has answered since the user last spoke; so an agent's loop comes to its end.
 */
#ifndef TOOMANY_MOCKSERVER_REPLY_H
#define TOOMANY_MOCKSERVER_REPLY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct reply {
    char *content;   /* NULL with a call of a tool */
    char *tool;      /* the name of the one that is called, or NULL */
    char *arguments; /* its JSON */
    bool is_cut;     /* by reply_cut */
};

/* `root` is the body of a POST /v1/chat/completions or /v1/responses; `content` the words that are
 * set, or NULL. */
void reply_choose(struct reply *reply, const cJSON *root, const char *content);
void reply_free(struct reply *reply);

/* Ends it after so many tokens, as OpenAI does in the middle of whatever is being said: a text, a
 * value in a format, the arguments of a call. -1: nothing is cut. */
void reply_cut(struct reply *reply, int64_t tokens_max);

/* What is said: the text, or the arguments of the call. */
const char *reply_text(const struct reply *reply);

/* What the model has said, in tokens. */
int64_t reply_tokens(const struct reply *reply);

#endif
