#include "mockserver/answer.h"

#include "base/duration.h"
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool answer_is_header(const char *name, const char *value)
{
    size_t name_length = strlen(name);
    if (name_length == 0 || name_length >= ANSWER_HEADER_NAME_SIZE ||
        strlen(value) >= ANSWER_HEADER_VALUE_SIZE)
        return false;
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && strchr("!#$%&'*+-.^_`|~", *name) == NULL)
            return false;
    }
    for (; *value != '\0'; value++) {
        if (iscntrl((unsigned char)*value) && *value != '\t')
            return false;
    }
    return true;
}

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

/* ANSWER_HEADERS_MAX where there is none. */
static size_t find(const struct answer *answer, const char *name, size_t length)
{
    if ((answer->name_bits & answer_name_bit(name, length)) == 0)
        return ANSWER_HEADERS_MAX;
    for (size_t i = 0; i < answer->header_count; i++) {
        if (answer->name_lengths[i] == length && strcasecmp(answer->headers[i].name, name) == 0)
            return i;
    }
    return ANSWER_HEADERS_MAX;
}

static size_t copy(char *target, size_t size, const char *source, size_t length)
{
    length = length < size ? length : size - 1;
    memcpy(target, source, length);
    target[length] = '\0';
    return length;
}

static size_t add(struct answer *answer, const char *name, size_t length)
{
    assert(answer->header_count < ANSWER_HEADERS_MAX);
    size_t i = answer->header_count++;
    answer->name_bits |= answer_name_bit(name, length);
    answer->name_lengths[i] =
        (uint8_t)copy(answer->headers[i].name, ANSWER_HEADER_NAME_SIZE, name, length);
    return i;
}

static size_t find_or_add(struct answer *answer, const char *name)
{
    size_t length = strlen(name);
    size_t i = find(answer, name, length);
    return i < ANSWER_HEADERS_MAX ? i : add(answer, name, length);
}

static void set_value(struct answer *answer, size_t i, const char *value, size_t length)
{
    answer->value_lengths[i] =
        (uint8_t)copy(answer->headers[i].value, ANSWER_HEADER_VALUE_SIZE, value, length);
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
    char value[ANSWER_HEADER_VALUE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    answer_header_text(answer, name, value);
}

void answer_header_text(struct answer *answer, const char *name, const char *value)
{
    size_t length = strlen(value);
    if (strcspn(value, "\r\n") == length)
        set_value(answer, find_or_add(answer, name), value, length);
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

const char *answer_find_header_bytes(const struct answer *answer, const char *name, size_t length)
{
    size_t i = find(answer, name, length);
    return i < ANSWER_HEADERS_MAX ? answer->headers[i].value : NULL;
}

void answer_retry_after(struct answer *answer, int64_t wait_ns, bool ms)
{
    char text[TEXT_WHOLE_SIZE];
    answer->retry_after_ns = wait_ns;
    text_whole(text, (wait_ns + NS_PER_S - 1) / NS_PER_S);
    answer_header_text(answer, "retry-after", text);
    text_whole(text, (wait_ns + NS_PER_MS - 1) / NS_PER_MS);
    if (ms)
        answer_header_text(answer, "retry-after-ms", text);
}
