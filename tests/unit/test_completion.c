#include "mockserver/completion.h"

#include "mockserver/token_estimate.h"
#include "tests/unit/api_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct reply says(const char *text)
{
    return (struct reply){.text = text, .tokens = token_estimate_reply(text)};
}

static struct reply calls_tool(void)
{
    struct reply reply = says("{\"word\":\"\"}");
    reply.tool = "look_up";
    return reply;
}

/* Every member that recorded sessions show, with its type. */
static void a_chat_completion_has_the_recorded_shape(void **state)
{
    (void)state;
    struct reply reply = says("Say \"\xc3\xa9\"\n");
    struct completion completion = {
        .model = "gpt-4o-mini",
        .reply = &reply,
        .choice_count = 1,
        .prompt_tokens = 31,
        .id_bits = UINT64_C(0x123456789abcdef0),
        .created_s = INT64_C(1767225600),
    };
    size_t length = 0;
    char *text = completion_chat(&completion, &length);
    assert_int_equal(strlen(text), length);
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    assert_non_null(root);
    assert_text_at(root, "id", "chatcmpl-123456789abcdef0");
    assert_text_at(root, "object", "chat.completion");
    assert_number_at(root, "created", 1767225600);
    assert_text_at(root, "model", "gpt-4o-mini");
    assert_text_at(root, "service_tier", "default");
    assert_text_at(root, "system_fingerprint", "fp_toomany");
    assert_int_equal(cJSON_GetArraySize(json_at(root, "choices")), 1);
    const cJSON *choice = cJSON_GetArrayItem(json_at(root, "choices"), 0);
    assert_number_at(choice, "index", 0);
    assert_text_at(choice, "finish_reason", "stop");
    assert_true(cJSON_IsNull(json_at(choice, "logprobs")));
    const cJSON *message = json_at(choice, "message");
    assert_text_at(message, "role", "assistant");
    assert_text_at(message, "content", "Say \"\xc3\xa9\"\n");
    assert_true(cJSON_IsNull(json_at(message, "refusal")));
    assert_true(cJSON_IsArray(json_at(message, "annotations")));
    const cJSON *usage = json_at(root, "usage");
    assert_number_at(usage, "prompt_tokens", 31);
    assert_number_at(usage, "completion_tokens", 3);
    assert_number_at(usage, "total_tokens", 34);
    assert_number_at(json_at(usage, "prompt_tokens_details"), "cached_tokens", 0);
    assert_number_at(json_at(usage, "prompt_tokens_details"), "audio_tokens", 0);
    assert_number_at(json_at(usage, "completion_tokens_details"), "reasoning_tokens", 0);
    assert_number_at(json_at(usage, "completion_tokens_details"), "audio_tokens", 0);
    assert_number_at(json_at(usage, "completion_tokens_details"), "accepted_prediction_tokens", 0);
    assert_number_at(json_at(usage, "completion_tokens_details"), "rejected_prediction_tokens", 0);
    cJSON_Delete(root);
    free(text);
}

static void a_call_of_a_tool_has_no_content(void **state)
{
    (void)state;
    struct reply reply = calls_tool();
    struct completion completion = {.model = "m", .reply = &reply, .choice_count = 2, .id_bits = 7};
    size_t length = 0;
    char *text = completion_chat(&completion, &length);
    assert_int_equal(strlen(text), length);
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    for (int i = 0; i < 2; i++) {
        const cJSON *choice = cJSON_GetArrayItem(json_at(root, "choices"), i);
        assert_number_at(choice, "index", i);
        assert_text_at(choice, "finish_reason", "tool_calls");
        assert_true(cJSON_IsNull(json_at(choice, "message.content")));
        assert_text_at(choice, "message.tool_calls.0.type", "function");
        assert_text_at(choice, "message.tool_calls.0.function.name", "look_up");
        assert_text_at(choice, "message.tool_calls.0.function.arguments", "{\"word\":\"\"}");
    }
    assert_string_not_equal(json_at(root, "choices.0.message.tool_calls.0.id")->valuestring,
                            json_at(root, "choices.1.message.tool_calls.0.id")->valuestring);
    assert_number_at(root, "usage.completion_tokens", 6);
    cJSON_Delete(root);
    free(text);
}

static cJSON *chat_of(const struct reply *reply)
{
    struct completion completion = {.model = "m", .reply = reply, .choice_count = 1, .id_bits = 7};
    size_t length = 0;
    char *text = completion_chat(&completion, &length);
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    assert_non_null(root);
    free(text);
    return root;
}

static void a_call_of_a_custom_tool_has_an_input(void **state)
{
    (void)state;
    struct reply reply = calls_tool();
    reply.tool_kind = TOOL_CUSTOM;
    cJSON *root = chat_of(&reply);
    assert_true(cJSON_IsNull(json_at(root, "choices.0.message.content")));
    assert_text_at(root, "choices.0.message.tool_calls.0.type", "custom");
    assert_text_at(root, "choices.0.message.tool_calls.0.id", "call_000000000000000700");
    assert_text_at(root, "choices.0.message.tool_calls.0.custom.name", "look_up");
    assert_text_at(root, "choices.0.message.tool_calls.0.custom.input", reply.text);
    assert_text_at(root, "choices.0.finish_reason", "tool_calls");
    cJSON_Delete(root);
}

static void a_call_of_a_legacy_function_stands_in_the_message(void **state)
{
    (void)state;
    struct reply reply = calls_tool();
    reply.tool_kind = TOOL_LEGACY_FUNCTION;
    cJSON *root = chat_of(&reply);
    assert_true(cJSON_IsNull(json_at(root, "choices.0.message.content")));
    assert_text_at(root, "choices.0.message.function_call.name", "look_up");
    assert_text_at(root, "choices.0.message.function_call.arguments", reply.text);
    assert_false(cJSON_HasObjectItem(json_at(root, "choices.0.message"), "tool_calls"));
    assert_text_at(root, "choices.0.finish_reason", "function_call");
    cJSON_Delete(root);
}

static void stream(struct answer *answer, const struct completion *completion,
                   const struct pace *pace)
{
    answer_init(answer, 200);
    completion_chat_stream(completion, pace, answer);
    assert_int_equal(answer->stream, ANSWER_STREAM_DATA);
    assert_string_equal(answer_find_header(answer, "content-type"),
                        "text/event-stream; charset=utf-8");
    assert_int_equal(answer->pieces[answer->piece_count - 1].end, answer->body_length);
}

/* As in the recorded chunks: the role, the words, the reason, [DONE]. */
static void a_stream_has_the_recorded_sequence(void **state)
{
    (void)state;
    struct answer answer;
    struct reply reply = says("Hello you!");
    struct completion completion = {.model = "m", .reply = &reply, .choice_count = 1, .id_bits = 7};
    struct pace pace = {.first_token_ns = NS_PER_S, .tokens_per_second = 2};
    stream(&answer, &completion, &pace);
    static const char *const words[] = {"", "Hell", "o yo", "u!"};
    static const int64_t due_ns[] = {0, NS_PER_S, 3 * NS_PER_S / 2, 2 * NS_PER_S};
    assert_int_equal(answer.piece_count, 6);
    for (size_t i = 0; i < 4; i++) {
        cJSON *event = event_at(&answer, i);
        assert_text_at(event, "object", "chat.completion.chunk");
        assert_text_at(event, "id", "chatcmpl-0000000000000007");
        assert_text_at(event, "choices.0.delta.content", words[i]);
        assert_true(cJSON_IsNull(json_at(event, "choices.0.finish_reason")));
        assert_int_equal(cJSON_HasObjectItem(json_at(event, "choices.0.delta"), "role"), i == 0);
        assert_false(cJSON_HasObjectItem(event, "usage"));
        assert_int_equal(answer.pieces[i].due_ns, due_ns[i]);
        cJSON_Delete(event);
    }
    cJSON *event = event_at(&answer, 4);
    assert_null(json_at(event, "choices.0.delta")->child);
    assert_text_at(event, "choices.0.finish_reason", "stop");
    cJSON_Delete(event);
    assert_string_equal(answer.body + answer.pieces[4].end, "data: [DONE]\n\n");
    answer_free(&answer);
}

static void usage_comes_in_a_chunk_of_its_own(void **state)
{
    (void)state;
    struct answer answer;
    struct reply reply = says("Hello you!");
    struct completion completion = {.model = "m",
                                    .reply = &reply,
                                    .choice_count = 1,
                                    .prompt_tokens = 5,
                                    .include_usage = true};
    stream(&answer, &completion, &(struct pace){0});
    for (size_t i = 0; i < answer.piece_count - 2; i++) {
        cJSON *event = event_at(&answer, i);
        assert_true(cJSON_IsNull(json_at(event, "usage")));
        cJSON_Delete(event);
    }
    cJSON *event = event_at(&answer, answer.piece_count - 2);
    assert_null(json_at(event, "choices")->child);
    assert_number_at(event, "usage.total_tokens", 8);
    cJSON_Delete(event);
    answer_free(&answer);
}

static void arguments_of_a_tool_are_streamed(void **state)
{
    (void)state;
    struct answer answer;
    struct reply reply = calls_tool();
    struct completion completion = {.model = "m", .reply = &reply, .choice_count = 1};
    char arguments[64] = "";
    stream(&answer, &completion, &(struct pace){0});
    for (size_t i = 0; i < answer.piece_count - 2; i++) {
        cJSON *event = event_at(&answer, i);
        const cJSON *call = json_at(event, "choices.0.delta.tool_calls.0");
        assert_number_at(call, "index", 0);
        assert_int_equal(cJSON_HasObjectItem(call, "id"), i == 0);
        strcat(arguments, json_at(call, "function.arguments")->valuestring);
        cJSON_Delete(event);
    }
    assert_string_equal(arguments, reply.text);
    answer_free(&answer);
}

/* Puts the words of a streamed call together, which stand at `place` in each delta. */
static void assert_streamed_call(enum tool_kind kind, const char *place, const char *words,
                                 const char *reason)
{
    struct answer answer;
    struct reply reply = calls_tool();
    reply.tool_kind = kind;
    struct completion completion = {.model = "m", .reply = &reply, .choice_count = 1};
    char said[64] = "";
    stream(&answer, &completion, &(struct pace){0});
    for (size_t i = 0; i < answer.piece_count - 2; i++) {
        cJSON *event = event_at(&answer, i);
        const cJSON *call = json_at(event, place);
        assert_int_equal(cJSON_HasObjectItem(call, "name"), i == 0);
        strcat(said, json_at(call, words)->valuestring);
        cJSON_Delete(event);
    }
    assert_string_equal(said, reply.text);
    cJSON *event = event_at(&answer, answer.piece_count - 2);
    assert_text_at(event, "choices.0.finish_reason", reason);
    cJSON_Delete(event);
    answer_free(&answer);
}

static void other_calls_are_streamed(void **state)
{
    (void)state;
    assert_streamed_call(TOOL_CUSTOM, "choices.0.delta.tool_calls.0.custom", "input", "tool_calls");
    assert_streamed_call(TOOL_LEGACY_FUNCTION, "choices.0.delta.function_call", "arguments",
                         "function_call");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_completion_has_the_recorded_shape),
        cmocka_unit_test(a_call_of_a_tool_has_no_content),
        cmocka_unit_test(a_call_of_a_custom_tool_has_an_input),
        cmocka_unit_test(a_call_of_a_legacy_function_stands_in_the_message),
        cmocka_unit_test(a_stream_has_the_recorded_sequence),
        cmocka_unit_test(usage_comes_in_a_chunk_of_its_own),
        cmocka_unit_test(arguments_of_a_tool_are_streamed),
        cmocka_unit_test(other_calls_are_streamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
