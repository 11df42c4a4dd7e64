/* multipart: reads a body of multipart/form-data (RFC 7578), part by part.
 *
 *     --X\r\n
 *     Content-Disposition: form-data; name="purpose"\r\n
 *     \r\n
 *     batch\r\n
 *     --X--\r\n
 *
 * has one part, "purpose", whose data is "batch". Nothing is copied but names; data points into the
 * body.
 */
#ifndef TOOMANY_MOCKSERVER_MULTIPART_H
#define TOOMANY_MOCKSERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046, 5.1.1 */
    MULTIPART_NAME_SIZE = 64,
    MULTIPART_FILENAME_SIZE = 256,
};

struct multipart {
    const char *at; /* behind the last delimiter */
    const char *end;
    char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* "\r\n--" and the boundary */
    size_t delimiter_length;
    bool is_broken; /* it ended before its last delimiter, or a part is none */
};

struct multipart_part {
    char name[MULTIPART_NAME_SIZE];
    char filename[MULTIPART_FILENAME_SIZE]; /* "" where it is no file */
    const char *data;
    size_t length;
};

/* False when `content_type` (NULL: none) is not multipart/form-data with a boundary, or the body
 * does not begin with it. */
bool multipart_start(struct multipart *reader, const char *content_type, const char *body,
                     size_t length);

/* The next part; false after the last one, or when the body is broken. A name or filename that is
 * too long breaks it. */
bool multipart_next(struct multipart *reader, struct multipart_part *part);

#endif
