#include "mockserver/schema_example.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a string of a format looks like; any moment, any name. */
static const struct {
    const char *format;
    const char *text;
} formats[] = {
    {"date-time", "2026-01-01T00:00:00Z"},
    {"date", "2026-01-01"},
    {"time", "00:00:00Z"},
    {"duration", "PT1S"},
    {"email", "user@example.com"},
    {"hostname", "example.com"},
    {"ipv4", "192.0.2.1"},
    {"ipv6", "2001:db8::1"},
    {"uuid", "00000000-0000-4000-8000-000000000000"},
    {"uri", "https://example.com/"},
};

struct maker {
    const cJSON *root;
    int depth;
    int value_count;
    int64_t work; /* comparisons and copied bytes so far */
};

static cJSON *make(struct maker *maker, const cJSON *schema);

/* A schema of a few megabytes must not keep the server busy for minutes. */
static bool has_worked_enough(const struct maker *maker)
{
    return maker->work > SCHEMA_EXAMPLE_WORK_MAX;
}

static const cJSON *member(const cJSON *schema, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(schema, name);
}

static double number_of(const cJSON *schema, const char *name, double otherwise)
{
    const cJSON *item = member(schema, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

/* Takes "~1" and "~0" of a JSON pointer's segment back, in place. */
static void unescape(char *segment)
{
    char *to = segment;
    for (const char *from = segment; *from != '\0'; from++) {
        if (*from == '~' && (from[1] == '0' || from[1] == '1'))
            *to++ = *++from == '0' ? '~' : '/';
        else
            *to++ = *from;
    }
    *to = '\0';
}

static const cJSON *find_reference(const cJSON *root, const char *reference)
{
    char segment[256];
    if (*reference++ != '#')
        return NULL;
    while (root != NULL && *reference == '/') {
        reference++;
        size_t length = strcspn(reference, "/");
        if (length >= sizeof segment)
            return NULL;
        snprintf(segment, sizeof segment, "%.*s", (int)length, reference);
        unescape(segment);
        reference += length;
        if (cJSON_IsArray(root))
            root = cJSON_GetArrayItem(root, (int)strtol(segment, NULL, 10));
        else
            root = member(root, segment);
    }
    return root;
}

static const char *type_of(const cJSON *schema)
{
    const cJSON *type = member(schema, "type");
    if (cJSON_IsArray(type)) {
        const cJSON *one;
        const cJSON *first = type->child;
        cJSON_ArrayForEach (one, type) {
            if (cJSON_IsString(one) && strcmp(one->valuestring, "null") != 0) {
                first = one;
                break;
            }
        }
        type = first;
    }
    if (cJSON_IsString(type))
        return type->valuestring;
    if (member(schema, "properties") != NULL || member(schema, "required") != NULL)
        return "object";
    if (member(schema, "items") != NULL || member(schema, "prefixItems") != NULL)
        return "array";
    if (member(schema, "minimum") != NULL || member(schema, "maximum") != NULL)
        return "number";
    return "string";
}

static cJSON *make_number(const cJSON *schema, bool is_whole)
{
    double low = number_of(schema, "minimum", -INFINITY);
    double high = number_of(schema, "maximum", INFINITY);
    double above = number_of(schema, "exclusiveMinimum", -INFINITY);
    double below = number_of(schema, "exclusiveMaximum", INFINITY);
    double step = fabs(number_of(schema, "multipleOf", is_whole ? 1 : 0));
    double value = 0;
    if (low > value)
        value = low;
    if (high < value)
        value = high;
    if (step > 0)
        value = (high < 0 ? floor(value / step) : ceil(value / step)) * step;
    if (value <= above)
        value = step > 0          ? (floor(above / step) + 1) * step
                : isfinite(below) ? above + (below - above) / 2
                                  : above + 1;
    if (value >= below)
        value = step > 0          ? (ceil(below / step) - 1) * step
                : isfinite(above) ? above + (below - above) / 2
                                  : below - 1;
    return cJSON_CreateNumber(value);
}

static cJSON *make_string(const cJSON *schema)
{
    enum { LENGTH_MAX = 4096 };
    const cJSON *format = member(schema, "format");
    for (size_t i = 0; cJSON_IsString(format) && i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].format, format->valuestring) == 0)
            return cJSON_CreateString(formats[i].text);
    }
    char text[LENGTH_MAX + 1] = "test";
    double low = number_of(schema, "minLength", 0);
    double high = number_of(schema, "maxLength", LENGTH_MAX);
    double length = 4;
    if (low > length)
        length = low < LENGTH_MAX ? low : LENGTH_MAX;
    if (high < length)
        length = high > 0 ? high : 0;
    if (length > 4)
        memset(text, 'x', (size_t)length);
    text[(size_t)length] = '\0';
    return cJSON_CreateString(text);
}

static cJSON *make_array(struct maker *maker, const cJSON *schema)
{
    cJSON *array = cJSON_CreateArray();
    const cJSON *prefix = member(schema, "prefixItems");
    double wanted = number_of(schema, "minItems", 0);
    int count = (int)fmax(0, fmin(wanted, SCHEMA_EXAMPLE_VALUES_MAX));
    const cJSON *one;
    cJSON_ArrayForEach (one, prefix) {
        cJSON_AddItemToArray(array, make(maker, one));
    }
    for (int i = cJSON_GetArraySize(prefix);
         i < count && maker->value_count < SCHEMA_EXAMPLE_VALUES_MAX; i++)
        cJSON_AddItemToArray(array, make(maker, member(schema, "items")));
    return array;
}

static bool is_required(struct maker *maker, const cJSON *schema, const char *name)
{
    const cJSON *one;
    cJSON_ArrayForEach (one, member(schema, "required")) {
        maker->work++;
        if (cJSON_IsString(one) && strcmp(one->valuestring, name) == 0)
            return true;
    }
    return false;
}

static cJSON *make_object(struct maker *maker, const cJSON *schema)
{
    cJSON *object = cJSON_CreateObject();
    const cJSON *property;
    cJSON_ArrayForEach (property, member(schema, "properties")) {
        if (has_worked_enough(maker))
            return object;
        if (is_required(maker, schema, property->string))
            cJSON_AddItemToObject(object, property->string, make(maker, property));
    }
    const cJSON *name;
    cJSON_ArrayForEach (name, member(schema, "required")) {
        maker->work += cJSON_GetArraySize(object);
        if (has_worked_enough(maker))
            return object;
        if (cJSON_IsString(name) &&
            cJSON_GetObjectItemCaseSensitive(object, name->valuestring) == NULL)
            cJSON_AddStringToObject(object, name->valuestring, "test");
    }
    return object;
}

/* All parts of an allOf are objects in practice: their members together. */
static cJSON *make_all(struct maker *maker, const cJSON *parts)
{
    cJSON *made = NULL;
    const cJSON *part;
    cJSON_ArrayForEach (part, parts) {
        cJSON *next = make(maker, part);
        if (made == NULL || !cJSON_IsObject(made) || !cJSON_IsObject(next)) {
            cJSON_Delete(made);
            made = next;
            continue;
        }
        while (next->child != NULL) {
            cJSON *moved = cJSON_DetachItemViaPointer(next, next->child);
            char *name = strdup(moved->string);
            cJSON_DeleteItemFromObjectCaseSensitive(made, name);
            cJSON_AddItemToObject(made, name, moved);
            free(name);
        }
        cJSON_Delete(next);
    }
    return made != NULL ? made : cJSON_CreateObject();
}

/* Of several, one that does not lead back: the first simple one, or null, before an object. */
static const cJSON *simplest(const cJSON *choices)
{
    const cJSON *one;
    cJSON_ArrayForEach (one, choices) {
        if (member(one, "$ref") == NULL && strcmp(type_of(one), "object") != 0)
            return one;
    }
    return choices->child;
}

static int64_t weight_of(const cJSON *value)
{
    int64_t weight = 1;
    if (value->string != NULL)
        weight += (int64_t)strlen(value->string);
    if (value->valuestring != NULL)
        weight += (int64_t)strlen(value->valuestring);
    const cJSON *one;
    cJSON_ArrayForEach (one, value)
        weight += weight_of(one);
    return weight;
}

static cJSON *copy(struct maker *maker, const cJSON *value)
{
    maker->work += weight_of(value);
    return has_worked_enough(maker) ? cJSON_CreateNull() : cJSON_Duplicate(value, true);
}

static cJSON *make_by_keyword(struct maker *maker, const cJSON *schema)
{
    const cJSON *reference = member(schema, "$ref");
    if (cJSON_IsString(reference))
        return make(maker, find_reference(maker->root, reference->valuestring));
    const cJSON *constant = member(schema, "const");
    if (constant != NULL)
        return copy(maker, constant);
    const cJSON *values = member(schema, "enum");
    if (cJSON_IsArray(values) && values->child != NULL)
        return copy(maker, values->child);
    const cJSON *choices = member(schema, "anyOf");
    if (!cJSON_IsArray(choices))
        choices = member(schema, "oneOf");
    if (cJSON_IsArray(choices) && choices->child != NULL) {
        bool is_deep = maker->depth > SCHEMA_EXAMPLE_DEPTH_MAX / 2;
        return make(maker, is_deep ? simplest(choices) : choices->child);
    }
    const cJSON *all = member(schema, "allOf");
    if (cJSON_IsArray(all) && all->child != NULL && member(schema, "properties") == NULL)
        return make_all(maker, all);
    return NULL;
}

static cJSON *make_by_type(struct maker *maker, const cJSON *schema)
{
    const char *type = type_of(schema);
    if (strcmp(type, "object") == 0)
        return make_object(maker, schema);
    if (strcmp(type, "array") == 0)
        return make_array(maker, schema);
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        return make_number(schema, type[0] == 'i');
    if (strcmp(type, "boolean") == 0)
        return cJSON_CreateFalse();
    if (strcmp(type, "null") == 0)
        return cJSON_CreateNull();
    return make_string(schema);
}

static cJSON *make(struct maker *maker, const cJSON *schema)
{
    if (has_worked_enough(maker) || maker->depth >= SCHEMA_EXAMPLE_DEPTH_MAX ||
        maker->value_count >= SCHEMA_EXAMPLE_VALUES_MAX)
        return cJSON_CreateNull();
    maker->depth++;
    maker->value_count++;
    cJSON *made = make_by_keyword(maker, schema);
    if (made == NULL)
        made = make_by_type(maker, schema);
    maker->depth--;
    return made;
}

cJSON *schema_example(const cJSON *schema)
{
    struct maker maker = {.root = schema};
    return make(&maker, schema);
}

char *schema_example_text(const cJSON *schema)
{
    if (!cJSON_IsObject(schema))
        return strdup("{}");
    cJSON *value = schema_example(schema);
    char *text = cJSON_PrintUnformatted(value);
    cJSON_Delete(value);
    return text;
}
