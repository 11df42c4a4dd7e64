/* token_estimate: how many tokens a text is, as the limits count it.
 *
 * The estimate is the one that recorded traffic shows (178 sessions of openai-dotnet, see
 * docs/architecture.md): characters/4, cut, of each text part, and 765 for each image or file.
 *
 * Pure.
 */
#ifndef TOOMANY_MOCKSERVER_TOKEN_ESTIMATE_H
#define TOOMANY_MOCKSERVER_TOKEN_ESTIMATE_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_CHARACTERS = 4, TOKENS_PER_IMAGE = 765 };

/* A text. */
int64_t token_estimate_text(const char *text);

/* The content of a message: a string, or an array of parts (text, images, files). */
int64_t token_estimate_content(const cJSON *content);

/* What a model's own words are: every begun token counts. */
int64_t token_estimate_reply(const char *text);

/* How many bytes the first `count` tokens of a text take; no character is cut. */
size_t token_estimate_bytes(const char *text, int64_t count);

/* The same where they may not be more: a character that would begin another token is left out. */
size_t token_estimate_bytes_within(const char *text, int64_t count);

#endif
