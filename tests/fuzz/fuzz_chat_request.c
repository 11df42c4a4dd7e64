/* Bodies of POST /v1/chat/completions. */
#include "base/json.h"
#include "mockserver/chat_request.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chat_request request;
    struct answer answer;
    answer_init(&answer, 0);
    if (chat_request_read(&request, (const char *)data, size, &answer)) {
        assert(request.model[0] != '\0' && request.tokens >= 0);
        chat_request_free(&request);
    } else {
        /* Whatever comes in, what goes out is an error that a client can read. */
        struct error error = {0};
        assert(answer.status == 400 && answer.body != NULL);
        cJSON *root = json_parse(answer.body, answer.body_length, "answer", &error);
        assert(root != NULL);
        assert(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "error")));
        cJSON_Delete(root);
    }
    answer_free(&answer);
    return 0;
}
