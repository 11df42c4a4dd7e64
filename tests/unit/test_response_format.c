#include "tests/unit/api_world.h"

#define CHAT "/v1/chat/completions"
#define RESPONSES "/v1/responses"
#define IN_CHAT(format)                                                                            \
    "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}], "                \
    "\"response_format\": " format "}"
#define IN_TEXT(text) "{\"model\": \"m\", \"input\": \"a\", \"text\": " text "}"
#define OBJECT(place, found)                                                                       \
    "Invalid type for '" place "': expected an object, but got " found " instead.",                \
        "invalid_type", place
#define MISSING(place)                                                                             \
    "Missing required parameter: '" place "'.", "missing_required_parameter", place
#define SUPPORTED "'json_object', 'json_schema', and 'text'."

static void what_is_no_format_is_refused(void **state)
{
    (void)state;
    static const struct world_refusal cases[] = {
        {CHAT, IN_CHAT("\"json_object\""), OBJECT("response_format", "a string")},
        {CHAT, IN_CHAT("{}"), MISSING("response_format.type")},
        {CHAT, IN_CHAT("{\"type\": \"xml\"}"),
         "Invalid value: 'xml'. Supported values are: " SUPPORTED, "invalid_value",
         "response_format.type"},
        {CHAT, IN_CHAT("{\"type\": \"json_schema\"}"), MISSING("response_format.json_schema")},
        {CHAT, IN_CHAT("{\"type\": \"json_schema\", \"json_schema\": []}"),
         OBJECT("response_format.json_schema", "an array")},
        {CHAT, IN_CHAT("{\"type\": \"json_schema\", \"json_schema\": {\"schema\": {}}}"),
         MISSING("response_format.json_schema.name")},
        {CHAT,
         IN_CHAT("{\"type\": \"json_schema\", \"json_schema\": {\"name\": \"s\", \"schema\": 1}}"),
         OBJECT("response_format.json_schema.schema", "an integer")},
        {RESPONSES, IN_TEXT("{\"format\": {\"type\": \"json_schema\", \"name\": \"s\"}}"),
         MISSING("text.format.schema")},
        {RESPONSES, IN_TEXT("\"json_object\""), OBJECT("text", "a string")},
        {RESPONSES, IN_TEXT("{\"format\": 7}"), OBJECT("text.format", "an integer")},
        {RESPONSES, IN_TEXT("{\"format\": {\"type\": \"xml\"}}"),
         "Invalid value: 'xml'. Supported values are: " SUPPORTED, "invalid_value",
         "text.format.type"},
        {RESPONSES, IN_TEXT("{\"format\": {\"type\": \"json_schema\", \"schema\": {}}}"),
         MISSING("text.format.name")},
        {RESPONSES,
         IN_TEXT("{\"format\": {\"type\": \"json_schema\", \"name\": 1, \"schema\": {}}}"),
         "Invalid type for 'text.format.name': expected a string, but got an integer instead.",
         "invalid_type", "text.format.name"},
        {RESPONSES, IN_TEXT("{\"format\": {\"type\": \"json_schema\", \"name\": \"s\"}}"),
         MISSING("text.format.schema")},
        {RESPONSES,
         IN_TEXT("{\"format\": {\"type\": \"json_schema\", \"name\": \"s\", \"schema\": true}}"),
         OBJECT("text.format.schema", "a boolean")},
    };
    world_assert_refused(cases, sizeof cases / sizeof cases[0]);
}

static void formats_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *body;
    } cases[] = {
        {CHAT, IN_CHAT("null")},
        {CHAT, IN_CHAT("{\"type\": \"text\"}")},
        {CHAT, IN_CHAT("{\"type\": \"json_object\"}")},
        {CHAT, IN_CHAT("{\"type\": \"json_schema\", \"json_schema\": {\"name\": \"s\", \"schema\": "
                       "{}}}")},
        {CHAT, IN_CHAT("{\"type\": \"json_schema\", \"json_schema\": {\"name\": \"s\"}}")},
        {RESPONSES, IN_TEXT("null")},
        {RESPONSES, IN_TEXT("{\"verbosity\": \"low\"}")},
        {RESPONSES, IN_TEXT("{\"format\": null}")},
        {RESPONSES, IN_TEXT("{\"format\": {\"type\": \"text\"}}")},
        {RESPONSES,
         IN_TEXT("{\"format\": {\"type\": \"json_schema\", \"name\": \"s\", \"schema\": {}}}")},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (world_post(&world, cases[i].path, cases[i].body) != 200)
            fail_msg("%s: %s", cases[i].body, world.outcome.answer.body);
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_format_is_refused),
        cmocka_unit_test(formats_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
