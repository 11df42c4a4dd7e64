#include "tests/unit/api_world.h"

#define PATH "/v1/fine_tuning/jobs"
#define FINE_TUNED "ft:gpt-4o-mini:acme::7p4lURel"

static void each_fine_tuned_model_has_a_job(void **state)
{
    (void)state;
    struct api_world world;
    char path[128];
    world_start(&world, "{\"models\": {\"" FINE_TUNED "\": {}, \"gpt-4o\": {}}, \"quotas\": "
                        "{\"" FINE_TUNED "\": {}}}");
    assert_int_equal(world_ask(&world, "GET", PATH, ""), 200);
    assert_int_equal(cJSON_GetArraySize(json_at(world.root, "data")), 1);
    assert_text_at(world.root, "data.0.fine_tuned_model", FINE_TUNED);
    assert_text_at(world.root, "data.0.model", "gpt-4o-mini");
    assert_text_at(world.root, "data.0.status", "succeeded");
    snprintf(path, sizeof path, PATH "/%s", json_at(world.root, "data.0.id")->valuestring);
    assert_int_equal(world_ask(&world, "GET", path, ""), 200);
    assert_text_at(world.root, "object", "fine_tuning.job");
    strcat(path, "/events");
    assert_int_equal(world_ask(&world, "GET", path, ""), 200);
    assert_null(json_at(world.root, "data")->child);
    world_end(&world);
}

static void others_are_not_there(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_ask(&world, "GET", PATH "/ftjob-x", ""), 404);
    assert_text_at(world.root, "error.code", "fine_tune_not_found");
    assert_int_equal(world_ask(&world, "GET", PATH "/ftjob-x/events", ""), 404);
    assert_int_equal(world_ask(&world, "POST", PATH, "{}"), 405);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fine_tuned_model_has_a_job),
        cmocka_unit_test(others_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
