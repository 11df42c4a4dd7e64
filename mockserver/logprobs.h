/* logprobs: each token of an answer with the logarithm of how likely it was, where a request asks
 * for that.
 *
 *     {"token": "This", "logprob": -0.391, "bytes": [84, 104, 105, 115], "top_logprobs": []}
 *
 * Tokens are those of token_estimate.h. No model is asked how likely they are: a token's bytes give
 * a number between -1 and 0, the same one each time. Of the tokens that might have stood in its
 * place only itself is known.
 *
 * Pure.
 */
#ifndef TOOMANY_MOCKSERVER_LOGPROBS_H
#define TOOMANY_MOCKSERVER_LOGPROBS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint_call;

enum {
    LOGPROBS_TOP_MAX = 20,           /* OpenAI's, of chats */
    LOGPROBS_TOP_MAX_COMPLETION = 5, /* and of the older completions */
    LOGPROBS_TOKENS_MAX = 65536,     /* of one answer, each some 100 bytes; the rest has none */
};

/* Refuses a "logprobs" or "top_logprobs" of a chat that is none. */
bool logprobs_read(struct endpoint_call *call);

/* How many bytes of a text get logprobs in an answer that has it so many times. */
size_t logprobs_length(const char *text, int64_t times);

/* {"content": [...], "refusal": null} for the first `length` bytes; `has_top`: likely tokens are
 * asked for. The caller deletes it. */
cJSON *logprobs_chat(const char *text, size_t length, bool has_top);

/* {"tokens", "token_logprobs", "top_logprobs", "text_offset"} for `length` bytes from `begin` on;
 * offsets are characters of the text. The caller deletes it. */
cJSON *logprobs_completion(const char *text, size_t begin, size_t length, bool has_top);

#endif
