#include "tests/unit/api_world.h"

#define PATH "/v1/moderations"

static void each_text_has_a_result(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int count;
        int64_t tokens;
    } cases[] = {
        {"{\"input\": \"xxxx\"}", 1, 1},
        {"{\"input\": [\"xxxx\", \"xxxx\"]}", 2, 2},
        {"{\"input\": [{\"type\": \"text\", \"text\": \"xxxx\"}, {\"type\": \"image_url\", "
         "\"image_url\": {}}]}",
         1, 766},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(world_post(&world, PATH, cases[i].body), 200);
        assert_text_at(world.root, "model", "omni-moderation-latest");
        assert_int_equal(cJSON_GetArraySize(json_at(world.root, "results")), cases[i].count);
        assert_true(cJSON_IsFalse(json_at(world.root, "results.0.flagged")));
        assert_true(cJSON_IsFalse(json_at(world.root, "results.0.categories.self-harm/intent")));
        assert_int_equal(world.entry.tokens, cases[i].tokens);
    }
    assert_int_equal(world_post(&world, PATH, "{\"input\": []}"), 400);
    assert_int_equal(world_post(&world, PATH, "{\"input\": 1}"), 400);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_has_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
