#include "tests/unit/api_world.h"

#include <math.h>

#define PATH "/v1/embeddings"

static void vectors_have_length_one_and_their_dimensions(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int count;
        int dimensions;
        int64_t tokens;
    } cases[] = {
        {"{\"model\": \"text-embedding-3-small\", \"input\": \"xxxxxxxx\"}", 1, 1536, 2},
        {"{\"model\": \"text-embedding-3-large\", \"input\": [\"xxxx\", [7, 8]]}", 2, 3072, 3},
        {"{\"model\": \"text-embedding-3-large\", \"input\": [7, 8], \"dimensions\": 3}", 1, 3, 2},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(world_post(&world, PATH, cases[i].body), 200);
        const cJSON *data = json_at(world.root, "data");
        assert_int_equal(cJSON_GetArraySize(data), cases[i].count);
        const cJSON *vector = json_at(data, "0.embedding");
        assert_int_equal(cJSON_GetArraySize(vector), cases[i].dimensions);
        double sum = 0;
        for (const cJSON *number = vector->child; number != NULL; number = number->next)
            sum += number->valuedouble * number->valuedouble;
        assert_true(fabs(sum - 1) < 1e-5);
        assert_int_equal(world.entry.tokens, cases[i].tokens);
    }
    world_end(&world);
}

/* The admission takes the estimate as it was recovered, usage and settlement what no model reads in
 * less than a token each. */
static void usage_counts_each_short_text(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        int64_t admitted;
        int64_t used;
    } cases[] = {
        {"\"a\"", 0, 1},    {"[\"a\", \"bc\", \"xxxxxxx\"]", 1, 3},
        {"\"xxxx\"", 1, 1}, {"[\"a\", [7, 8]]", 2, 3},
        {"[7]", 1, 1},
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"model\": \"m\", \"dimensions\": 1, \"input\": %s}",
                 cases[i].input);
        assert_int_equal(world_post(&world, PATH, body), 200);
        assert_int_equal(world.entry.tokens, cases[i].admitted);
        assert_number_at(world.root, "usage.prompt_tokens", (double)cases[i].used);
        assert_number_at(world.root, "usage.total_tokens", (double)cases[i].used);
        assert_int_equal(world.outcome.used_tokens, cases[i].used);
    }
    world_end(&world);
}

static void equal_texts_have_equal_vectors(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": [\"a\", \"b\", \"a\"], "
                                "\"dimensions\": 8}"),
                     200);
    const cJSON *data = json_at(world.root, "data");
    assert_true(cJSON_Compare(json_at(data, "0.embedding"), json_at(data, "2.embedding"), 1));
    assert_false(cJSON_Compare(json_at(data, "0.embedding"), json_at(data, "1.embedding"), 1));
    world_end(&world);
}

/* Four bytes a number are 4/3 characters each, with padding. */
static void base64_when_asked_for(void **state)
{
    (void)state;
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"m\", \"input\": \"a\", \"dimensions\": 3, "
                                "\"encoding_format\": \"base64\"}"),
                     200);
    assert_int_equal(strlen(json_at(world.root, "data.0.embedding")->valuestring), 16);
    world_end(&world);
}

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\": \"m\", \"input\": \"\"}",
        "{\"model\": \"m\", \"input\": []}",
        "{\"model\": \"m\", \"input\": [\"a\", \"\"]}",
        "{\"model\": \"m\", \"input\": [{}]}",
        "{\"model\": \"m\", \"input\": 7}",
        "{\"model\": \"m\", \"input\": \"a\", \"dimensions\": 0}",
        "{\"model\": \"m\", \"input\": \"a\", \"dimensions\": 1537}",
    };
    struct api_world world;
    world_start(&world, "{}");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(world_post(&world, PATH, bodies[i]), 400);
    world_end(&world);
}

static void what_a_model_has_not_is_refused(void **state)
{
    (void)state;
    static const struct world_refusal cases[] = {
        {PATH, "{\"model\": \"m\", \"input\": \"a\", \"encoding_format\": \"foo\"}",
         "Invalid value: 'foo'. Supported values are: 'float' and 'base64'.", "invalid_value",
         "encoding_format"},
        {PATH, "{\"model\": \"m\", \"input\": \"a\", \"encoding_format\": 7}",
         "Invalid type for 'encoding_format': expected a string, but got an integer instead.",
         "invalid_type", "encoding_format"},
        {PATH, "{\"model\": \"text-embedding-ada-002\", \"input\": \"a\", \"dimensions\": 1536}",
         "This model does not support specifying dimensions.", NULL, NULL},
    };
    world_assert_refused(cases, sizeof cases / sizeof cases[0]);
    struct api_world world;
    world_start(&world, "{}");
    assert_int_equal(world_post(&world, PATH,
                                "{\"model\": \"text-embedding-ada-002\", \"input\": \"a\", "
                                "\"dimensions\": null, \"encoding_format\": null}"),
                     200);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_have_length_one_and_their_dimensions),
        cmocka_unit_test(usage_counts_each_short_text),
        cmocka_unit_test(equal_texts_have_equal_vectors),
        cmocka_unit_test(base64_when_asked_for),
        cmocka_unit_test(bad_inputs_are_refused),
        cmocka_unit_test(what_a_model_has_not_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
