#include "client/error_line.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>

const char *error_line_name(int status)
{
    switch (status) {
    case 0:
        return "APIConnectionError";
    case 400:
        return "BadRequestError";
    case 401:
        return "AuthenticationError";
    case 403:
        return "PermissionDeniedError";
    case 404:
        return "NotFoundError";
    case 409:
        return "ConflictError";
    case 422:
        return "UnprocessableEntityError";
    case 429:
        return "RateLimitError";
    default:
        if (status >= 200 && status <= 299)
            return "APIResponseValidationError"; /* served, but not with a completion */
        return status >= 500 ? "InternalServerError" : "APIStatusError";
    }
}

/* Control characters of ASCII, and those of Unicode from U+0080 to U+009F in UTF-8, which some
 * terminals obey too. */
static bool is_control(const char *text)
{
    unsigned char c = (unsigned char)text[0];
    unsigned char next = c != '\0' ? (unsigned char)text[1] : 0;
    return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

static void write_text(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        if (!is_control(text)) {
            fputc(*text, stream);
            continue;
        }
        fputc(' ', stream);
        if ((unsigned char)*text == 0xc2) {
            fputc(' ', stream);
            text++;
        }
    }
}

static void write_body(FILE *stream, const char *body)
{
    cJSON *json = cJSON_Parse(body);
    char *compact = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
    write_text(stream, compact != NULL ? compact : body);
    cJSON_free(compact);
    cJSON_Delete(json);
}

void error_line_write(FILE *stream, int status, const char *body, const char *message)
{
    fprintf(stream, "%s: ", error_line_name(status));
    if (status != 0)
        fprintf(stream, "Error code: %d - ", status);
    if (status != 0 && body != NULL)
        write_body(stream, body);
    else
        write_text(stream, message != NULL ? message : "no answer");
    fputc('\n', stream);
}
