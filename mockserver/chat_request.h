/* chat_request: reads the body of POST /v1/chat/completions and estimates what it costs.
 *
 * The estimate is the one that recorded traffic shows (178 sessions of openai-dotnet, see
 * docs/architecture.md): characters/4, cut, of each text part, plus one a message, plus 2, plus
 * 765 for each image or file. Tools and response_format are not counted.
 *
 *     one message of 114 characters -> 28 + 1 + 2 = 31 tokens
 *
 * Pure: bytes in, numbers or an answer with OpenAI's error out.
 */
#ifndef TOOMANY_MOCKSERVER_CHAT_REQUEST_H
#define TOOMANY_MOCKSERVER_CHAT_REQUEST_H

#include "mockserver/answer.h"

#include <cjson/cJSON.h>

struct chat_request {
    cJSON *root; /* owned: chat_request_free */
    char model[96];
    int64_t tokens;
};

/* Reads `length` bytes. False when the request is wrong; *answer then holds the 400 to send. */
bool chat_request_read(struct chat_request *request, const char *body, size_t length,
                       struct answer *answer);
void chat_request_free(struct chat_request *request);

#endif
