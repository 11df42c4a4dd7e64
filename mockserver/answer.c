#include "mockserver/answer.h"

#include "base/duration.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_init(struct answer *answer, int status)
{
    *answer = (struct answer){.status = status, .retry_after_ns = -1};
}

void answer_free(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
    answer->body_length = 0;
    answer_pieces(answer, NULL, 0);
}

static struct answer_header *find_or_add(struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return &answer->headers[i];
    }
    assert(answer->header_count < ANSWER_HEADERS_MAX);
    return &answer->headers[answer->header_count++];
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
    struct answer_header *header = find_or_add(answer, name);
    snprintf(header->name, sizeof header->name, "%s", name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(header->value, sizeof header->value, format, arguments);
    va_end(arguments);
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
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return answer->headers[i].value;
    }
    return NULL;
}

void answer_retry_after(struct answer *answer, int64_t wait_ns, bool ms)
{
    answer->retry_after_ns = wait_ns;
    answer_header(answer, "retry-after", "%" PRId64, (wait_ns + NS_PER_S - 1) / NS_PER_S);
    if (ms)
        answer_header(answer, "retry-after-ms", "%" PRId64, (wait_ns + NS_PER_MS - 1) / NS_PER_MS);
}
