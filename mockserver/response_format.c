#include "mockserver/response_format.h"

#include <stdio.h>
#include <string.h>

enum { PLACE_SIZE = 64 };

static const char *const types[] = {"json_object", "json_schema", "text", NULL};

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Whether what has to stand at `place` is an object. */
static bool check_object(struct endpoint_call *call, const cJSON *item, const char *place)
{
    if (item == NULL)
        return endpoint_refuse_missing(call, place);
    return cJSON_IsObject(item) || endpoint_refuse_type(call, place, "an object", item);
}

/* The name and the schema, which stand in `holder`; that of a chat may be left out. */
static bool check_schema(struct endpoint_call *call, const cJSON *holder, const char *place,
                         bool needs_schema)
{
    char inner[PLACE_SIZE];
    const cJSON *name = member(holder, "name");
    snprintf(inner, sizeof inner, "%s.name", place);
    if (name == NULL)
        return endpoint_refuse_missing(call, inner);
    if (!cJSON_IsString(name))
        return endpoint_refuse_type(call, inner, "a string", name);
    const cJSON *schema = member(holder, "schema");
    snprintf(inner, sizeof inner, "%s.schema", place);
    return (schema == NULL && !needs_schema) || check_object(call, schema, inner);
}

/* Whether a format is one of a type that there is, if it is said at all; tells *has_schema. */
static bool check_type(struct endpoint_call *call, const cJSON *format, const char *place,
                       bool *has_schema)
{
    char inner[PLACE_SIZE];
    *has_schema = false;
    if (format == NULL || cJSON_IsNull(format))
        return true;
    const cJSON *type = member(format, "type");
    snprintf(inner, sizeof inner, "%s.type", place);
    if (!check_object(call, format, place) || !endpoint_check_word(call, type, inner, types))
        return false;
    *has_schema = strcmp(type->valuestring, "json_schema") == 0;
    return true;
}

bool response_format_check_chat(struct endpoint_call *call)
{
    bool has_schema;
    const cJSON *format = member(call->root, "response_format");
    if (!check_type(call, format, "response_format", &has_schema))
        return false;
    if (!has_schema)
        return true;
    static const char place[] = "response_format.json_schema";
    const cJSON *holder = member(format, "json_schema");
    return check_object(call, holder, place) && check_schema(call, holder, place, false);
}

bool response_format_check_response(struct endpoint_call *call)
{
    bool has_schema;
    const cJSON *text = member(call->root, "text");
    if (text == NULL || cJSON_IsNull(text))
        return true;
    const cJSON *format = member(text, "format");
    if (!check_object(call, text, "text") || !check_type(call, format, "text.format", &has_schema))
        return false;
    return !has_schema || check_schema(call, format, "text.format", true);
}
