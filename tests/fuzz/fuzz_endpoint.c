/* Bodies of requests, and what each endpoint makes of them. The first byte is the row of the table
 * (counted from '0'), the rest the body. */
#include "base/json.h"
#include "mockserver/api.h"
#include "mockserver/endpoint.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct endpoint *row_of(uint8_t byte)
{
    const struct endpoint *table = endpoint_table();
    size_t count = 0;
    while (table[count].method != NULL)
        count++;
    return &table[(size_t)(uint8_t)(byte - '0') % count];
}

/* Reads a piece of a stream as a client does (server-sent events, WHATWG): one event, with JSON in
 * its data or the end mark, and nothing beside. */
static void check_event(const char *text, size_t length, bool is_last)
{
    const char *end = text + length;
    const char *data = NULL;
    size_t data_length = 0;
    assert(length > 2 && end[-1] == '\n' && end[-2] == '\n');
    for (const char *line = text; line < end - 1;) {
        size_t line_length =
            (size_t)((const char *)memchr(line, '\n', (size_t)(end - line)) - line);
        assert(memchr(line, '\r', line_length) == NULL);
        if (line_length >= 6 && memcmp(line, "data: ", 6) == 0) {
            assert(data == NULL);
            data = line + 6;
            data_length = line_length - 6;
        } else {
            assert(data == NULL && line_length > 7 && memcmp(line, "event: ", 7) == 0);
        }
        line += line_length + 1;
    }
    assert(data != NULL);
    if (is_last && data_length == 6 && memcmp(data, "[DONE]", 6) == 0)
        return;
    cJSON *root = json_parse(data, data_length, "data", NULL);
    assert(root != NULL);
    cJSON_Delete(root);
}

static void check_stream(const struct answer *answer)
{
    size_t begin = 0;
    for (size_t i = 0; i < answer->piece_count; i++) {
        size_t end = answer->pieces[i].end;
        check_event(answer->body + begin, end - begin, i + 1 == answer->piece_count);
        begin = end;
    }
    assert(begin == answer->body_length);
}

/* Whatever comes in, what goes out can be read by a client. */
static void check_answer(const struct answer *answer)
{
    assert(answer->body != NULL);
    const char *type = answer_find_header(answer, "content-type");
    if (answer->piece_count > 0)
        assert(answer->pieces[answer->piece_count - 1].end == answer->body_length);
    for (size_t i = 1; i < answer->piece_count; i++) {
        assert(answer->pieces[i].end >= answer->pieces[i - 1].end);
        assert(answer->pieces[i].due_ns >= answer->pieces[i - 1].due_ns);
    }
    if (answer->stream != ANSWER_NOT_STREAMED)
        check_stream(answer);
    if (type != NULL)
        return;
    struct error error = {0};
    cJSON *root = json_parse(answer->body, answer->body_length, "answer", &error);
    assert(root != NULL);
    assert((answer->status >= 400) ==
               cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "error")) ||
           answer->status == 200);
    cJSON_Delete(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct endpoint *row = row_of(data[0]);
    if (row->read == NULL)
        return 0;
    struct api_request request = {
        .method = row->method,
        .path = row->path,
        .body = (const char *)data + 1,
        .body_length = size - 1,
    };
    struct answer answer;
    struct endpoint_call call = {
        .request = &request,
        .answer = &answer,
        .tokens_max = -1,
        .bits = 7,
        .pace = {.first_token_ns = 1000, .tokens_per_second = 10},
    };
    answer_init(&answer, 0);
    if (row->read(&call)) {
        assert(call.model[0] != '\0' && call.tokens >= 0 && call.images >= 0);
        answer_free(&answer);
        answer_init(&answer, 200);
        row->make(&call);
        assert(call.work_ns >= 0);
    } else {
        assert(answer.status == 400);
    }
    check_answer(&answer);
    endpoint_call_free(&call);
    answer_free(&answer);
    return 0;
}
