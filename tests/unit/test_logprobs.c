#include "mockserver/logprobs.h"

#include "mockserver/token_estimate.h"
#include "tests/unit/api_world.h"

#define TEXT "abc\u00e9xyz!"

static void each_token_of_a_chat_has_an_entry(void **state)
{
    (void)state;
    static const char *const tokens[] = {"abc\u00e9", "xyz!"};
    for (int has_top = 0; has_top < 2; has_top++) {
        cJSON *root = logprobs_chat(TEXT "more", strlen(TEXT), has_top);
        const cJSON *content = json_at(root, "content");
        assert_int_equal(cJSON_GetArraySize(content), 2);
        for (int i = 0; i < 2; i++) {
            const cJSON *entry = cJSON_GetArrayItem(content, i);
            const cJSON *bytes = json_at(entry, "bytes");
            assert_text_at(entry, "token", tokens[i]);
            assert_int_equal(cJSON_GetArraySize(bytes), strlen(tokens[i]));
            for (int j = 0; j < cJSON_GetArraySize(bytes); j++)
                assert_int_equal(cJSON_GetArrayItem(bytes, j)->valueint,
                                 (unsigned char)tokens[i][j]);
            double logprob = json_at(entry, "logprob")->valuedouble;
            assert_true(logprob >= -1 && logprob < 0);
            assert_int_equal(cJSON_GetArraySize(json_at(entry, "top_logprobs")), has_top);
            if (has_top) {
                assert_text_at(entry, "top_logprobs.0.token", tokens[i]);
                assert_number_at(entry, "top_logprobs.0.logprob", logprob);
            }
        }
        assert_true(cJSON_IsNull(json_at(root, "refusal")));
        cJSON_Delete(root);
    }
}

static void the_same_token_is_as_likely_each_time(void **state)
{
    (void)state;
    cJSON *root = logprobs_chat("samesamelike", 12, false);
    double logprob = json_at(root, "content.0.logprob")->valuedouble;
    assert_number_at(root, "content.1.logprob", logprob);
    assert_true(json_at(root, "content.2.logprob")->valuedouble != logprob);
    cJSON_Delete(root);
}

static void a_completion_has_them_in_columns(void **state)
{
    (void)state;
    cJSON *root = logprobs_completion(TEXT, 0, strlen(TEXT), true);
    assert_text_at(root, "tokens.0", "abc\u00e9");
    assert_text_at(root, "tokens.1", "xyz!");
    double logprob = json_at(root, "token_logprobs.1")->valuedouble;
    assert_number_at(root, "top_logprobs.1.xyz!", logprob);
    assert_number_at(root, "text_offset.0", 0);
    assert_number_at(root, "text_offset.1", 4); /* characters, not bytes */
    cJSON_Delete(root);
    root = logprobs_completion(TEXT, 5, 4, false);
    assert_int_equal(cJSON_GetArraySize(json_at(root, "tokens")), 1);
    assert_text_at(root, "tokens.0", "xyz!");
    assert_null(json_at(root, "top_logprobs.0")->child);
    assert_number_at(root, "text_offset.0", 4);
    cJSON_Delete(root);
}

static void an_endless_text_has_some_for_its_beginning(void **state)
{
    (void)state;
    size_t length = (size_t)TOKEN_CHARACTERS * (LOGPROBS_TOKENS_MAX + 2);
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    static const int64_t times[] = {1, 4, 16384};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        cJSON *root = logprobs_chat(text, logprobs_length(text, times[i]), false);
        assert_int_equal(cJSON_GetArraySize(json_at(root, "content")),
                         LOGPROBS_TOKENS_MAX / times[i]);
        cJSON_Delete(root);
    }
    free(text);
}

/* By hand: the address sanitizer looks at all of a long text at each strstr. */
static int count_tokens(const struct answer *answer)
{
    static const char name[] = "\"token\"";
    const size_t length = sizeof name - 1;
    int count = 0;
    for (size_t i = 0; i + length <= answer->body_length; i++)
        count += memcmp(answer->body + i, name, length) == 0 ? 1 : 0;
    return count;
}

/* 2000 tokens, 64 choices: too many for all of them. */
static void many_choices_share_what_one_answer_may_have(void **state)
{
    (void)state;
    enum { CHOICES = 64 };
    static char config[9000];
    char body[200];
    memset(config, 'x', sizeof config - 1);
    memcpy(config, "{\"models\": {\"m\": {\"content\": \"", 30);
    memcpy(config + sizeof config - 5, "\"}}}", 4);
    struct api_world world;
    world_start(&world, config);
    for (int is_streamed = 0; is_streamed < 2; is_streamed++) {
        snprintf(body, sizeof body,
                 "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": "
                 "\"\"}], \"logprobs\": true, \"n\": %d, \"stream\": %s}",
                 CHOICES, is_streamed ? "true" : "false");
        assert_int_equal(world_post(&world, "/v1/chat/completions", body), 200);
        assert_int_equal(count_tokens(&world.outcome.answer), LOGPROBS_TOKENS_MAX);
    }
    world_end(&world);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *param; /* NULL: it is taken */
    } cases[] = {
        {"\"logprobs\": true", NULL},
        {"\"logprobs\": null, \"top_logprobs\": null", NULL},
        {"\"logprobs\": true, \"top_logprobs\": 20", NULL},
        {"\"logprobs\": 1", "logprobs"},
        {"\"logprobs\": true, \"top_logprobs\": 21", "top_logprobs"},
        {"\"logprobs\": true, \"top_logprobs\": -1", "top_logprobs"},
        {"\"logprobs\": true, \"top_logprobs\": 1.5", "top_logprobs"},
        {"\"logprobs\": true, \"top_logprobs\": \"1\"", "top_logprobs"},
        {"\"logprobs\": false, \"top_logprobs\": 0", NULL},
        {"\"top_logprobs\": 2", "top_logprobs"},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];
        snprintf(body, sizeof body,
                 "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], %s}",
                 cases[i].members);
        int status = world_post(&world, "/v1/chat/completions", body);
        if (status != (cases[i].param == NULL ? 200 : 400))
            fail_msg("%s: %d", body, status);
        if (cases[i].param == NULL)
            continue;
        assert_text_at(world.root, "error.type", "invalid_request_error");
        assert_text_at(world.root, "error.param", cases[i].param);
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_token_of_a_chat_has_an_entry),
        cmocka_unit_test(the_same_token_is_as_likely_each_time),
        cmocka_unit_test(a_completion_has_them_in_columns),
        cmocka_unit_test(an_endless_text_has_some_for_its_beginning),
        cmocka_unit_test(many_choices_share_what_one_answer_may_have),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
