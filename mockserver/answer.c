#include "mockserver/answer.h"

#include "base/duration.h"
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_init(struct answer *answer, int status)
{
    /* The headers alone are 10 KB, which at each request is not little to zero. */
    memset(answer, 0, offsetof(struct answer, headers));
    answer->status = status;
    answer->retry_after_ns = -1;
}

void answer_free(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
    answer->body_length = 0;
    answer_pieces(answer, NULL, 0);
}

static bool is_name(const struct answer_header *header, const char *name)
{
    /* Most differ in their first letter. */
    return (header->name[0] | 0x20) == (name[0] | 0x20) && strcasecmp(header->name, name) == 0;
}

static struct answer_header *find_or_add(struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (is_name(&answer->headers[i], name))
            return &answer->headers[i];
    }
    assert(answer->header_count < ANSWER_HEADERS_MAX);
    return &answer->headers[answer->header_count++];
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
    struct answer_header *header = find_or_add(answer, name);
    text_copy(header->name, sizeof header->name, name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(header->value, sizeof header->value, format, arguments);
    va_end(arguments);
}

void answer_header_text(struct answer *answer, const char *name, const char *value)
{
    struct answer_header *header = find_or_add(answer, name);
    text_copy(header->name, sizeof header->name, name);
    text_copy(header->value, sizeof header->value, value);
}

void answer_header_whole(struct answer *answer, const char *name, int64_t value)
{
    char text[TEXT_WHOLE_SIZE];
    text_whole(text, value);
    answer_header_text(answer, name, text);
}

void answer_body(struct answer *answer, char *body)
{
    free(answer->body);
    answer->body = body;
    answer->body_length = body != NULL ? strlen(body) : 0;
}

void answer_body_bytes(struct answer *answer, void *body, size_t length)
{
    free(answer->body);
    answer->body = body;
    answer->body_length = body != NULL ? length : 0;
}

void answer_pieces(struct answer *answer, struct answer_piece *pieces, size_t count)
{
    free(answer->pieces);
    answer->pieces = pieces;
    answer->piece_count = pieces != NULL ? count : 0;
}

const char *answer_find_header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (is_name(&answer->headers[i], name))
            return answer->headers[i].value;
    }
    return NULL;
}

void answer_retry_after(struct answer *answer, int64_t wait_ns, bool ms)
{
    answer->retry_after_ns = wait_ns;
    answer_header_whole(answer, "retry-after", (wait_ns + NS_PER_S - 1) / NS_PER_S);
    if (ms)
        answer_header_whole(answer, "retry-after-ms", (wait_ns + NS_PER_MS - 1) / NS_PER_MS);
}
