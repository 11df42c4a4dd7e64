/* base64: RFC 4648, with padding. */
#ifndef TOOMANY_MOCKSERVER_BASE64_H
#define TOOMANY_MOCKSERVER_BASE64_H

#include <stddef.h>

/* The caller frees the text; NULL when memory is out. */
char *base64_encode(const void *bytes, size_t length);

#endif
