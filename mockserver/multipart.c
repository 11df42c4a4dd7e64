#include "mockserver/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Reads the value of a parameter of a header, in quotes or not, whose name begins at *at, and goes
 * on behind it. False when it is cut or does not fit. */
static bool read_value(const char **at, const char *end, char *value, size_t size)
{
    size_t length = 0;
    bool is_quoted = *at < end && **at == '"';
    if (is_quoted)
        ++*at;
    for (; *at < end && (is_quoted ? **at != '"' : **at != ';' && **at != ' '); ++*at) {
        if (is_quoted && **at == '\\' && *at + 1 < end)
            ++*at;
        if (length + 1 >= size || **at == '\0')
            return false;
        value[length++] = **at;
    }
    value[length] = '\0';
    if (!is_quoted)
        return true;
    return *at < end && *(*at)++ == '"';
}

/* The value of the parameter `name` in a header's value, "" where there is none. False when it is
 * broken. */
static bool read_parameter(const char *at, const char *end, const char *name, char *value,
                           size_t size)
{
    char ignored[1024] = "";
    size_t name_length = strlen(name);
    value[0] = '\0';
    at = memchr(at, ';', (size_t)(end - at));
    while (at != NULL && at < end) {
        while (at < end && (*at == ';' || *at == ' ' || *at == '\t'))
            at++;
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (equals == NULL)
            return at == end;
        bool is_it =
            (size_t)(equals - at) == name_length && strncasecmp(at, name, name_length) == 0;
        at = equals + 1;
        if (!read_value(&at, end, is_it ? value : ignored, is_it ? size : sizeof ignored))
            return false;
        if (is_it)
            return true;
        if (at < end && *at != ';' && *at != ' ' && *at != '\t')
            return false;
    }
    return true;
}

bool multipart_start(struct multipart *reader, const char *content_type, const char *body,
                     size_t length)
{
    static const char kind[] = "multipart/form-data";
    *reader = (struct multipart){.end = body + length};
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    if (content_type == NULL || strncasecmp(content_type, kind, strlen(kind)) != 0 ||
        !read_parameter(content_type, content_type + strlen(content_type), "boundary", boundary,
                        sizeof boundary) ||
        boundary[0] == '\0')
        return false;
    int written = snprintf(reader->delimiter, sizeof reader->delimiter, "\r\n--%s", boundary);
    reader->delimiter_length = (size_t)written;
    /* The first one stands at the start, without its line break, or after a preamble. */
    const char *first = reader->delimiter + 2;
    size_t first_length = reader->delimiter_length - 2;
    if (length >= first_length && memcmp(body, first, first_length) == 0) {
        reader->at = body + first_length;
        return true;
    }
    const char *found = memmem(body, length, reader->delimiter, reader->delimiter_length);
    if (found == NULL)
        return false;
    reader->at = found + reader->delimiter_length;
    return true;
}

static bool break_off(struct multipart *reader)
{
    reader->is_broken = true;
    reader->at = reader->end;
    return false;
}

/* One header line of a part. */
static bool read_header(const char *line, const char *end, struct multipart_part *part)
{
    static const char name[] = "content-disposition:";
    if ((size_t)(end - line) < strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
        return true;
    return read_parameter(line, end, "name", part->name, sizeof part->name) &&
           read_parameter(line, end, "filename", part->filename, sizeof part->filename);
}

bool multipart_next(struct multipart *reader, struct multipart_part *part)
{
    *part = (struct multipart_part){.data = NULL};
    const char *at = reader->at;
    const char *end = reader->end;
    if (at == end)
        return false;
    if (end - at >= 2 && at[0] == '-' && at[1] == '-') {
        reader->at = end;
        return false;
    }
    /* Blanks may follow the delimiter (RFC 2046, 5.1.1). */
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
        return break_off(reader);
    for (at += 2;;) {
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (line_end == NULL)
            return break_off(reader);
        if (line_end == at)
            break;
        if (!read_header(at, line_end, part))
            return break_off(reader);
        at = line_end + 2;
    }
    /* The blank line's break may be the delimiter's, where there is no data. */
    const char *next = memmem(at, (size_t)(end - at), reader->delimiter, reader->delimiter_length);
    if (next == NULL || part->name[0] == '\0')
        return break_off(reader);
    part->data = next == at ? at : at + 2;
    part->length = next == at ? 0 : (size_t)(next - part->data);
    reader->at = next + reader->delimiter_length;
    return true;
}
