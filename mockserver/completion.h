/* completion: the bodies of chat completions, in the shapes that recorded sessions show.
 *
 * Pure: the same arguments give the same bytes.
 */
#ifndef TOOMANY_MOCKSERVER_COMPLETION_H
#define TOOMANY_MOCKSERVER_COMPLETION_H

#include "mockserver/answer.h"
#include "mockserver/event_stream.h"
#include "mockserver/reply.h"

#include <stdbool.h>
#include <stdint.h>

/* What the mock says when nothing else is set: OpenAI's own example answer. */
#define COMPLETION_CONTENT "This is a test!"

struct completion {
    const char *model;
    const struct reply *reply;
    int choice_count;
    int64_t prompt_tokens;
    uint64_t id_bits;
    int64_t created_s;      /* Unix time */
    bool include_usage;     /* of a stream: one chunk more, that tells the usage */
    bool is_padded;         /* of a stream: see obfuscation.h */
    bool has_logprobs;      /* of a text: see logprobs.h */
    size_t logprobs_length; /* how many bytes of it get them */
    bool has_top_logprobs;
};

/* A chat.completion and its length. The caller frees the text; NULL when memory is out. */
char *completion_chat(const struct completion *completion, size_t *length);

/* The same as chat.completion.chunks. */
void completion_chat_stream(const struct completion *completion, const struct pace *pace,
                            struct answer *answer);

/* "usage" of the older endpoints: three numbers. */
cJSON *completion_usage(int64_t prompt_tokens, int64_t completion_tokens);

#endif
