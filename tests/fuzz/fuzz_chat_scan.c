/* Bodies of chat requests: what the scan takes, the tree takes, and reads the same out of it. A
 * member that the scan does not know sends the same request through the tree. */
#include "mockserver/api.h"
#include "mockserver/chat_scan.h"
#include "mockserver/endpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void begin(struct endpoint_call *call, struct api_request *request, struct answer *answer,
                  const char *body, size_t length)
{
    *request = (struct api_request){.body = body, .body_length = length};
    *call = (struct endpoint_call){.request = request, .answer = answer, .tokens_max = -1};
    answer_init(answer, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char unusual[] = "\"unusual\":null,";
    struct chat_scan scan;
    /* A copy of its own, so that a byte read beyond its end is seen. */
    char *body = malloc(size > 0 ? size : 1);
    assert(body != NULL);
    memcpy(body, data, size);
    if (!chat_scan(body, size, &scan)) {
        free(body);
        return 0;
    }
    struct api_request request;
    struct answer answer;
    struct endpoint_call usual;
    begin(&usual, &request, &answer, body, size);
    assert(endpoint_chat_read(&usual) && usual.root == NULL);

    size_t start = (size_t)((const char *)memchr(body, '{', size) - body) + 1;
    size_t length = size + sizeof unusual - 1;
    char *other = malloc(length);
    assert(other != NULL);
    memcpy(other, body, start);
    memcpy(other + start, unusual, sizeof unusual - 1);
    memcpy(other + start + sizeof unusual - 1, body + start, size - start);
    struct endpoint_call by_tree;
    begin(&by_tree, &request, &answer, other, length);
    assert(endpoint_chat_read(&by_tree) && by_tree.root != NULL);
    assert(strcmp(usual.model, by_tree.model) == 0);
    assert(usual.tokens == by_tree.tokens && usual.tokens_max == by_tree.tokens_max);
    assert(usual.is_streamed == by_tree.is_streamed && usual.images == by_tree.images);
    endpoint_call_free(&by_tree);
    free(other);
    free(body);
    return 0;
}
