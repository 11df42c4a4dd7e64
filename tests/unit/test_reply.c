#include "mockserver/reply.h"

#include "mockserver/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CHAT_TOOLS                                                                                 \
    "\"tools\": [{\"type\": \"custom\", \"name\": \"c\"},"                                         \
    " {\"type\": \"function\", \"function\": {\"name\": \"a\"}},"                                  \
    " {\"type\": \"function\", \"function\": {\"name\": \"b\", \"parameters\": {\"type\": "        \
    "\"object\", \"properties\": {\"x\": {\"const\": 1}}, \"required\": [\"x\"]}}}]"
#define ASKED "\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]"
#define TOLD "\"messages\": [{\"role\": \"user\"}, {\"role\": \"assistant\"}, {\"role\": \"tool\"}]"
#define SCHEMA                                                                                     \
    "{\"type\": \"object\", \"required\": [\"n\"], \"properties\": {\"n\": {\"const\": 5}}}"

static void says_what_it_should(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *content; /* that is set */
        const char *said;    /* NULL: a tool is called */
        const char *tool;
        const char *arguments;
    } cases[] = {
        {"{" ASKED "}", NULL, COMPLETION_CONTENT, NULL, NULL},
        {"{" ASKED "}", "Yes", "Yes", NULL, NULL},
        {"{" ASKED ", " CHAT_TOOLS "}", NULL, NULL, "a", "{}"},
        {"{" ASKED ", " CHAT_TOOLS "}", "Yes", "Yes", NULL, NULL},
        {"{" TOLD ", " CHAT_TOOLS "}", NULL, COMPLETION_CONTENT, NULL, NULL},
        {"{" ASKED ", " CHAT_TOOLS ", \"tool_choice\": \"none\"}", NULL, COMPLETION_CONTENT, NULL,
         NULL},
        {"{" TOLD ", " CHAT_TOOLS ", \"tool_choice\": \"required\"}", "Yes", NULL, "a", "{}"},
        {"{" ASKED ", " CHAT_TOOLS
         ", \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"b\"}}}",
         NULL, NULL, "b", "{\"x\":1}"},
        {"{" ASKED ", " CHAT_TOOLS
         ", \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"z\"}}}",
         NULL, COMPLETION_CONTENT, NULL, NULL},
        {"{" ASKED ", \"response_format\": {\"type\": \"json_object\"}}", NULL, "{}", NULL, NULL},
        {"{" ASKED ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": "
         "{\"name\": \"s\", \"schema\": " SCHEMA "}}}",
         NULL, "{\"n\":5}", NULL, NULL},
        {"{" ASKED ", \"response_format\": {\"type\": \"json_schema\"}}", "Yes", "Yes", NULL, NULL},
        /* the same in the words of responses */
        {"{\"input\": \"Hi\", \"text\": {\"format\": {\"type\": \"json_schema\", "
         "\"schema\": " SCHEMA "}}}",
         NULL, "{\"n\":5}", NULL, NULL},
        {"{\"input\": \"Hi\", \"tools\": [{\"type\": \"function\", \"name\": \"a\"}]}", NULL, NULL,
         "a", "{}"},
        {"{\"input\": [{\"role\": \"user\"}, {\"type\": \"function_call_output\"}], \"tools\": "
         "[{\"type\": \"function\", \"name\": \"a\"}]}",
         NULL, COMPLETION_CONTENT, NULL, NULL},
        {"{\"tools\": 7, \"tool_choice\": {}, \"response_format\": 1, \"text\": []}", NULL,
         COMPLETION_CONTENT, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *root = cJSON_Parse(cases[i].body);
        assert_non_null(root);
        struct reply reply;
        reply_choose(&reply, root, cases[i].content);
        if (cases[i].said != NULL) {
            if (reply.content == NULL || strcmp(reply.content, cases[i].said) != 0)
                fail_msg("%s: %s", cases[i].body, reply.content);
            assert_null(reply.tool);
            assert_int_equal(reply_tokens(&reply), (strlen(cases[i].said) + 3) / 4);
        } else {
            if (reply.tool == NULL)
                fail_msg("%s: %s", cases[i].body, reply.content);
            assert_string_equal(reply.tool, cases[i].tool);
            assert_string_equal(reply.arguments, cases[i].arguments);
            assert_null(reply.content);
        }
        reply_free(&reply);
        cJSON_Delete(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_it_should)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
