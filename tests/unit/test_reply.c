#include "mockserver/reply.h"

#include "mockserver/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CHAT_TOOLS                                                                                 \
    "\"tools\": [{\"type\": \"web_search\", \"name\": \"c\"},"                                     \
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
        {"{" ASKED ", \"tools\": [{\"type\": \"custom\", \"custom\": {\"name\": \"c\"}}]}", NULL,
         NULL, "c", "test"},
        {"{" ASKED ", \"functions\": [{\"name\": \"a\"}]}", NULL, NULL, "a", "{}"},
        {"{\"tools\": 7, \"tool_choice\": {}, \"response_format\": 1, \"text\": []}", NULL,
         COMPLETION_CONTENT, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *root = cJSON_Parse(cases[i].body);
        assert_non_null(root);
        struct reply reply;
        reply_choose(&reply, root, cases[i].content, -1);
        const char *said = cases[i].said != NULL ? cases[i].said : cases[i].arguments;
        if (strcmp(reply.text, said) != 0)
            fail_msg("%s: %s", cases[i].body, reply.text);
        assert_int_equal(reply.tokens, (strlen(said) + 3) / 4);
        assert_false(reply.is_cut);
        assert_int_equal(reply.tool != NULL, cases[i].tool != NULL);
        if (reply.tool != NULL)
            assert_string_equal(reply.tool, cases[i].tool);
        reply_free(&reply);
        cJSON_Delete(root);
    }
}

static void ends_after_the_tokens_that_it_may_have(void **state)
{
    (void)state;
    static const struct {
        const char *body; /* NULL: nothing but text was asked for */
        const char *content;
        int64_t tokens_max;
        const char *said;
        bool is_cut;
    } cases[] = {
        {NULL, "Yes, we do", -1, "Yes, we do", false},
        {NULL, "Yes, we do", 3, "Yes, we do", false},
        {NULL, "Yes, we do", 2, "Yes, we ", true},
        {NULL, "Yes, we do", 0, "", true},
        {NULL, "", 0, "", false},
        {NULL, "Oui\xc3\xa9", 1, "Oui", true},
        {"{" ASKED ", \"response_format\": {\"type\": \"json_object\"}}", NULL, 0, "", true},
        {"{" ASKED ", " CHAT_TOOLS ", \"tool_choice\": {\"type\": \"function\", \"function\": "
         "{\"name\": \"b\"}}}",
         NULL, 1, "{\"x\"", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *root = cases[i].body != NULL ? cJSON_Parse(cases[i].body) : NULL;
        struct reply reply;
        reply_choose(&reply, root, cases[i].content, cases[i].tokens_max);
        assert_string_equal(reply.text, cases[i].said);
        assert_int_equal(reply.tokens, (strlen(cases[i].said) + 3) / 4);
        assert_int_equal(reply.is_cut, cases[i].is_cut);
        reply_free(&reply);
        cJSON_Delete(root);
    }
}

/* Before the first of them, as its natural end; a call ends as it would. */
static void ends_before_a_stop_sequence(void **state)
{
    (void)state;
    static const struct {
        const char *body; /* NULL: nothing but text was asked for */
        const char *stop;
        int64_t tokens_max;
        const char *said;
        bool is_cut;
    } cases[] = {
        {NULL, "\" test\"", -1, "This is a", false},
        {NULL, "[\"test\", \"is\"]", -1, "Th", false},
        {NULL, "\"This\"", -1, "", false},
        {NULL, "\"never\"", -1, "This is a test!", false},
        {NULL, "\"never\"", 2, "This is ", true},
        {NULL, "\" a\"", 2, "This is ", true}, /* would be complete only after the last token */
        {NULL, "\"is \"", 2, "Th", false},
        {"{" ASKED ", " CHAT_TOOLS "}", "\"}\"", -1, "{}", false},
        {"{" ASKED ", \"response_format\": {\"type\": \"json_object\"}}", "\"}\"", -1, "{", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *root = cases[i].body != NULL ? cJSON_Parse(cases[i].body) : NULL;
        cJSON *stop = cJSON_Parse(cases[i].stop);
        struct reply reply;
        reply_choose(&reply, root, NULL, cases[i].tokens_max);
        reply_end_before(&reply, stop);
        assert_string_equal(reply.text, cases[i].said);
        assert_int_equal(reply.tokens, (strlen(cases[i].said) + 3) / 4);
        assert_int_equal(reply.is_cut, cases[i].is_cut);
        reply_free(&reply);
        cJSON_Delete(stop);
        cJSON_Delete(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_it_should),
                                       cmocka_unit_test(ends_after_the_tokens_that_it_may_have),
                                       cmocka_unit_test(ends_before_a_stop_sequence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
