#include "mockserver/answer.h"

#include "base/duration.h"
#include "base/text.h"

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
    /* There is room for 10 KB of headers, which at each request is not little to zero. */
    memset(answer, 0, offsetof(struct answer, places));
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
        if (answer->places[i].name_length == length &&
            strcasecmp(answer_name(answer, i), name) == 0)
            return i;
    }
    return ANSWER_HEADERS_MAX;
}

static size_t at_most(size_t length, size_t size)
{
    return length < size ? length : size - 1;
}

/* What comes after it moves. */
static void set_value(struct answer *answer, size_t i, const char *value, size_t length)
{
    struct answer_place *place = &answer->places[i];
    char *at = answer->lines + place->value;
    size_t end = (size_t)place->value + place->value_length;
    memmove(at + length, answer->lines + end, answer->lines_length - end);
    memcpy(at, value, length);
    answer->lines_length += length - place->value_length;
    for (size_t j = i + 1; j < answer->header_count; j++) {
        struct answer_place *moved = &answer->places[j];
        moved->name = (uint16_t)(moved->name + length - place->value_length);
        moved->value = (uint16_t)(moved->value + length - place->value_length);
    }
    place->value_length = (uint8_t)length;
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
    size_t name_length = strlen(name);
    size_t value_length = strlen(value);
    if (strcspn(value, "\r\n") < value_length)
        return;
    value_length = at_most(value_length, ANSWER_HEADER_VALUE_SIZE);
    size_t i = find(answer, name, name_length);
    if (i < ANSWER_HEADERS_MAX)
        set_value(answer, i, value, value_length);
    else
        answer_header_add_bytes(answer, name, at_most(name_length, ANSWER_HEADER_NAME_SIZE), value,
                                value_length);
}

void answer_write_tail(const struct answer *answer, char *target)
{
    const size_t begin = answer->header_count > 0 ? answer->places[0].value : 0;
    memcpy(target, answer->lines + begin, answer_tail_length(answer));
    for (size_t i = 1; i < answer->header_count; i++) {
        const struct answer_place *place = &answer->places[i];
        target[place->name - ANSWER_SEPARATOR - begin] = '\r';
        target[place->value - ANSWER_SEPARATOR - begin] = ':';
    }
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
    return i < ANSWER_HEADERS_MAX ? answer_value(answer, i) : NULL;
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
