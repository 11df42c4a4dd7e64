#include "tests/unit/api_world.h"

#define PATH "/v1/images/generations"

static void images_come_as_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *form;
        int count;
    } cases[] = {
        {"{\"prompt\": \"a\"}", "url", 1},
        {"{\"prompt\": \"a\", \"n\": 3, \"response_format\": \"b64_json\"}", "b64_json", 3},
        {"{\"model\": \"dall-e-3\", \"prompt\": \"a\"}", "url", 1},
        {"{\"model\": \"gpt-image-1\", \"prompt\": \"a\", \"n\": 10}", "b64_json", 10},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(world_post(&world, PATH, cases[i].body), 200);
        const cJSON *data = json_at(world.root, "data");
        assert_int_equal(cJSON_GetArraySize(data), cases[i].count);
        const cJSON *one;
        cJSON_ArrayForEach (one, data) {
            assert_true(cJSON_IsString(json_at(one, cases[i].form)));
        }
    }
    assert_number_at(world.root, "usage.input_tokens", 1); /* of the last, and not none */
    assert_int_equal(world_post(&world, PATH, "{\"prompt\": \"a\", \"n\": 11}"), 400);
    assert_int_equal(world_post(&world, PATH, "{\"prompt\": \"\"}"), 400);
    assert_int_equal(world_post(&world, PATH, "{\"prompt\": \"a\", \"stream\": true}"), 400);
    world_end(&world);
}

static void dall_e_3_makes_one_image_a_request(void **state)
{
    (void)state;
    static const struct world_refusal cases[] = {
        {PATH, "{\"model\": \"dall-e-3\", \"prompt\": \"a\", \"n\": 2}",
         "You must provide n=1 for this model.", NULL, NULL},
    };
    world_assert_refused(cases, sizeof cases / sizeof cases[0]);
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(
        world_post(&world, PATH, "{\"model\": \"dall-e-3\", \"prompt\": \"a\", \"n\": 1}"), 200);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_come_as_asked_for),
        cmocka_unit_test(dall_e_3_makes_one_image_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
