#include "tests/unit/api_world.h"

#define PATH "/v1/completions"

static void each_prompt_has_its_choices(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int choices;
        int64_t tokens;
    } cases[] = {
        {"{\"model\": \"m\"}", 1, 0},
        {"{\"model\": \"m\", \"prompt\": \"xxxxxxxx\"}", 1, 2},
        {"{\"model\": \"m\", \"prompt\": [\"xxxx\", \"xxxx\"], \"n\": 3}", 6, 2},
        {"{\"model\": \"m\", \"prompt\": [1, 2, 3]}", 1, 3},
        {"{\"model\": \"m\", \"prompt\": [[1, 2, 3], [4]]}", 2, 4},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(world_post(&world, PATH, cases[i].body), 200);
        assert_text_at(world.root, "object", "text_completion");
        assert_int_equal(cJSON_GetArraySize(json_at(world.root, "choices")), cases[i].choices);
        assert_text_at(world.root, "choices.0.text", "This is a test!");
        assert_number_at(world.root, "usage.prompt_tokens", (double)cases[i].tokens);
        assert_number_at(world.root, "usage.completion_tokens", 4 * cases[i].choices);
        assert_int_equal(world.entry.tokens, cases[i].tokens);
    }
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"prompt\": 7}"), 400);
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"prompt\": []}"), 400);
    world_end(&world);
}

static void usage_counts_each_short_prompt(void **state)
{
    (void)state;
    static const struct {
        const char *prompt;
        int64_t used;
    } cases[] = {
        {"\"\"", 0}, {"null", 0}, {"\"a\"", 1}, {"[\"a\", \"b\", \"\", \"xxxx\"]", 3}, {"[[1]]", 1},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"model\": \"m\", \"prompt\": %s}", cases[i].prompt);
        assert_int_equal(world_post(&world, PATH, body), 200);
        assert_number_at(world.root, "usage.prompt_tokens", (double)cases[i].used);
        assert_number_at(world.root, "usage.total_tokens", (double)world.outcome.used_tokens);
    }
    world_end(&world);
}

static void a_stream_ends_with_done(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"prompt\": \"x\", \"stream\": true, "
                                "\"stream_options\": {\"include_usage\": true}}"),
                     200);
    const struct answer *answer = &world.outcome.answer;
    char text[64] = "";
    for (size_t i = 0; i + 2 < answer->piece_count; i++) {
        cJSON *event = event_at(answer, i);
        strcat(text, json_at(event, "choices.0.text")->valuestring);
        assert_true(cJSON_IsNull(json_at(event, "usage")));
        cJSON_Delete(event);
    }
    assert_string_equal(text, "This is a test!");
    cJSON *usage = event_at(answer, answer->piece_count - 2);
    assert_number_at(usage, "usage.completion_tokens", 4);
    cJSON_Delete(usage);
    assert_string_equal(answer->body + answer->body_length - 14, "data: [DONE]\n\n");
    world_end(&world);
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    (void)state;
    static const struct {
        int tokens_max;
        const char *text;
        const char *reason;
    } cases[] = {
        {0, "", "length"},
        {2, "This is ", "length"},
        {3, "This is a te", "length"},
        {4, "This is a test!", "stop"},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];
        char text[64] = "";
        const int tokens_max = cases[i].tokens_max;
        snprintf(body, sizeof body,
                 "{\"model\": \"m\", \"prompt\": [\"x\", \"y\"], \"max_tokens\": %d}", tokens_max);
        assert_int_equal(world_post(&world, PATH, body), 200);
        for (int j = 0; j < 2; j++) {
            const cJSON *choice = cJSON_GetArrayItem(json_at(world.root, "choices"), j);
            assert_text_at(choice, "text", cases[i].text);
            assert_text_at(choice, "finish_reason", cases[i].reason);
        }
        assert_number_at(world.root, "usage.completion_tokens", 2 * tokens_max);
        snprintf(body, sizeof body,
                 "{\"model\": \"m\", \"prompt\": \"x\", \"stream\": true, \"max_tokens\": %d}",
                 tokens_max);
        assert_int_equal(world_post(&world, PATH, body), 200);
        const struct answer *answer = &world.outcome.answer;
        for (size_t j = 0; j + 1 < answer->piece_count; j++) {
            cJSON *event = event_at(answer, j);
            strcat(text, json_at(event, "choices.0.text")->valuestring);
            if (j + 2 == answer->piece_count)
                assert_text_at(event, "choices.0.finish_reason", cases[i].reason);
            cJSON_Delete(event);
        }
        assert_string_equal(text, cases[i].text);
    }
    world_end(&world);
}

static void a_text_ends_before_a_stop_sequence(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"stop\": [\"x\", \" test\"]}"),
                     200);
    assert_text_at(world.root, "choices.0.text", "This is a");
    assert_text_at(world.root, "choices.0.finish_reason", "stop");
    assert_number_at(world.root, "usage.completion_tokens", 3);
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"m\", \"stop\": \"test\", \"max_tokens\": 1}"), 200);
    assert_text_at(world.root, "choices.0.text", "This");
    assert_text_at(world.root, "choices.0.finish_reason", "length");
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"m\", \"stop\": \" is\", \"stream\": true}"), 200);
    assert_int_equal(world.outcome.answer.piece_count, 3); /* the text, its end, [DONE] */
    cJSON *event = event_at(&world.outcome.answer, 0);
    assert_text_at(event, "choices.0.text", "This");
    cJSON_Delete(event);
    world_end(&world);
}

static void tokens_have_logprobs_where_they_are_wanted(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"logprobs\": 1}"), 200);
    const cJSON *logprobs = json_at(world.root, "choices.0.logprobs");
    assert_int_equal(cJSON_GetArraySize(json_at(logprobs, "tokens")), 4);
    assert_text_at(logprobs, "tokens.3", "st!");
    assert_number_at(logprobs, "text_offset.3", 12);
    double logprob = json_at(logprobs, "token_logprobs.3")->valuedouble;
    assert_number_at(logprobs, "top_logprobs.3.st!", logprob);
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"m\", \"logprobs\": 1, \"stream\": true}"), 200);
    cJSON *event = event_at(&world.outcome.answer, 3);
    assert_text_at(event, "choices.0.logprobs.tokens.0", "st!");
    assert_number_at(event, "choices.0.logprobs.token_logprobs.0", logprob);
    assert_number_at(event, "choices.0.logprobs.text_offset.0", 12);
    cJSON_Delete(event);
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"logprobs\": 6}"), 400);
    assert_text_at(world.root, "error.param", "logprobs");
    world_end(&world);
}

/* Without max_tokens sixteen are. */
static void sixteen_tokens_are_the_default(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world,
                "{\"models\": {\"m\": {\"content\": \"0123456789012345678901234567890123456789"
                "01234567890123456789012345\"}}}");
    assert_int_equal(world_post(&world, PATH, "{\"model\": \"m\", \"prompt\": \"x\"}"), 200);
    assert_text_at(world.root, "choices.0.text",
                   "0123456789012345678901234567890123456789012345678901234567890123");
    assert_text_at(world.root, "choices.0.finish_reason", "length");
    assert_number_at(world.root, "usage.completion_tokens", 16);
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"m\", \"prompt\": \"x\", \"max_tokens\": null}"),
        200);
    assert_text_at(world.root, "choices.0.finish_reason", "length");
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"m\", \"prompt\": \"x\", \"max_tokens\": 17}"), 200);
    assert_text_at(world.root, "choices.0.finish_reason", "stop");
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_prompt_has_its_choices),
        cmocka_unit_test(usage_counts_each_short_prompt),
        cmocka_unit_test(a_stream_ends_with_done),
        cmocka_unit_test(a_text_that_is_too_long_is_cut),
        cmocka_unit_test(a_text_ends_before_a_stop_sequence),
        cmocka_unit_test(tokens_have_logprobs_where_they_are_wanted),
        cmocka_unit_test(sixteen_tokens_are_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
