/* http_date: a moment as HTTP writes it (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". */
#ifndef TOOMANY_MOCKSERVER_HTTP_DATE_H
#define TOOMANY_MOCKSERVER_HTTP_DATE_H

#include <stdint.h>

enum { HTTP_DATE_SIZE = 40 };

/* The two obsolete ones are no longer sent, but "a recipient ... MUST accept all three". */
enum http_date_form {
    HTTP_DATE_IMF,     /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    HTTP_DATE_RFC850,  /* "Sunday, 06-Nov-94 08:49:37 GMT" */
    HTTP_DATE_ASCTIME, /* "Sun Nov  6 08:49:37 1994" */
};

/* Writes Unix time `wall_s` into `text` and returns it. Independent of the locale. */
const char *http_date(int64_t wall_s, char text[HTTP_DATE_SIZE]);
const char *http_date_as(int64_t wall_s, enum http_date_form form, char text[HTTP_DATE_SIZE]);

#endif
