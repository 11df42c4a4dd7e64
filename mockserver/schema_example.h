/* schema_example: a small value that a JSON Schema takes, as a model answers that was given one.
 *
 * Knows what OpenAI's structured outputs and the parameters of tools use: type, enum, const,
 * properties, required, items, prefixItems, minItems, anyOf, oneOf, allOf, $ref into the document,
 * minimum, maximum, multipleOf, minLength, maxLength, format, and default and examples where they
 * are not held against anything. A `pattern` is not solved: such a string may not match it.
 *
 * Pure: the same schema gives the same value.
 */
#ifndef TOOMANY_MOCKSERVER_SCHEMA_EXAMPLE_H
#define TOOMANY_MOCKSERVER_SCHEMA_EXAMPLE_H

#include <cjson/cJSON.h>

enum {
    SCHEMA_EXAMPLE_DEPTH_MAX = 24,             /* a schema may refer to itself */
    SCHEMA_EXAMPLE_VALUES_MAX = 4096,          /* and more than once, or ask for a million items */
    SCHEMA_EXAMPLE_WORK_MAX = 4 * 1024 * 1024, /* comparisons and bytes that are copied */
};

/* The caller deletes it; NULL when memory is out. Where a schema asks for more than the bounds
 * above allow, the rest is null. */
cJSON *schema_example(const cJSON *schema);

/* The same as compact JSON, which the caller frees. NULL is as {}. */
char *schema_example_text(const cJSON *schema);

#endif
