/* error_line: a failed call as one line, in the form that the official Python SDK prints.
 *
 *     RateLimitError: Error code: 429 - {"error":{"message":"...","type":"requests",...}}
 *     InternalServerError: Error code: 503 - error code: 1015
 *     APIConnectionError: could not connect to the server
 *
 * A JSON body is written without its line breaks; control characters of another are replaced, so
 * that a server cannot write to the user's terminal.
 */
#ifndef TOOMANY_CLIENT_ERROR_LINE_H
#define TOOMANY_CLIENT_ERROR_LINE_H

#include <stdio.h>

/* The class of the official Python SDK for a status; 0 is "APIConnectionError". */
const char *error_line_name(int status);

/* `message` is for the calls that have no body: why no whole answer came. Either may be NULL. */
void error_line_write(FILE *stream, int status, const char *body, const char *message);

#endif
