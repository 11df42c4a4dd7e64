#include "tests/unit/api_world.h"

#define PATH "/v1/responses"

static void a_response_has_the_recorded_shape(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"xxxx\", \"instructions\": "
                                "\"xxxxxxxx\", \"metadata\": {\"a\": \"b\"}}"),
                     200);
    assert_text_at(world.root, "object", "response");
    assert_text_at(world.root, "status", "completed");
    assert_text_at(world.root, "output.0.type", "message");
    assert_text_at(world.root, "output.0.content.0.text", "This is a test!");
    assert_text_at(world.root, "instructions", "xxxxxxxx");
    assert_text_at(world.root, "metadata.a", "b");
    assert_number_at(world.root, "usage.input_tokens", 2 + 1 + 1 + 2);
    assert_number_at(world.root, "usage.output_tokens", 4);
    assert_number_at(world.root, "usage.total_tokens", 10);
    assert_int_equal(world.entry.tokens, 6);
    world_end(&world);
}

static void items_and_parts_are_counted(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(
        world_post(
            &world, PATH,
            "{\"model\": \"m\", \"input\": [{\"role\": \"user\", \"content\": [{\"type\": "
            "\"input_text\", \"text\": \"xxxx\"}, {\"type\": \"input_image\", \"image_url\": "
            "\"data:\"}]}, {\"type\": \"function_call_output\", \"output\": \"xxxx\"}]}"),
        200);
    assert_int_equal(world.entry.tokens, 2 + (1 + 1 + 765) + (1 + 1));
    world_end(&world);
}

static void assert_events(const struct answer *answer, const char *const names[])
{
    for (size_t i = 0; names[i] != NULL; i++) {
        cJSON *event = event_at(answer, i);
        assert_text_at(event, "type", names[i]);
        assert_number_at(event, "sequence_number", (double)i);
        cJSON_Delete(event);
        assert_int_equal(names[i + 1] == NULL, i + 1 == answer->piece_count);
    }
}

static void a_stream_has_the_recorded_sequence(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"models\": {\"m\": {\"content\": \"Hello you\"}}}");
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"m\", \"input\": \"Hi\", \"stream\": true}"), 200);
    const struct answer *answer = &world.outcome.answer;
    assert_int_equal(answer->stream, ANSWER_STREAM_EVENTS);
    assert_events(answer,
                  (const char *const[]){"response.created", "response.in_progress",
                                        "response.output_item.added", "response.content_part.added",
                                        "response.output_text.delta", "response.output_text.delta",
                                        "response.output_text.delta", "response.output_text.done",
                                        "response.content_part.done", "response.output_item.done",
                                        "response.completed", NULL});
    cJSON *last = event_at(answer, answer->piece_count - 1);
    assert_text_at(last, "response.output.0.content.0.text", "Hello you");
    assert_text_at(last, "response.status", "completed");
    cJSON_Delete(last);
    assert_null(strstr(answer->body, "[DONE]"));
    world_end(&world);
}

static void a_call_of_a_function_is_streamed(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"Hi\", \"stream\": true, "
                                "\"tools\": [{\"type\": \"function\", \"name\": \"f\"}]}"),
                     200);
    const struct answer *answer = &world.outcome.answer;
    assert_events(answer,
                  (const char *const[]){"response.created", "response.in_progress",
                                        "response.output_item.added",
                                        "response.function_call_arguments.delta",
                                        "response.function_call_arguments.done",
                                        "response.output_item.done", "response.completed", NULL});
    cJSON *last = event_at(answer, answer->piece_count - 1);
    assert_text_at(last, "response.output.0.type", "function_call");
    assert_text_at(last, "response.output.0.name", "f");
    assert_text_at(last, "response.output.0.arguments", "{}");
    cJSON_Delete(last);
    world_end(&world);
}

static void a_call_of_a_custom_tool_is_streamed(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"Hi\", \"stream\": true, "
                                "\"tool_choice\": {\"type\": \"custom\", \"name\": \"c\"}, "
                                "\"tools\": [{\"type\": \"function\", \"name\": \"f\"}, "
                                "{\"type\": \"custom\", \"name\": \"c\"}]}"),
                     200);
    const struct answer *answer = &world.outcome.answer;
    assert_events(answer, (const char *const[]){
                              "response.created", "response.in_progress",
                              "response.output_item.added", "response.custom_tool_call_input.delta",
                              "response.custom_tool_call_input.done", "response.output_item.done",
                              "response.completed", NULL});
    cJSON *done = event_at(answer, 4);
    assert_text_at(done, "input", "test");
    assert_false(cJSON_HasObjectItem(done, "name"));
    cJSON_Delete(done);
    cJSON *last = event_at(answer, answer->piece_count - 1);
    const cJSON *item = json_at(last, "response.output.0");
    assert_text_at(item, "type", "custom_tool_call");
    assert_text_at(item, "name", "c");
    assert_text_at(item, "input", "test");
    assert_text_at(item, "status", "completed");
    assert_memory_equal(json_at(item, "id")->valuestring, "ctc_", 4);
    assert_memory_equal(json_at(item, "call_id")->valuestring, "call_", 5);
    cJSON_Delete(last);
    world_end(&world);
}

#define FIFTY "01234567890123456789012345678901234567890123456789"

static void an_answer_that_is_too_long_is_incomplete(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"rules\": {\"settle\": true}, \"quotas\": {\"m\": "
                        "{\"tokens_per_minute\": 1000}}, \"models\": {\"m\": {\"content\": "
                        "\"" FIFTY FIFTY "\"}}}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"Hi\", "
                                "\"max_output_tokens\": 16}"),
                     200);
    assert_text_at(world.root, "status", "incomplete");
    assert_text_at(world.root, "incomplete_details.reason", "max_output_tokens");
    assert_text_at(world.root, "output.0.status", "incomplete");
    assert_text_at(world.root, "output.0.content.0.text", FIFTY "01234567890123");
    assert_number_at(world.root, "usage.output_tokens", 16);
    assert_number_at(world.root, "usage.total_tokens", 19);
    assert_int_equal(world.outcome.used_tokens, 19);
    /* Just long enough. */
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"Hi\", "
                                "\"max_output_tokens\": 25}"),
                     200);
    assert_text_at(world.root, "status", "completed");
    assert_true(cJSON_IsNull(json_at(world.root, "incomplete_details")));
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"Hi\", "
                                "\"max_output_tokens\": 15}"),
                     400);
    assert_text_at(world.root, "error.message",
                   "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
                   "16, but got 15 instead.");
    assert_text_at(world.root, "error.code", "integer_below_min_value");
    assert_text_at(world.root, "error.param", "max_output_tokens");
    world_end(&world);
}

static void the_stream_of_a_cut_call_ends_incomplete(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(
        world_post(&world, PATH,
                   "{\"model\": \"m\", \"input\": \"Hi\", \"stream\": true, "
                   "\"max_output_tokens\": 16, \"tools\": [{\"type\": \"function\", \"name\": "
                   "\"f\", \"parameters\": {\"type\": \"object\", \"required\": [\"" FIFTY FIFTY
                   "\"]}}]}"),
        200);
    const struct answer *answer = &world.outcome.answer;
    static const char delta[] = "response.function_call_arguments.delta";
    assert_events(answer, (const char *const[]){"response.created",
                                                "response.in_progress",
                                                "response.output_item.added",
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                delta,
                                                "response.function_call_arguments.done",
                                                "response.output_item.done",
                                                "response.incomplete",
                                                NULL});
    cJSON *first = event_at(answer, 0);
    assert_true(cJSON_IsNull(json_at(first, "response.incomplete_details")));
    cJSON_Delete(first);
    cJSON *last = event_at(answer, answer->piece_count - 1);
    assert_text_at(last, "response.incomplete_details.reason", "max_output_tokens");
    assert_text_at(last, "response.output.0.arguments", "{\"" FIFTY "012345678901");
    assert_text_at(last, "response.output.0.status", "incomplete");
    assert_number_at(last, "response.usage.output_tokens", 16);
    cJSON_Delete(last);
    world_end(&world);
}

static void assert_padding(const char *members, const char *kind, bool wanted)
{
    char body[300];
    struct api_world world;
    world_start(&world, "{}");
    snprintf(body, sizeof body, "{\"model\": \"m\", \"input\": \"Hi\", \"stream\": true%s}",
             members);
    assert_int_equal(world_post(&world, PATH, body), 200);
    int deltas = 0;
    for (size_t i = 0; i < world.outcome.answer.piece_count; i++) {
        cJSON *event = event_at(&world.outcome.answer, i);
        bool is_delta = strcmp(json_at(event, "type")->valuestring, kind) == 0;
        assert_int_equal(cJSON_HasObjectItem(event, "obfuscation"), is_delta && wanted);
        if (is_delta && wanted)
            assert_int_equal((strlen(json_at(event, "delta")->valuestring) +
                              strlen(json_at(event, "obfuscation")->valuestring)) %
                                 16,
                             0);
        deltas += is_delta;
        cJSON_Delete(event);
    }
    assert_true(deltas > 0);
    world_end(&world);
}

static void deltas_are_padded_unless_that_is_not_wanted(void **state)
{
    (void)state;
    static const char text[] = "response.output_text.delta";
    assert_padding("", text, true);
    assert_padding(", \"stream_options\": {\"include_obfuscation\": true}", text, true);
    assert_padding(", \"stream_options\": {\"include_obfuscation\": false}", text, false);
    assert_padding(", \"tools\": [{\"type\": \"function\", \"name\": \"f\"}]",
                   "response.function_call_arguments.delta", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_has_the_recorded_shape),
        cmocka_unit_test(items_and_parts_are_counted),
        cmocka_unit_test(a_stream_has_the_recorded_sequence),
        cmocka_unit_test(a_call_of_a_function_is_streamed),
        cmocka_unit_test(a_call_of_a_custom_tool_is_streamed),
        cmocka_unit_test(an_answer_that_is_too_long_is_incomplete),
        cmocka_unit_test(the_stream_of_a_cut_call_ends_incomplete),
        cmocka_unit_test(deltas_are_padded_unless_that_is_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
