#include "tests/unit/api_world.h"

static const char *repeat(char letter, int count)
{
    static char text[1000];
    memset(text, letter, (size_t)count);
    text[count] = '\0';
    return text;
}

/* Reads a body. What it holds is in *call, whose answer is *answer. */
static bool read_body(struct endpoint_call *call, const char *body, size_t length,
                      struct answer *answer)
{
    struct api_request request = {.body = body, .body_length = length};
    *call = (struct endpoint_call){.request = &request, .answer = answer, .tokens_max = -1};
    return endpoint_chat_read(call);
}

static int64_t tokens_of(const char *messages)
{
    char body[4000];
    struct endpoint_call request;
    struct answer answer;
    snprintf(body, sizeof body, "{\"model\": \"m\", \"messages\": %s}", messages);
    if (!read_body(&request, body, strlen(body), &answer))
        fail_msg("%s: %s", body, answer.body);
    int64_t tokens = request.tokens;
    endpoint_call_free(&request);
    return tokens;
}

/* What recorded sessions of openai-dotnet were charged. */
static void estimates_as_recorded(void **state)
{
    (void)state;
    char messages[3000];
    snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": \"%s\"}]",
             repeat('x', 114));
    assert_int_equal(tokens_of(messages), 31);
    snprintf(messages, sizeof messages,
             "[{\"role\": \"user\", \"content\": \"%s\"}, {\"role\": \"user\", \"content\": \"\"}, "
             "{\"role\": \"user\", \"content\": "
             "\"%.22s\"}]",
             repeat('x', 114), repeat('x', 114));
    assert_int_equal(tokens_of(messages), 38);
    snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": \"%s\"}]",
             repeat('x', 21));
    assert_int_equal(tokens_of(messages), 8);
}

static void counts_characters_parts_and_images(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        int64_t tokens;
    } cases[] = {
        {"[{\"role\": \"user\", \"content\": \"\"}]", 3},
        {"[{\"role\": \"assistant\", \"content\": null}]", 3},
        {"[{\"role\": \"assistant\"}]", 3},
        {"[{\"role\": \"user\", \"content\": \"xxx\"}]", 3}, /* three quarters of a token are cut */
        {"[{\"role\": \"user\", \"content\": \"xxxx\"}]", 4},
        {"[{\"role\": \"user\", \"content\": \"\\u00e9\\u00e9\\u00e9\\u00e9\"}]",
         4}, /* characters, not bytes */
        {"[{\"role\": \"user\", \"content\": "
         "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}]",
         4},
        {"[{\"role\": \"user\", \"content\": \"xxx\"}, {\"role\": \"user\", \"content\": \"xxx\"}]",
         4}, /* cut in each, not in the sum */
        {"[{\"role\": \"user\", \"content\": []}]", 3},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"xxxxxxxx\"}]}]", 5},
        {"[{\"role\": \"user\", \"content\": [{\"text\": \"xxx\"}, {\"text\": \"xxx\"}]}]", 3},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": "
         "\"data:\"}}]}]",
         768},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"file\", \"file\": {}}, {\"text\": "
         "\"xxxx\"}]}]",
         769},
        {"[{\"role\": \"user\", \"content\": [1, null, \"x\", {\"type\": \"input_audio\"}]}]", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t tokens = tokens_of(cases[i].messages);
        if (tokens != cases[i].tokens)
            fail_msg("%s: %d tokens, not %d", cases[i].messages, (int)tokens, (int)cases[i].tokens);
    }
}

static void tools_formats_and_the_largest_answer_are_not_counted(void **state)
{
    (void)state;
    static const char body[] =
        "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"xxxx\"}], "
        "\"max_tokens\": 2048,"
        " \"max_completion_tokens\": 2048, \"stream\": false, \"temperature\": 0.5,"
        " \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"xxxxxxxxxxxxxxxx\"}}],"
        " \"response_format\": {\"type\": \"json_object\"}}";
    struct endpoint_call request;
    struct answer answer;
    assert_true(read_body(&request, body, sizeof body - 1, &answer));
    assert_int_equal(request.tokens, 4);
    assert_string_equal(request.model, "m");
    assert_int_equal(request.tokens_max, 2048);
    assert_false(request.is_streamed);
    endpoint_call_free(&request);
}

static void a_bad_body_gets_the_right_400(void **state)
{
    (void)state;
    static const char not_json[] = "We could not parse the JSON body of your request. (HINT: ";
    static const struct {
        const char *body;
        const char *message;
        const char *code;
        const char *param;
    } cases[] = {
        {"", not_json, NULL, NULL},
        {"{", not_json, NULL, NULL},
        {"{\"model\": \"m\",}", not_json, NULL, NULL},
        {"model=m", not_json, NULL, NULL},
        {"[]", not_json, NULL, NULL},
        {"null", not_json, NULL, NULL},
        {"\"m\"", not_json, NULL, NULL},
        {"{\"model\": \"m\"} {}", not_json, NULL, NULL},
        {"{\"model\": \"\xff\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}", not_json,
         NULL, NULL},
        {"{\"model\": \"m\", \"model\": \"n\", \"messages\": [{\"role\": \"user\", \"content\": "
         "\"\"}]}",
         "This mock server does not read JSON with a repeated member: 'model'.", NULL, NULL},
        {"{\"model\": \"a\\u0000\"}",
         "This mock server does not read JSON with \\u0000 in a string.", NULL, NULL},
        {"{}", "you must provide a model parameter", NULL, NULL},
        {"{\"model\": 4, \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}",
         "you must provide a model parameter", NULL, NULL},
        {"{\"model\": null}", "you must provide a model parameter", NULL, NULL},
        {"{\"model\": \"\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}",
         "you must provide a model parameter", NULL, NULL},
        {"{\"Model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}",
         "you must provide a model parameter", NULL, NULL},
        {"{\"model\": \"m\"}", "Missing required parameter: 'messages'.",
         "missing_required_parameter", "messages"},
        {"{\"model\": \"m\", \"messages\": {}}", "Invalid type for 'messages': ", "invalid_type",
         "messages"},
        {"{\"model\": \"m\", \"messages\": \"hi\"}",
         "Invalid type for 'messages': ", "invalid_type", "messages"},
        {"{\"model\": \"m\", \"messages\": []}", "Invalid 'messages': empty array.", "empty_array",
         "messages"},
        {"{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}, \"hi\"]}",
         "Invalid type for 'messages[]': ", "invalid_type", "messages"},
        {"{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], \"n\": 0}",
         "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
         "integer_below_min_value", "n"},
        {"{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], \"n\": 129}",
         "Invalid 'n': integer above maximum value. ", "integer_above_max_value", "n"},
        {"{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], \"n\": 1.5}",
         "Invalid type for 'n': expected an integer, but got a decimal number instead.",
         "invalid_type", "n"},
        {"{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], "
         "\"max_tokens\": \"9\"}",
         "Invalid type for 'max_tokens': ", "invalid_type", "max_tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint_call request;
        struct answer answer;
        if (read_body(&request, cases[i].body, strlen(cases[i].body), &answer))
            fail_msg("%s was taken", cases[i].body);
        assert_int_equal(answer.status, 400);
        cJSON *root = cJSON_ParseWithOpts(answer.body, NULL, 1);
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
        const char *message = cJSON_GetObjectItemCaseSensitive(error, "message")->valuestring;
        if (strncmp(message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s: %s", cases[i].body, message);
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(error, "type")->valuestring,
                            "invalid_request_error");
        const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
        const cJSON *param = cJSON_GetObjectItemCaseSensitive(error, "param");
        if (cases[i].code == NULL) {
            assert_true(cJSON_IsNull(code) && cJSON_IsNull(param));
            assert_string_equal(answer.code, "");
        } else {
            assert_string_equal(code->valuestring, cases[i].code);
            assert_string_equal(param->valuestring, cases[i].param);
            assert_string_equal(answer.code, cases[i].code);
        }
        cJSON_Delete(root);
        endpoint_call_free(&request);
        answer_free(&answer);
    }
}

static void a_model_id_has_a_longest_length(void **state)
{
    (void)state;
    char body[1100];
    struct endpoint_call request;
    struct answer answer;
    snprintf(body, sizeof body,
             "{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}",
             repeat('m', 95));
    assert_true(read_body(&request, body, strlen(body), &answer));
    assert_string_equal(request.model, repeat('m', 95));
    endpoint_call_free(&request);
    snprintf(body, sizeof body,
             "{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}]}",
             repeat('m', 96));
    assert_false(read_body(&request, body, strlen(body), &answer));
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.code, "invalid_value");
    endpoint_call_free(&request);
    answer_free(&answer);
}

static void deep_nesting_and_nul_bytes_are_refused(void **state)
{
    (void)state;
    static char body[100000];
    struct endpoint_call request;
    struct answer answer;
    memset(body, '[', sizeof body);
    assert_false(read_body(&request, body, sizeof body, &answer));
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "\"This mock server does not read JSON with objects and "
                                        "arrays nested more than 64 deep.\""));
    answer_free(&answer);
    assert_false(read_body(&request, "{}\0", 3, &answer));
    assert_int_equal(answer.status, 400);
    answer_free(&answer);
}

static void assert_chat(const char *members, const char *place, const char *text,
                        const char *reason, double tokens)
{
    char body[600];
    char at[64];
    struct api_world world;
    world_start(&world, "{}");
    snprintf(body, sizeof body,
             "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], %s}",
             members);
    assert_int_equal(world_post(&world, "/v1/chat/completions", body), 200);
    snprintf(at, sizeof at, "choices.0.message.%s", place);
    assert_text_at(world.root, at, text);
    assert_text_at(world.root, "choices.0.finish_reason", reason);
    assert_number_at(world.root, "usage.completion_tokens", tokens);
    assert_number_at(world.root, "usage.total_tokens", 3 + tokens);
    assert_int_equal(world.outcome.used_tokens, 3 + tokens);
    world_end(&world);
}

/* Whatever is said, as OpenAI does: also a call's arguments, and a value in a format. */
static void an_answer_that_is_too_long_is_cut(void **state)
{
    (void)state;
#define TOOL                                                                                       \
    ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": "      \
    "{\"type\": \"object\", \"required\": [\"city\"]}}}]"
#define FORMAT                                                                                     \
    ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"s\", "       \
    "\"schema\": {\"type\": "                                                                      \
    "\"object\", \"required\": [\"city\"]}}}"
    static const char arguments[] = "tool_calls.0.function.arguments";
    assert_chat("\"max_tokens\": 1", "content", "This", "length", 1);
    assert_chat("\"max_completion_tokens\": 3", "content", "This is a te", "length", 3);
    assert_chat("\"max_completion_tokens\": 4", "content", "This is a test!", "stop", 4);
    assert_chat("\"max_tokens\": 1, \"max_completion_tokens\": 2", "content", "This is ", "length",
                2);
    assert_chat("\"n\": 2, \"max_tokens\": 2", "content", "This is ", "length", 4); /* in each */
    assert_chat("\"max_tokens\": 2" TOOL, arguments, "{\"city\":", "length", 2);
    assert_chat("\"max_tokens\": 4" TOOL, arguments, "{\"city\":\"test\"}", "tool_calls", 4);
    assert_chat("\"max_tokens\": 2" FORMAT, "content", "{\"city\":", "length", 2);
}

static void the_stream_of_a_cut_answer_ends_with_that_reason(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"models\": {\"m\": {\"content\": \"xx\u20acyy\"}}}");
    assert_int_equal(
        world_post(&world, "/v1/chat/completions",
                   "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], "
                   "\"stream\": true, \"n\": 2, "
                   "\"max_tokens\": 1, \"stream_options\": {\"include_usage\": true}}"),
        200);
    const struct answer *answer = &world.outcome.answer;
    assert_int_equal(answer->piece_count, 2 + 2 + 2 + 1 + 1);
    for (size_t i = 2; i < 6; i++) {
        cJSON *event = event_at(answer, i);
        if (i < 4)
            assert_text_at(event, "choices.0.delta.content", "xx"); /* no part of the third */
        else
            assert_text_at(event, "choices.0.finish_reason", "length");
        cJSON_Delete(event);
    }
    cJSON *usage = event_at(answer, 6);
    assert_number_at(usage, "usage.completion_tokens", 2);
    cJSON_Delete(usage);
    world_end(&world);
}

static void an_answer_ends_before_a_stop_sequence(void **state)
{
    (void)state;
    assert_chat("\"stop\": \" test\"", "content", "This is a", "stop", 3);
    assert_chat("\"stop\": [\"x\", \"is\"]", "content", "Th", "stop", 1);
    assert_chat("\"stop\": \" test\", \"max_tokens\": 4", "content", "This is a", "stop", 3);
    assert_chat("\"stop\": \" test\", \"max_tokens\": 2", "content", "This is ", "length", 2);
}

static void its_stream_does_so_too(void **state)
{
    (void)state;
    struct api_world world;
    char said[64] = "";
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, "/v1/chat/completions",
                                "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", "
                                "\"content\": \"\"}], \"stream\": true, "
                                "\"stop\": [\" test\"]}"),
                     200);
    const struct answer *answer = &world.outcome.answer;
    for (size_t i = 0; i + 2 < answer->piece_count; i++) {
        cJSON *event = event_at(answer, i);
        strcat(said, json_at(event, "choices.0.delta.content")->valuestring);
        cJSON_Delete(event);
    }
    assert_string_equal(said, "This is a");
    cJSON *last = event_at(answer, answer->piece_count - 2);
    assert_text_at(last, "choices.0.finish_reason", "stop");
    cJSON_Delete(last);
    world_end(&world);
}

/* Those of a stream's chunks together are those of the whole answer; a call has none. */
static void tokens_have_logprobs_where_they_are_wanted(void **state)
{
    (void)state;
#define WANTED                                                                                     \
    "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], \"logprobs\": "   \
    "true, \"top_logprobs\": 2"
    static const char *const tokens[] = {"This", " is ", "a te", "st!"};
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, "/v1/chat/completions", WANTED "}"), 200);
    cJSON *content = cJSON_Duplicate(json_at(world.root, "choices.0.logprobs.content"), true);
    assert_int_equal(cJSON_GetArraySize(content), 4);
    assert_int_equal(world_post(&world, "/v1/chat/completions", WANTED ", \"stream\": true}"), 200);
    for (int i = 0; i < 6; i++) {
        cJSON *event = event_at(&world.outcome.answer, (size_t)i);
        const cJSON *logprobs = json_at(event, "choices.0.logprobs");
        if (i == 0) {
            assert_null(json_at(logprobs, "content")->child);
        } else if (i <= 4) {
            assert_text_at(logprobs, "content.0.token", tokens[i - 1]);
            assert_text_at(logprobs, "content.0.top_logprobs.0.token", tokens[i - 1]);
            assert_true(cJSON_Compare(json_at(logprobs, "content.0"),
                                      cJSON_GetArrayItem(content, i - 1), true));
        } else {
            assert_true(cJSON_IsNull(logprobs));
        }
        cJSON_Delete(event);
    }
    cJSON_Delete(content);
    assert_int_equal(world_post(&world, "/v1/chat/completions", WANTED TOOL "}"), 200);
    assert_true(cJSON_IsNull(json_at(world.root, "choices.0.logprobs")));
    world_end(&world);
}

/* Every chunk, also the first, the last and that of the usage, as recorded. */
static void chunks_are_padded_unless_that_is_not_wanted(void **state)
{
    (void)state;
    for (int wanted = 0; wanted < 2; wanted++) {
        char body[300];
        struct api_world world;
        world_start(&world, "{\"models\": {\"m\": {\"content\": \"a\\n\u20acb c d\"}}}");
        snprintf(body, sizeof body,
                 "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], "
                 "\"stream\": true, \"stream_options\": "
                 "{\"include_usage\": true%s}}",
                 wanted ? "" : ", \"include_obfuscation\": false");
        assert_int_equal(world_post(&world, "/v1/chat/completions", body), 200);
        const struct answer *answer = &world.outcome.answer;
        size_t begin = 0;
        for (size_t i = 0; i + 1 < answer->piece_count; i++) {
            cJSON *event = event_at(answer, i);
            size_t length = answer->pieces[i].end - begin - strlen("data: \n\n");
            assert_int_equal(cJSON_HasObjectItem(event, "obfuscation"), wanted);
            if (wanted)
                assert_int_equal(length % 16, 0);
            begin = answer->pieces[i].end;
            cJSON_Delete(event);
        }
        world_end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_as_recorded),
        cmocka_unit_test(counts_characters_parts_and_images),
        cmocka_unit_test(tools_formats_and_the_largest_answer_are_not_counted),
        cmocka_unit_test(a_bad_body_gets_the_right_400),
        cmocka_unit_test(a_model_id_has_a_longest_length),
        cmocka_unit_test(deep_nesting_and_nul_bytes_are_refused),
        cmocka_unit_test(an_answer_that_is_too_long_is_cut),
        cmocka_unit_test(the_stream_of_a_cut_answer_ends_with_that_reason),
        cmocka_unit_test(an_answer_ends_before_a_stop_sequence),
        cmocka_unit_test(its_stream_does_so_too),
        cmocka_unit_test(tokens_have_logprobs_where_they_are_wanted),
        cmocka_unit_test(chunks_are_padded_unless_that_is_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
