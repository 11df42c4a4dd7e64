#include "mockserver/stop_sequences.h"

#include "tests/unit/api_world.h"

static void the_first_that_occurs_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *stop; /* JSON, NULL: nothing is said */
        size_t place;
    } cases[] = {
        {NULL, 10},
        {"null", 10},
        {"\"\"", 10},
        {"\"z\"", 10},
        {"\"o\"", 4},
        {"\"Hello you!\"", 0},
        {"[]", 10},
        {"[\"you\", \"\", \"lo\", \"z\"]", 3},
        {"[\"lo\", \"you\"]", 3},
        {"[7, \"!\"]", 9},
        {"{\"o\": \"o\"}", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *stop = cases[i].stop != NULL ? cJSON_Parse(cases[i].stop) : NULL;
        assert_int_equal(stop_sequences_find(stop, "Hello you!"), cases[i].place);
        cJSON_Delete(stop);
    }
}

static void what_is_no_stop_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *stop;
        const char *code; /* NULL: it is taken */
    } cases[] = {
        {"null", NULL},
        {"\"a\"", NULL},
        {"[]", NULL},
        {"[\"1\", \"2\", \"3\", \"4\"]", NULL},
        {"[\"1\", \"2\", \"3\", \"4\", \"5\"]", "array_above_max_length"},
        {"7", "invalid_type"},
        {"{}", "invalid_type"},
        {"[\"a\", null]", "invalid_type"},
    };
    static const char *const paths[] = {"/v1/chat/completions", "/v1/completions"};
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const char *code = cases[i / 2].code;
        char body[200];
        snprintf(body, sizeof body,
                 "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"\"}], "
                 "\"stop\": %s}",
                 cases[i / 2].stop);
        assert_int_equal(world_post(&world, paths[i % 2], body), code == NULL ? 200 : 400);
        if (code == NULL)
            continue;
        assert_text_at(world.root, "error.type", "invalid_request_error");
        assert_text_at(world.root, "error.code", code);
        assert_text_at(world.root, "error.param", "stop");
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_occurs_is_found),
        cmocka_unit_test(what_is_no_stop_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
