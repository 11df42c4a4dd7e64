#include "tests/unit/api_world.h"

#define PATH "/v1/chat/completions"
#define BODY(messages) "{\"model\": \"m\", \"messages\": [" messages "]}"
#define USER "{\"role\": \"user\", \"content\": \"Hello\"}"
#define ROLES "'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
#define CONTENT(found)                                                                             \
    "Invalid type for 'messages[0].content': expected one of a string or array of objects, but "   \
    "got " found " instead.",                                                                      \
        "invalid_type", "messages[0].content"

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    static const struct world_refusal cases[] = {
        {PATH, BODY("{\"role\": \"human\", \"content\": \"Hello\"}"),
         "Invalid value: 'human'. Supported values are: " ROLES, "invalid_value",
         "messages[0].role"},
        {PATH, BODY(USER ", {\"role\": \"User\", \"content\": \"Hello\"}"),
         "Invalid value: 'User'. Supported values are: " ROLES, "invalid_value",
         "messages[1].role"},
        {PATH, BODY("{\"content\": \"Hello\"}"), "Missing required parameter: 'messages[0].role'.",
         "missing_required_parameter", "messages[0].role"},
        {PATH, BODY("{\"role\": null, \"content\": \"Hello\"}"),
         "Invalid type for 'messages[0].role': expected a string, but got null instead.",
         "invalid_type", "messages[0].role"},
        {PATH, BODY("{\"role\": \"user\"}"), "Missing required parameter: 'messages[0].content'.",
         "missing_required_parameter", "messages[0].content"},
        {PATH, BODY("{\"role\": \"user\", \"content\": null}"), CONTENT("null")},
        {PATH, BODY("{\"role\": \"user\", \"content\": 7}"), CONTENT("an integer")},
        {PATH, BODY("{\"role\": \"assistant\", \"content\": 7.5}"), CONTENT("a decimal number")},
        {PATH, BODY("{\"role\": \"system\", \"content\": {}}"), CONTENT("an object")},
        {PATH, BODY("{\"role\": \"tool\", \"content\": null}"), CONTENT("null")},
    };
    world_assert_refused(cases, sizeof cases / sizeof cases[0]);
}

static void a_long_role_is_cut_between_characters(void **state)
{
    (void)state;
    char body[400];
    char role[200] = "x";
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < 60; i++)
        strcat(role, "\xc3\xa9");
    snprintf(body, sizeof body, BODY("{\"role\": \"%s\", \"content\": \"a\"}"), role);
    assert_int_equal(world_post(&world, PATH, body), 400);
    assert_non_null(strstr(json_at(world.root, "error.message")->valuestring, "\xc3\xa9?'. "));
    world_end(&world);
}

static void what_models_say_may_lack_content(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        BODY("{\"role\": \"developer\", \"content\": \"a\"}, " USER),
        BODY("{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}]}"),
        BODY("{\"role\": \"assistant\"}"),
        BODY("{\"role\": \"assistant\", \"content\": null}"),
        BODY("{\"role\": \"function\", \"name\": \"f\", \"content\": null}"),
        BODY("{\"role\": \"tool\", \"tool_call_id\": \"1\", \"content\": \"a\"}"),
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (world_post(&world, PATH, bodies[i]) != 200)
            fail_msg("%s: %s", bodies[i], world.outcome.answer.body);
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_long_role_is_cut_between_characters),
        cmocka_unit_test(what_models_say_may_lack_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
