/* Forms: the first line is the Content-Type, what follows the body. */
#include "mockserver/multipart.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (line_end == NULL)
        return 0;
    size_t type_length = (size_t)(line_end - data);
    const char *body = (const char *)line_end + 1;
    size_t length = size - type_length - 1;
    char *type = malloc(type_length + 1);
    assert(type != NULL);
    memcpy(type, data, type_length);
    type[type_length] = '\0';
    struct multipart reader;
    struct multipart_part part;
    if (multipart_start(&reader, type, body, length)) {
        const char *before = body;
        while (multipart_next(&reader, &part)) {
            assert(part.name[0] != '\0');
            assert(strlen(part.name) < sizeof part.name);
            assert(strlen(part.filename) < sizeof part.filename);
            /* Parts lie in the body, one after the other, and hold no delimiter. */
            assert(part.data > before && part.data + part.length <= body + length);
            assert(memmem(part.data, part.length, reader.delimiter, reader.delimiter_length) ==
                   NULL);
            before = part.data + part.length;
        }
        assert(!multipart_next(&reader, &part));
    }
    free(type);
    return 0;
}
