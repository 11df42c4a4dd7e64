/* completion: the bodies of good answers, in the shapes that recorded sessions show.
 *
 * Pure: the same arguments give the same bytes.
 */
#ifndef TOOMANY_MOCKSERVER_COMPLETION_H
#define TOOMANY_MOCKSERVER_COMPLETION_H

#include <stdint.h>

/* What the mock says when nothing else is set: OpenAI's own example answer. */
#define COMPLETION_CONTENT "This is a test!"

/* A chat.completion. `id_bits` makes its id, `created_s` is Unix time. The caller frees the text;
 * NULL when memory is out. */
char *completion_chat(const char *model, const char *content, int64_t prompt_tokens,
                      uint64_t id_bits, int64_t created_s);

/* One model, as GET /v1/models/{id} gives it. */
char *completion_model(const char *id);

/* The list of GET /v1/models. */
char *completion_models(const char *const *ids, int count);

#endif
