/* http_date: a moment as HTTP writes it (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". */
#ifndef TOOMANY_MOCKSERVER_HTTP_DATE_H
#define TOOMANY_MOCKSERVER_HTTP_DATE_H

#include <stdint.h>

enum { HTTP_DATE_SIZE = 40 };

/* Writes Unix time `wall_s` into `text` and returns it. Independent of the locale. */
const char *http_date(int64_t wall_s, char text[HTTP_DATE_SIZE]);

#endif
