#include "tests/unit/api_world.h"

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
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[200];
        snprintf(path, sizeof path, "/v1/models/%s", cases[i].id);
        assert_int_equal(world_ask(&world, "GET", path, ""), 200);
        assert_int_equal(cJSON_GetArraySize(world.root), 4);
        assert_text_at(world.root, "id", cases[i].id);
        assert_text_at(world.root, "object", "model");
        assert_true(cJSON_IsNumber(json_at(world.root, "created")));
        assert_text_at(world.root, "owned_by", cases[i].owner);
    }
    world_end(&world);
}

static void models_are_listed_once_and_in_order(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"models\": {\"b\": {}, \"a\": {}}, \"quotas\": {\"*\": {}, \"a\": {}, "
                        "\"c\": {}}}");
    assert_int_equal(world_ask(&world, "GET", "/v1/models", ""), 200);
    assert_text_at(world.root, "object", "list");
    assert_int_equal(cJSON_GetArraySize(json_at(world.root, "data")), 3);
    assert_text_at(world.root, "data.0.id", "b");
    assert_text_at(world.root, "data.1.id", "a");
    assert_text_at(world.root, "data.2.id", "c");
    world_end(&world);
}

static void models_of_a_tier_are_listed_too(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{\"models\": {\"gpt-4o-mini\": {}}, \"tier\": \"1\"}");
    assert_int_equal(world_ask(&world, "GET", "/v1/models", ""), 200);
    assert_text_at(world.root, "data.0.id", "gpt-4o-mini");
    assert_text_at(world.root, "data.1.id", "gpt-4o");
    const cJSON *data = json_at(world.root, "data");
    for (int i = 0; i < cJSON_GetArraySize(data); i++)
        assert_null(strchr(json_at(cJSON_GetArrayItem(data, i), "id")->valuestring, '*'));
    world_end(&world);
    world_start(&world, "{\"models\": {\"a\": {}}, \"tier\": \"1\", \"only_listed_models\": true}");
    assert_int_equal(world_ask(&world, "GET", "/v1/models", ""), 200);
    assert_int_equal(cJSON_GetArraySize(json_at(world.root, "data")), 1);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_has_its_owner),
        cmocka_unit_test(models_are_listed_once_and_in_order),
        cmocka_unit_test(models_of_a_tier_are_listed_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
