#include "client/error_line.h"

#include <cjson/cJSON.h>
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

static void write_text(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        fputc(c < 0x20 || c == 0x7f ? ' ' : c, stream);
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
