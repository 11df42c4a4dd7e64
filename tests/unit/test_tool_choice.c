#include "mockserver/tool_choice.h"

#include "tests/unit/api_world.h"

#define ASKED "\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]"
#define FUNCTION(name) "{\"type\": \"function\", \"function\": {\"name\": \"" name "\"}}"
#define CUSTOM(name) "{\"type\": \"custom\", \"custom\": {\"name\": \"" name "\"}}"
#define FLAT(type, name) "{\"type\": \"" type "\", \"name\": \"" name "\"}"
#define TOOLS                                                                                      \
    "\"tools\": [{\"type\": \"web_search\", \"name\": \"w\"}, {\"type\": \"function\"}, "          \
    "" FUNCTION("f") ", " FUNCTION("g") ", " CUSTOM("c") "]"
#define CHAT(members) "{\"model\": \"m\", " ASKED ", " members "}"
#define RESPONSE(members) "{\"model\": \"m\", \"input\": \"Hi\", " members "}"
#define FLAT_TOOLS                                                                                 \
    "\"tools\": [{\"type\": \"web_search\"}, " FLAT("function", "f") ", " FLAT(                    \
        "function", "g") ", "                                                                      \
                         "" FLAT("custom", "c") "]"
#define ALLOWED(mode, tools)                                                                       \
    "\"tool_choice\": {\"type\": \"allowed_tools\", \"allowed_tools\": {\"mode\": \"" mode         \
    "\", \"tools\": [" tools "]}}"
#define FLAT_ALLOWED(mode, tools)                                                                  \
    "\"tool_choice\": {\"type\": \"allowed_tools\", \"mode\": \"" mode "\", \"tools\": [" tools "]}"
#define FUNCTIONS "\"functions\": [{\"name\": \"f\"}, {\"name\": \"g\"}]"

static void the_tool_that_is_chosen_is_called(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool has_content;
        const char *name; /* NULL: none is called */
        enum tool_kind kind;
    } cases[] = {
        {CHAT(TOOLS), false, "f", TOOL_FUNCTION},
        {CHAT(TOOLS), true, NULL, TOOL_FUNCTION},
        {CHAT(TOOLS ", \"tool_choice\": \"none\""), false, NULL, TOOL_FUNCTION},
        {CHAT(TOOLS ", \"tool_choice\": \"required\""), true, "f", TOOL_FUNCTION},
        {CHAT(TOOLS ", \"tool_choice\": " FUNCTION("g")), true, "g", TOOL_FUNCTION},
        {CHAT(TOOLS ", \"tool_choice\": " CUSTOM("c")), true, "c", TOOL_CUSTOM},
        {CHAT(TOOLS ", \"tool_choice\": " CUSTOM("f")), true, NULL, TOOL_CUSTOM},
        {CHAT("\"tools\": [" CUSTOM("c") "]"), false, "c", TOOL_CUSTOM},
        {CHAT("\"tools\": [" CUSTOM("c") "], \"tool_choice\": \"required\""), true, "c",
         TOOL_CUSTOM},
        {CHAT(TOOLS ", " ALLOWED("required", FUNCTION("g"))), true, "g", TOOL_FUNCTION},
        {CHAT(TOOLS ", " ALLOWED("required", CUSTOM("c") ", " FUNCTION("g"))), true, "g",
         TOOL_FUNCTION},
        {CHAT(TOOLS ", " ALLOWED("auto", CUSTOM("c"))), false, "c", TOOL_CUSTOM},
        {CHAT(TOOLS ", " ALLOWED("auto", CUSTOM("c"))), true, NULL, TOOL_CUSTOM},
        {RESPONSE(FLAT_TOOLS), false, "f", TOOL_FUNCTION},
        {RESPONSE(FLAT_TOOLS ", \"tool_choice\": " FLAT("function", "g")), true, "g",
         TOOL_FUNCTION},
        {RESPONSE(FLAT_TOOLS ", \"tool_choice\": " FLAT("custom", "c")), true, "c", TOOL_CUSTOM},
        {RESPONSE(FLAT_TOOLS ", " FLAT_ALLOWED("required", FLAT("function", "g"))), true, "g",
         TOOL_FUNCTION},
        {RESPONSE(FLAT_TOOLS ", " FLAT_ALLOWED("auto", FLAT("custom", "c"))), true, NULL,
         TOOL_CUSTOM},
        {RESPONSE(FLAT_TOOLS ", \"tool_choice\": {\"type\": \"web_search\"}"), true, NULL,
         TOOL_FUNCTION},
        {RESPONSE(FUNCTIONS), false, NULL, TOOL_FUNCTION},
        {CHAT(FUNCTIONS), false, "f", TOOL_LEGACY_FUNCTION},
        {CHAT(FUNCTIONS), true, NULL, TOOL_LEGACY_FUNCTION},
        {CHAT(FUNCTIONS ", \"tools\": null, \"function_call\": null"), false, "f",
         TOOL_LEGACY_FUNCTION},
        {CHAT(FUNCTIONS ", \"function_call\": \"auto\""), false, "f", TOOL_LEGACY_FUNCTION},
        {CHAT(FUNCTIONS ", \"function_call\": \"none\""), false, NULL, TOOL_LEGACY_FUNCTION},
        {CHAT(FUNCTIONS ", \"function_call\": {\"name\": \"g\"}"), true, "g", TOOL_LEGACY_FUNCTION},
        {"{\"messages\": 7, \"tools\": 7, \"tool_choice\": {}}", false, NULL, TOOL_FUNCTION},
        {"{\"tools\": {}, \"tool_choice\": [7], \"input\": []}", false, NULL, TOOL_FUNCTION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *root = cJSON_Parse(cases[i].body);
        struct tool tool;
        assert_non_null(root);
        bool is_called = tool_choice_find(root, cases[i].has_content, &tool);
        if (is_called != (cases[i].name != NULL))
            fail_msg("%s: %s", cases[i].body, is_called ? tool.name : "no tool");
        if (is_called) {
            assert_string_equal(tool.name, cases[i].name);
            assert_int_equal(tool.kind, cases[i].kind);
        }
        cJSON_Delete(root);
    }
}

static void a_tool_that_has_answered_is_not_called_again(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{" TOOLS ", \"messages\": [{\"role\": \"user\"}, {\"role\": \"tool\"}]}",
        "{" FUNCTIONS ", \"messages\": [{\"role\": \"user\"}, {\"role\": \"function\"}]}",
        "{" FLAT_TOOLS ", \"input\": [{\"type\": \"function_call_output\"}]}",
        "{" FLAT_TOOLS ", \"input\": [{\"type\": \"custom_tool_call_output\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cJSON *root = cJSON_Parse(bodies[i]);
        struct tool tool;
        assert_non_null(root);
        assert_false(tool_choice_find(root, false, &tool));
        cJSON_Delete(root);
    }
}

static void a_choice_that_cannot_be_obeyed_is_refused(void **state)
{
    (void)state;
#define NEEDS_TOOLS                                                                                \
    "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
#define NO_FUNCTION "Invalid value for 'tool_choice': no function named 'z' was specified in the "
    static const char chat[] = "/v1/chat/completions";
    static const char responses[] = "/v1/responses";
    static const struct {
        const char *path;
        const char *body;
        const char *message; /* as it begins */
        const char *param;
    } cases[] = {
        {chat, CHAT(TOOLS ", \"tool_choice\": \"foo\""),
         "Invalid value: 'foo'. Supported values are: 'none', 'auto', and 'required'.",
         "tool_choice"},
        {chat, CHAT(TOOLS ", \"tool_choice\": 7"),
         "Invalid type for 'tool_choice': ", "tool_choice"},
        {chat, CHAT("\"tool_choice\": \"required\""), NEEDS_TOOLS, "tool_choice"},
        {chat, CHAT("\"tools\": [], \"tool_choice\": \"auto\""), NEEDS_TOOLS, "tool_choice"},
        {chat, CHAT("\"tool_choice\": " FUNCTION("f")), NEEDS_TOOLS, "tool_choice"},
        {chat, CHAT(TOOLS ", \"tool_choice\": " FUNCTION("z")), NO_FUNCTION "'tools' parameter.",
         "tool_choice"},
        {chat, CHAT(TOOLS ", \"tool_choice\": " CUSTOM("f")),
         "Invalid value for 'tool_choice': no custom tool named 'f' was specified in the 'tools' "
         "parameter.",
         "tool_choice"},
        {chat, CHAT(TOOLS ", \"tool_choice\": {\"type\": \"foo\"}"),
         "Missing required parameter: 'tool_choice.function'.", "tool_choice.function"},
        {chat, CHAT(TOOLS ", " ALLOWED("auto", FUNCTION("f") ", " FUNCTION("z"))), NO_FUNCTION,
         "tool_choice"},
        {chat, CHAT(TOOLS ", " ALLOWED("none", FUNCTION("f"))),
         "Invalid value: 'none'. Supported values are: 'auto' and 'required'.", "tool_choice"},
        {chat, CHAT(TOOLS ", " ALLOWED("auto", "")), "Invalid 'tool_choice': ", "tool_choice"},
        {chat, CHAT("\"function_call\": \"auto\""),
         "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are "
         "specified.",
         "function_call"},
        {chat, CHAT(FUNCTIONS ", \"function_call\": \"required\""),
         "Invalid value: 'required'. Supported values are: 'none' and 'auto'.", "function_call"},
        {chat, CHAT(FUNCTIONS ", \"function_call\": {\"name\": \"z\"}"),
         "Invalid value for 'function_call': no function named 'z' was specified in the "
         "'functions' parameter.",
         "function_call"},
        {responses, RESPONSE("\"tool_choice\": \"required\""),
         "Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice"},
        {responses, RESPONSE("\"tool_choice\": \"foo\""), "Invalid value: 'foo'. ", "tool_choice"},
        {responses, RESPONSE(FLAT_TOOLS ", \"tool_choice\": " FLAT("function", "z")),
         "Tool choice 'function' not found in 'tools' parameter.", "tool_choice"},
        {responses, RESPONSE("\"tool_choice\": " FLAT("custom", "c")),
         "Tool choice 'custom' not found in 'tools' parameter.", "tool_choice"},
        {responses, RESPONSE(FLAT_TOOLS ", " FLAT_ALLOWED("required", FLAT("custom", "z"))),
         "Tool choice 'custom' not found in 'tools' parameter.", "tool_choice"},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (world_post(&world, cases[i].path, cases[i].body) != 400)
            fail_msg("%s was taken", cases[i].body);
        const char *message = json_at(world.root, "error.message")->valuestring;
        if (strncmp(message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s: %s", cases[i].body, message);
        assert_text_at(world.root, "error.type", "invalid_request_error");
        assert_text_at(world.root, "error.param", cases[i].param);
    }
    world_end(&world);
}

static void other_choices_are_taken(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        RESPONSE("\"tool_choice\": \"auto\""),
        RESPONSE("\"tool_choice\": \"none\", \"function_call\": 7"),
        RESPONSE("\"tool_choice\": null"),
        RESPONSE(FLAT_TOOLS ", \"tool_choice\": {\"type\": \"web_search_preview\"}"),
        RESPONSE(FLAT_TOOLS ", " FLAT_ALLOWED("auto", "{\"type\": \"image_generation\"}")),
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(world_post(&world, "/v1/responses", bodies[i]), 200);
    assert_int_equal(world_post(&world, "/v1/chat/completions",
                                CHAT("\"tool_choice\": null, \"function_call\": null")),
                     200);
    world_end(&world);
}

/* A name is shown as far as it fits, and never in the middle of a character. */
static void a_long_name_does_not_spoil_the_refusal(void **state)
{
    (void)state;
    char body[800];
    char name[301] = "";
    for (int i = 0; i < 100; i++)
        strcat(name, "\u20ac");
    struct api_world world;
    world_start(&world, "{}");
    snprintf(body, sizeof body,
             "{\"model\": \"m\", " ASKED ", " TOOLS ", \"tool_choice\": {\"type\": \"function\", "
             "\"function\": {\"name\": \"%s\"}}}",
             name);
    assert_int_equal(world_post(&world, "/v1/chat/completions", body), 400);
    assert_text_at(world.root, "error.param", "tool_choice");
    world_end(&world);
}

/* Else each allowed one would be looked for among all. */
static void there_may_be_as_many_tools_as_openai_takes(void **state)
{
    (void)state;
    static char body[20000];
    struct api_world world;
    world_start(&world, "{}");
    for (int count = TOOLS_MAX; count <= TOOLS_MAX + 1; count++) {
        int length = snprintf(body, sizeof body, "{\"model\": \"m\", " ASKED ", \"tools\": [");
        for (int i = 0; i < count; i++)
            length += snprintf(body + length, sizeof body - (size_t)length,
                               "%s{\"type\": \"function\", \"function\": {\"name\": \"f%d\"}}",
                               i == 0 ? "" : ", ", i);
        snprintf(body + length, sizeof body - (size_t)length, "]}");
        bool is_taken = count <= TOOLS_MAX;
        assert_int_equal(world_post(&world, "/v1/chat/completions", body), is_taken ? 200 : 400);
        if (is_taken)
            continue;
        assert_text_at(world.root, "error.code", "array_above_max_length");
        assert_text_at(world.root, "error.param", "tools");
    }
    world_end(&world);
}

/* Its server judges by itself. */
static void what_another_server_is_asked_is_not_refused(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    world.api.forwards = true;
    world_post(&world, "/v1/chat/completions",
               CHAT("\"tool_choice\": \"any\", \"stop\": [\"1\", \"2\", \"3\", \"4\", \"5\"]"));
    assert_true(world.outcome.is_forwarded);
    world_post(&world, "/v1/completions", "{\"model\": \"m\", \"stop\": 7}");
    assert_true(world.outcome.is_forwarded);
    world_post(&world, "/v1/responses", RESPONSE("\"tool_choice\": \"any\""));
    assert_true(world.outcome.is_forwarded);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tool_that_is_chosen_is_called),
        cmocka_unit_test(a_tool_that_has_answered_is_not_called_again),
        cmocka_unit_test(a_choice_that_cannot_be_obeyed_is_refused),
        cmocka_unit_test(other_choices_are_taken),
        cmocka_unit_test(a_long_name_does_not_spoil_the_refusal),
        cmocka_unit_test(there_may_be_as_many_tools_as_openai_takes),
        cmocka_unit_test(what_another_server_is_asked_is_not_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
