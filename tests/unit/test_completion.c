#include "mockserver/completion.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const cJSON *at(const cJSON *item, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, name);
    if (member == NULL)
        fail_msg("\"%s\" is missing", name);
    return member;
}

static void assert_text(const cJSON *item, const char *name, const char *value)
{
    assert_true(cJSON_IsString(at(item, name)));
    assert_string_equal(at(item, name)->valuestring, value);
}

static void assert_number(const cJSON *item, const char *name, double value)
{
    assert_true(cJSON_IsNumber(at(item, name)));
    assert_true(at(item, name)->valuedouble == value);
}

/* Every member that recorded sessions show, with its type. */
static void a_chat_completion_has_the_recorded_shape(void **state)
{
    (void)state;
    char *text = completion_chat("gpt-4o-mini", "Say \"\xc3\xa9\"\n", 31,
                                 UINT64_C(0x123456789abcdef0), INT64_C(1767225600));
    cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
    assert_non_null(root);
    assert_text(root, "id", "chatcmpl-123456789abcdef0");
    assert_text(root, "object", "chat.completion");
    assert_number(root, "created", 1767225600);
    assert_text(root, "model", "gpt-4o-mini");
    assert_text(root, "service_tier", "default");
    assert_text(root, "system_fingerprint", "fp_toomany");
    assert_int_equal(cJSON_GetArraySize(at(root, "choices")), 1);
    const cJSON *choice = cJSON_GetArrayItem(at(root, "choices"), 0);
    assert_number(choice, "index", 0);
    assert_text(choice, "finish_reason", "stop");
    assert_true(cJSON_IsNull(at(choice, "logprobs")));
    const cJSON *message = at(choice, "message");
    assert_text(message, "role", "assistant");
    assert_text(message, "content", "Say \"\xc3\xa9\"\n");
    assert_true(cJSON_IsNull(at(message, "refusal")));
    assert_true(cJSON_IsArray(at(message, "annotations")));
    const cJSON *usage = at(root, "usage");
    assert_number(usage, "prompt_tokens", 31);
    assert_number(usage, "completion_tokens", 3);
    assert_number(usage, "total_tokens", 34);
    assert_number(at(usage, "prompt_tokens_details"), "cached_tokens", 0);
    assert_number(at(usage, "prompt_tokens_details"), "audio_tokens", 0);
    assert_number(at(usage, "completion_tokens_details"), "reasoning_tokens", 0);
    assert_number(at(usage, "completion_tokens_details"), "audio_tokens", 0);
    assert_number(at(usage, "completion_tokens_details"), "accepted_prediction_tokens", 0);
    assert_number(at(usage, "completion_tokens_details"), "rejected_prediction_tokens", 0);
    cJSON_Delete(root);
    free(text);
}

static void the_same_arguments_give_the_same_bytes(void **state)
{
    (void)state;
    char *a = completion_chat("m", COMPLETION_CONTENT, 3, 7, 1);
    char *b = completion_chat("m", COMPLETION_CONTENT, 3, 7, 1);
    char *c = completion_chat("m", COMPLETION_CONTENT, 3, 8, 1);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a);
    free(b);
    free(c);
}

static void a_model_has_its_owner(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        const char *owner;
    } cases[] = {
        {"gpt-4o-mini", "system"},
        {"ft:gpt-4o-mini:acme::7p4lURel", "acme"},
        {"ft:gpt-3.5-turbo-0125:microsoft-openai-sdk-team::C4ZiCljE", "microsoft-openai-sdk-team"},
        {"ft:gpt-4o", "system"},
        {"ft:gpt-4o::x", "system"},
        {"ft:gpt-4o:acme", "acme"},
        {"ft:", "system"},
        {"ft:a:ooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo:",
         "system"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = completion_model(cases[i].id);
        cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
        assert_non_null(root);
        assert_int_equal(cJSON_GetArraySize(root), 4);
        assert_text(root, "id", cases[i].id);
        assert_text(root, "object", "model");
        assert_true(cJSON_IsNumber(at(root, "created")));
        assert_text(root, "owned_by", cases[i].owner);
        cJSON_Delete(root);
        free(text);
    }
}

static void models_are_listed_in_order(void **state)
{
    (void)state;
    const char *const ids[] = {"b", "a"};
    for (int count = 0; count <= 2; count++) {
        char *text = completion_models(ids, count);
        cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
        assert_text(root, "object", "list");
        assert_int_equal(cJSON_GetArraySize(at(root, "data")), count);
        for (int i = 0; i < count; i++)
            assert_text(cJSON_GetArrayItem(at(root, "data"), i), "id", ids[i]);
        cJSON_Delete(root);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_completion_has_the_recorded_shape),
        cmocka_unit_test(the_same_arguments_give_the_same_bytes),
        cmocka_unit_test(a_model_has_its_owner),
        cmocka_unit_test(models_are_listed_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
