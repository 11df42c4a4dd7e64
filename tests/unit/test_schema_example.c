#include "mockserver/schema_example.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_example(const char *schema_text, const char *wanted)
{
    cJSON *schema = cJSON_Parse(schema_text);
    assert_non_null(schema);
    char *text = schema_example_text(schema);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s: %s, not %s", schema_text, text, wanted);
    free(text);
    cJSON_Delete(schema);
}

static void each_keyword_is_met(void **state)
{
    (void)state;
    assert_example("{\"type\": \"string\"}", "\"test\"");
    assert_example("{\"type\": \"string\", \"minLength\": 6}", "\"xxxxxx\"");
    assert_example("{\"type\": \"string\", \"maxLength\": 2}", "\"te\"");
    assert_example("{\"type\": \"string\", \"format\": \"date\"}", "\"2026-01-01\"");
    assert_example("{\"type\": \"string\", \"format\": \"unknown\"}", "\"test\"");
    assert_example("{\"type\": \"integer\"}", "0");
    assert_example("{\"type\": \"integer\", \"minimum\": 2.5}", "3");
    assert_example("{\"type\": \"integer\", \"maximum\": -2.5}", "-3");
    assert_example("{\"type\": \"integer\", \"exclusiveMinimum\": 0}", "1");
    assert_example("{\"type\": \"integer\", \"exclusiveMaximum\": 0}", "-1");
    assert_example("{\"type\": \"number\", \"exclusiveMinimum\": 0, \"exclusiveMaximum\": 1}",
                   "0.5");
    assert_example("{\"type\": \"number\", \"minimum\": 7, \"multipleOf\": 5}", "10");
    assert_example("{\"type\": \"boolean\"}", "false");
    assert_example("{\"type\": \"null\"}", "null");
    assert_example("{\"type\": [\"null\", \"boolean\"]}", "false");
    assert_example("{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}", "[]");
    assert_example("{\"items\": {\"type\": \"integer\"}, \"minItems\": 2}", "[0,0]");
    assert_example("{\"prefixItems\": [{\"const\": 1}, {\"const\": 2}], \"minItems\": 3,"
                   " \"items\": {\"const\": 9}}",
                   "[1,2,9]");
    assert_example("{\"enum\": [\"b\", \"a\"]}", "\"b\"");
    assert_example("{\"const\": {\"a\": [1]}}", "{\"a\":[1]}");
    assert_example("{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"null\"}]}", "0");
    assert_example("{\"oneOf\": [{\"const\": 4}]}", "4");
    assert_example(
        "{\"allOf\": [{\"properties\": {\"a\": {\"const\": 1}}, \"required\": [\"a\"]},"
        "             {\"properties\": {\"b\": {\"const\": 2}}, \"required\": [\"b\"]}]}",
        "{\"a\":1,\"b\":2}");
    assert_example("{}", "\"test\"");
}

static void objects_have_what_is_required(void **state)
{
    (void)state;
    assert_example("{\"type\": \"object\"}", "{}");
    assert_example("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"},"
                   " \"b\": {\"type\": \"integer\"}}, \"required\": [\"b\"]}",
                   "{\"b\":0}");
    assert_example("{\"required\": [\"x\"]}", "{\"x\":\"test\"}");
}

static void references_are_followed(void **state)
{
    (void)state;
    assert_example("{\"$ref\": \"#/$defs/a~1b\", \"$defs\": {\"a/b\": {\"const\": 3}}}", "3");
    assert_example("{\"$ref\": \"#/prefixItems/1\", \"prefixItems\": [1, {\"const\": 4}]}", "4");
    assert_example("{\"$ref\": \"#/nowhere\"}", "\"test\"");
    assert_example("{\"$ref\": \"other.json\"}", "\"test\"");
}

/* A list that ends, though its first choice never does. */
static void schemas_that_refer_to_themselves_end(void **state)
{
    (void)state;
    cJSON *schema = cJSON_Parse("{\"type\": \"object\", \"properties\": {\"next\": {\"anyOf\": ["
                                "{\"$ref\": \"#\"}, {\"type\": \"null\"}]}}, \"required\": "
                                "[\"next\"]}");
    cJSON *value = schema_example(schema);
    int depth = 0;
    for (const cJSON *at = value; cJSON_IsObject(at); at = at->child)
        depth++;
    assert_in_range(depth, 1, SCHEMA_EXAMPLE_DEPTH_MAX);
    cJSON_Delete(value);
    cJSON_Delete(schema);
    assert_example("{\"$ref\": \"#\"}", "null");
}

static int count(const cJSON *value)
{
    int values = 1;
    for (const cJSON *at = value->child; at != NULL; at = at->next)
        values += count(at);
    return values;
}

static void what_a_schema_can_ask_for_is_bounded(void **state)
{
    (void)state;
    cJSON *schema = cJSON_Parse("{\"type\": \"array\", \"minItems\": 1e9, \"items\": {\"$ref\": "
                                "\"#\"}}");
    cJSON *value = schema_example(schema);
    assert_in_range(count(value), 2, 2 * SCHEMA_EXAMPLE_VALUES_MAX);
    cJSON_Delete(value);
    cJSON_Delete(schema);
    /* A large constant many times over. */
    schema = cJSON_Parse("{\"minItems\": 4000, \"items\": {\"const\": \"\"}}");
    char *large = malloc(1000001);
    memset(large, 'x', 1000000);
    large[1000000] = '\0';
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(schema, "items"), "const",
                              cJSON_CreateString(large));
    char *text = schema_example_text(schema);
    assert_in_range(strlen(text), 1000000, 2 * SCHEMA_EXAMPLE_WORK_MAX);
    free(text);
    free(large);
    cJSON_Delete(schema);
}

static void none_is_an_empty_object(void **state)
{
    (void)state;
    char *text = schema_example_text(NULL);
    assert_string_equal(text, "{}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_keyword_is_met),
        cmocka_unit_test(objects_have_what_is_required),
        cmocka_unit_test(references_are_followed),
        cmocka_unit_test(schemas_that_refer_to_themselves_end),
        cmocka_unit_test(what_a_schema_can_ask_for_is_bounded),
        cmocka_unit_test(none_is_an_empty_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
