#include "client/error_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_line(int status, const char *body, const char *message, const char *line)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    error_line_write(stream, status, body, message);
    fclose(stream);
    assert_string_equal(text, line);
    free(text);
}

static void names_are_those_of_the_python_sdk(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *name;
    } known[] = {
        {0, "APIConnectionError"},
        {200, "APIResponseValidationError"},
        {299, "APIResponseValidationError"},
        {302, "APIStatusError"},
        {400, "BadRequestError"},
        {401, "AuthenticationError"},
        {403, "PermissionDeniedError"},
        {404, "NotFoundError"},
        {408, "APIStatusError"},
        {409, "ConflictError"},
        {422, "UnprocessableEntityError"},
        {429, "RateLimitError"},
        {499, "APIStatusError"},
        {500, "InternalServerError"},
        {503, "InternalServerError"},
        {599, "InternalServerError"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_equal(error_line_name(known[i].status), known[i].name);
}

static void a_json_body_loses_its_line_breaks(void **state)
{
    (void)state;
    assert_line(429, "{\n    \"error\": {\n        \"code\": null\n    }\n}\n", NULL,
                "RateLimitError: Error code: 429 - {\"error\":{\"code\":null}}\n");
}

static void another_body_is_shown_as_it_is(void **state)
{
    (void)state;
    assert_line(503, "error code: 1015", "ignored",
                "InternalServerError: Error code: 503 - error code: 1015\n");
    assert_line(400, "", NULL, "BadRequestError: Error code: 400 - \n");
    assert_line(500, "caf\xc3\xa9", NULL, "InternalServerError: Error code: 500 - caf\xc3\xa9\n");
}

/* A server must not be able to write to the user's terminal: no escape, no line of its own. */
static void control_characters_are_replaced(void **state)
{
    (void)state;
    assert_line(500, "a\x1b[2Jb\r\nc\x7f\x01", NULL,
                "InternalServerError: Error code: 500 - a [2Jb  c  \n");
    assert_line(500, "{\"a\": \"\\u001b[2J\\u009b2J\"}", NULL,
                "InternalServerError: Error code: 500 - {\"a\":\"\\u001b[2J  2J\"}\n");
    assert_line(500,
                "\xc2\x9b"
                "2J",
                NULL, "InternalServerError: Error code: 500 -   2J\n");
    assert_line(0, NULL, "no\nanswer", "APIConnectionError: no answer\n");
}

static void without_a_body_the_message_speaks(void **state)
{
    (void)state;
    assert_line(0, NULL, "could not connect to the server",
                "APIConnectionError: could not connect to the server\n");
    assert_line(0, "not of an answer", "cut off", "APIConnectionError: cut off\n");
    assert_line(502, NULL, "Bad Gateway", "InternalServerError: Error code: 502 - Bad Gateway\n");
    assert_line(0, NULL, NULL, "APIConnectionError: no answer\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_the_python_sdk),
        cmocka_unit_test(a_json_body_loses_its_line_breaks),
        cmocka_unit_test(another_body_is_shown_as_it_is),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(without_a_body_the_message_speaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
